/** Several real Redis servers that stand for each other. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendCommand } from './redis-command.ts';
import { freePort, type RedisProcess, startRedis, startRedisServer } from './redis-process.ts';

const SLOTS = 16_384;
const PRIMARIES = 3;
const OK_MS = 60_000;

export interface RedisTopology {
  url: string;
  /** First those that are primaries at first. Who starts another puts it here, so that it ends with the others. */
  servers: RedisProcess[];
}

export const withSingle = <Result>(folder: string, use: (group: RedisTopology) => Promise<Result>): Promise<Result> =>
  withServers(async (servers) => {
    servers.push(await startRedis(folder, await freePort()));
    return use({ url: String(servers[0]?.url), servers });
  });

/** Three primaries with a replica each; a server that says nothing for so many milliseconds is replaced. */
export async function withCluster<Result>(
  folder: string,
  nodeTimeout: number,
  use: (cluster: RedisTopology) => Promise<Result>,
): Promise<Result> {
  return withServers(async (servers) => {
    const busPorts: number[] = [];
    for (let number = 0; number < 2 * PRIMARIES; number += 1) {
      busPorts.push(await freePort());
      const settings = [
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(busPorts.at(-1)),
        '--cluster-node-timeout',
        String(nodeTimeout),
      ];
      const quick = ['--cluster-allow-replica-migration', 'no', '--repl-diskless-sync-delay', '0'];
      servers.push(await startRedis(newFolder(folder, number), await freePort(), [...settings, ...quick]));
    }
    await introduce(servers, busPorts);
    await until(async () => (await Promise.all(servers.map(isServing))).every(Boolean), 'the cluster');
    const hosts = servers.slice(0, PRIMARIES).map(({ port }) => `127.0.0.1:${port}`);
    return use({ url: `redis+cluster://${hosts.join()}`, servers });
  });
}

async function introduce(servers: RedisProcess[], busPorts: number[]): Promise<void> {
  const width = Math.ceil(SLOTS / PRIMARIES);
  for (const [index, { port }] of servers.entries()) {
    await sendCommand(port, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index < PRIMARIES) await sendCommand(port, 'CLUSTER', 'ADDSLOTSRANGE', index * width, Math.min((index + 1) * width, SLOTS) - 1);
    for (const [at, other] of servers.slice(0, index).entries())
      await sendCommand(port, 'CLUSTER', 'MEET', '127.0.0.1', other.port, Number(busPorts[at]));
  }
  const knowsAll = async ({ port }: RedisProcess) => {
    const lines = String(await sendCommand(port, 'CLUSTER', 'NODES'))
      .trim()
      .split('\n');
    return lines.length === servers.length && !lines.some((line) => /handshake|fail|disconnected/.test(line));
  };
  await until(async () => (await Promise.all(servers.map(knowsAll))).every(Boolean), 'servers that know each other');
  for (const [index, { port }] of servers.entries()) {
    if (index >= PRIMARIES)
      await sendCommand(port, 'CLUSTER', 'REPLICATE', await clusterNodeId(servers[index % PRIMARIES] as RedisProcess));
  }
}

export const clusterNodeId = async ({ port }: RedisProcess): Promise<string> => String(await sendCommand(port, 'CLUSTER', 'MYID'));

/** A primary of it all, or a replica that follows its primary. */
async function isServing({ port }: RedisProcess): Promise<boolean> {
  const isOk = String(await sendCommand(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok');
  return isOk && /role:master|master_link_status:up/.test(String(await sendCommand(port, 'INFO', 'replication')));
}

/** A primary with two replicas, and three sentinels that replace it when it says nothing for so many milliseconds. */
export async function withSentinels<Result>(
  folder: string,
  downAfter: number,
  use: (group: RedisTopology) => Promise<Result>,
): Promise<Result> {
  return withServers(async (servers) => {
    const primary = await startRedis(newFolder(folder, 0), await freePort());
    servers.push(primary);
    for (const number of [1, 2]) {
      const follow = ['--replicaof', `127.0.0.1 ${primary.port}`, '--repl-diskless-sync-delay', '0'];
      servers.push(await startRedis(newFolder(folder, number), await freePort(), follow));
    }
    const sentinels: RedisProcess[] = [];
    for (const number of [3, 4, 5]) {
      sentinels.push(await startSentinel(newFolder(folder, number), { primary, downAfter }));
      servers.push(sentinels.at(-1) as RedisProcess);
    }
    await until(async () => (await Promise.all(sentinels.map(isReady))).every(Boolean), 'the sentinels');
    return use({ url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join()}/mymaster`, servers });
  });
}

async function startSentinel(folder: string, { primary, downAfter }: { primary: RedisProcess; downAfter: number }): Promise<RedisProcess> {
  const [file, port] = [join(folder, 'sentinel.conf'), await freePort()];
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${primary.port} 2`,
    `sentinel down-after-milliseconds mymaster ${downAfter}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return startRedisServer(port, [file, '--sentinel']);
}

/** It knows the others and both replicas. */
async function isReady({ port }: RedisProcess): Promise<boolean> {
  const told = (await sendCommand(port, 'SENTINEL', 'MASTER', 'mymaster')) as string[];
  const field = (name: string) => told[told.indexOf(name) + 1];
  return field('flags') === 'master' && field('num-slaves') === '2' && field('num-other-sentinels') === '2';
}

/** Ends whatever `use` has started. */
async function withServers<Result>(use: (servers: RedisProcess[]) => Promise<Result>): Promise<Result> {
  const servers: RedisProcess[] = [];
  try {
    return await use(servers);
  } finally {
    await Promise.all(servers.map((server) => server.end('SIGKILL')));
  }
}

function newFolder(parent: string, number: number): string {
  const folder = join(parent, `server-${number}`);
  mkdirSync(folder);
  return folder;
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpAt = performance.now() + OK_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > giveUpAt) throw new Error(`Waited in vain for ${what}.`);
    await sleep(50);
  }
}
