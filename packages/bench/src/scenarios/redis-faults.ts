import { setTimeout as sleep } from 'node:timers/promises';
import { engawaCluster, withNodes } from '../harness/cluster-kinds.ts';
import { sendCommand } from '../harness/redis-command.ts';
import type { RedisProcess } from '../harness/redis-process.ts';
import { clusterNodeId, type RedisTopology, withCluster, withSentinels, withSingle } from '../harness/redis-topologies.ts';
import { type FailureEffect, SteadyLoad } from '../load/steady-load.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const ROUNDS = 3;
const ROOM = 'veranda';
const NODE_TIMEOUT_MS = 2_000;
const DOWN_AFTER_MS = 1_000;
const MIGRATE_MS = 5_000;
const POLL_MS = 20;

type On = (folder: string, use: (group: RedisTopology) => Promise<FailureEffect>) => Promise<FailureEffect>;

const onCluster: On = (folder, use) => withCluster(folder, NODE_TIMEOUT_MS, use);
const underSentinels: On = (folder, use) => withSentinels(folder, DOWN_AFTER_MS, use);

/** The stroke resolves when Redis serves the room again. */
const faults: { name: string; on: On; strike: (group: RedisTopology) => Promise<unknown> }[] = [
  { name: 'nothing', on: withSingle, strike: async () => undefined },
  {
    name: 'CLIENT KILL TYPE pubsub',
    on: withSingle,
    strike: ({ servers }) => sendCommand(portOf(servers[0]), 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
  },
  { name: 'SCRIPT FLUSH', on: withSingle, strike: ({ servers }) => sendCommand(portOf(servers[0]), 'SCRIPT', 'FLUSH') },
  { name: 'FLUSHALL', on: withSingle, strike: ({ servers }) => sendCommand(portOf(servers[0]), 'FLUSHALL') },
  { name: 'a restart of Redis', on: withSingle, strike: (group) => restart(group, 'SIGTERM') },
  { name: 'kill -9 of Redis, and a start', on: withSingle, strike: (group) => restart(group, 'SIGKILL') },
  { name: 'cluster: kill -9 of the primary', on: onCluster, strike: replaceKilled },
  { name: 'cluster: CLUSTER FAILOVER', on: onCluster, strike: failOver },
  { name: 'cluster: the slot moves', on: onCluster, strike: moveSlot },
  { name: 'sentinels: kill -9 of the primary', on: underSentinels, strike: replaceKilled },
];

const NOTE = [
  'Two servers on one Redis (append-only file, synced every second). Somebody says a chat every 20 ms on the first, and asks again when he is',
  'refused; a member hears him on the second. How long it took until Redis served the room again. For the chats said since the fault: how long the slowest took until it was acknowledged, and',
  'until it was heard; how many were never heard. Each is a fault of its own on a new Redis, the last ones of three primaries with a',
  `replica each (cluster-node-timeout ${NODE_TIMEOUT_MS / 1000} s), and of a primary with two replicas and three sentinels (down-after-milliseconds ${DOWN_AFTER_MS / 1000} s).`,
  'After FLUSHALL there is no such room any more: the speaker is told so and creates it anew, the listener is told `reset:room` and joins',
  `again; what was heard by nobody before is gone. Medians of ${ROUNDS} rounds.`,
].join(' ');

export const redisFaults: Scenario = {
  name: 'redis-faults',
  async run(bench) {
    const rows: Cell[][] = [];
    for (const fault of faults) {
      const rounds: FailureEffect[] = [];
      while (rounds.length < ROUNDS) {
        rounds.push(await measure(bench, fault));
        bench.progress(`${fault.name}: ${JSON.stringify(rounds.at(-1))}`);
      }
      const { happened, acknowledged, heard, unheard } = medians(rounds);
      rows.push([fault.name, ...[happened, acknowledged, heard].map(Math.round), unheard]);
    }
    return [{ title: 'Recovery from faults of Redis', note: NOTE, columns, rows }];
  },
};

const columns = [
  { name: 'fault' },
  { name: 'Redis is back', unit: 'ms' },
  { name: 'acknowledged', unit: 'ms' },
  { name: 'heard', unit: 'ms' },
  { name: 'never heard' },
];

function measure({ folder: parent }: BenchContext, { on, strike }: (typeof faults)[number]): Promise<FailureEffect> {
  return withTempFolder(parent, (folder) =>
    on(folder, (group) =>
      withNodes(engawaCluster, { redisUrl: group.url, count: 2 }, async ([first, second]) => {
        const conversation = await SteadyLoad.begin(ROOM, [String(first?.url), String(second?.url)]);
        try {
          return await conversation.during(() => strike(group));
        } finally {
          conversation.close();
        }
      }),
    ),
  );
}

const portOf = (server: RedisProcess | undefined): number => Number(server?.port);

async function restart({ servers }: RedisTopology, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const [redis] = servers as [RedisProcess];
  await redis.end(signal);
  servers.push(await redis.startAgain());
}

/** The key of the room that says in which slot it is. */
async function keyOn(port: number): Promise<string | undefined> {
  const isPrimary = ((await sendCommand(port, 'ROLE')) as string[])[0] === 'master';
  return isPrimary ? ((await sendCommand(port, 'KEYS', `*:room:${ROOM}`)) as string[])[0] : undefined;
}

async function primaryOf({ servers }: RedisTopology): Promise<RedisProcess> {
  for (const server of servers) if ((await keyOn(server.port)) !== undefined) return server;
  throw new Error('No primary has the room.');
}

async function replaceKilled(group: RedisTopology): Promise<void> {
  const killed = await primaryOf(group);
  await killed.end('SIGKILL');
  await promoted(group, killed);
}

async function promoted({ servers }: RedisTopology, before: RedisProcess): Promise<void> {
  const others = servers.filter((server) => server !== before);
  const hasRoom = async ({ port }: RedisProcess) => (await keyOn(port).catch(() => undefined)) !== undefined;
  while (!(await Promise.all(others.map(hasRoom))).includes(true)) await sleep(POLL_MS);
}

async function failOver(group: RedisTopology): Promise<void> {
  const primary = await primaryOf(group);
  const [, , [[, replicaPort]]] = (await sendCommand(primary.port, 'ROLE')) as [string, number, [[string, string]]];
  await sendCommand(Number(replicaPort), 'CLUSTER', 'FAILOVER');
  await promoted(group, primary);
}

/** As a resharding does it: with all its keys, while it is used. */
async function moveSlot(group: RedisTopology): Promise<void> {
  const from = await primaryOf(group);
  const to = group.servers.find((server) => server !== from) as RedisProcess;
  const slot = Number(await sendCommand(from.port, 'CLUSTER', 'KEYSLOT', String(await keyOn(from.port))));
  await sendCommand(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', await clusterNodeId(from));
  await sendCommand(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', await clusterNodeId(to));
  for (;;) {
    const keys = (await sendCommand(from.port, 'CLUSTER', 'GETKEYSINSLOT', slot, 10)) as string[];
    if (keys.length === 0) break;
    await sendCommand(from.port, 'MIGRATE', '127.0.0.1', to.port, '', 0, MIGRATE_MS, 'KEYS', ...keys);
  }
  for (const server of [to, from]) await sendCommand(server.port, 'CLUSTER', 'SETSLOT', slot, 'NODE', await clusterNodeId(to));
}
