import { setTimeout as sleep } from 'node:timers/promises';
import { engawaCluster, type NodeKind, socketIoClusters, withNodes } from '../harness/cluster-kinds.ts';
import { withRedis } from '../harness/redis-process.ts';
import { inBatches } from '../load/in-batches.ts';
import { RawClient } from '../load/raw-client.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { type CommandCounts, countCommands, total } from '../profiling/redis-monitor.ts';
import type { Cell } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

/** Whatever is done more and more rarely has found its pace by then. */
const REST_MINUTES = 4;
const MINUTES = 2;

interface State {
  kind: NodeKind;
  rooms: number;
  membersPerRoom: number;
  /** They were there, and have gone. */
  haveLeft?: boolean;
}

const states: State[] = [
  { kind: engawaCluster, rooms: 0, membersPerRoom: 0 },
  { kind: engawaCluster, rooms: 1, membersPerRoom: 10, haveLeft: true },
  { kind: engawaCluster, rooms: 1, membersPerRoom: 10 },
  { kind: engawaCluster, rooms: 100, membersPerRoom: 1 },
  ...socketIoClusters.map((kind) => ({ kind, rooms: 1, membersPerRoom: 10 })),
];

const NOTE = [
  `Commands that one server sends to its Redis in a minute in which nothing happens: the mean of ${MINUTES} minutes, ${REST_MINUTES} minutes after`,
  'the last member joined. All of them rest in the same minutes, each with a Redis of its own, whose MONITOR tells what it is asked;',
  'what scripts do inside of it is counted apart, for some who rent out a Redis count that, too. The connections stay open, and the',
  'pings of Socket.IO go on. `PING` is how a connection that only listens learns that it is alive.',
].join(' ');

export const idle: Scenario = {
  name: 'idle',
  async run(bench) {
    bench.progress(`nothing happens for ${REST_MINUTES + MINUTES} minutes`);
    const seen = await Promise.all(states.map((state) => measure(bench, state)));
    return [
      {
        title: 'Commands of an idle minute',
        note: NOTE,
        columns: [
          { name: 'server' },
          { name: 'rooms' },
          { name: 'members' },
          { name: 'commands', unit: '1/min' },
          { name: 'within scripts', unit: '1/min' },
          { name: 'which' },
        ],
        rows: states.map((state, index) => toRow(state, seen[index] as CommandCounts)),
      },
    ];
  },
};

function toRow({ kind, rooms, membersPerRoom, haveLeft }: State, { byClients, inScripts }: CommandCounts): Cell[] {
  const perMinute = (count: number): number => count / MINUTES;
  const which = [...byClients].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${perMinute(count)}`);
  const members = haveLeft ? `0, after ${rooms * membersPerRoom}` : String(rooms * membersPerRoom);
  return [kind.name, rooms, members, perMinute(total(byClients)), perMinute(total(inScripts)), which.join(', ') || '–'];
}

function measure({ folder: parent }: BenchContext, { kind, rooms, membersPerRoom, haveLeft = false }: State): Promise<CommandCounts> {
  return withTempFolder(parent, (folder) =>
    withRedis(folder, ({ url }) =>
      withNodes(kind, { redisUrl: url, count: 1 }, async ([node]) => {
        const members = Array.from({ length: rooms * membersPerRoom }, (_, number) => number);
        const join = async (number: number): Promise<RawClient> => {
          const client = await RawClient.connect(String(node?.url));
          const place = { roomId: `room-${number % rooms}`, username: `member-${number}` };
          await (number < rooms ? client.ask('create:room', place) : client.ask('add:member', place));
          return client;
        };
        const clients = [...(await inBatches(members.slice(0, rooms), join)), ...(await inBatches(members.slice(rooms), join))];
        const leave = () => {
          for (const client of clients) client.close();
        };
        if (haveLeft) leave();
        await sleep(REST_MINUTES * 60_000);
        const seen = await countCommands(url, MINUTES * 60_000);
        leave();
        return seen;
      }),
    ),
  );
}
