import { type Cluster, withClusters } from '../harness/clusters.ts';
import { type BroadcastLoad, type Clients, withBroadcastLoad } from '../load/broadcast-load.ts';
import { type RedisStats, redisStats } from '../profiling/redis-stats.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const NODES = [1, 4, 16];
const ROUNDS = 3;
const TALK = { perSecond: 200, milliseconds: 3_000 };

/** Who is where: `one room` has a listener on every node, of `own rooms` every node has one of its own. */
const spreads: Record<string, (nodes: string[]) => Clients> = {
  'one room': (nodes) => ({
    speakers: nodes.slice(0, 1).map((url) => ({ url, roomId: 'everywhere' })),
    listeners: nodes.map((url) => ({ url, roomId: 'everywhere' })),
  }),
  'own rooms': (nodes) => {
    const places = nodes.map((url, number) => ({ url, roomId: `only-here-${number}` }));
    return { speakers: places, listeners: places };
  },
};

/** Of each chat that a listener heard: microseconds of Redis, bytes that it received and sent; of each that was said: microseconds. */
type Figures = Record<'time' | 'received' | 'sent' | 'timeOfSaid', number>;

const NOTE = [
  'So many servers on one Redis (append-only file, synced every second), each a process. One room: a listener on every server hears what is',
  'said on the first. Own rooms: every server has a room with a speaker and a listener of its own, which nobody else has to hear.',
  `${TALK.perSecond} chats a second in all, of 200 bytes. CPU of Redis, and bytes that its clients sent it and got from it, for each chat that a`,
  `listener heard; and CPU for each that was said. Medians of ${ROUNDS} rounds of ${TALK.milliseconds / 1000} s, all servers by turns in each, after one of warm-up.`,
  'At this rate Redis seldom finds two commands waiting, so each costs the system calls of its own. Engawa keeps each chat; Socket.IO keeps',
  'none (pub/sub), or the last 10,000 messages (streams).',
].join(' ');

export const redisSpread: Scenario = {
  name: 'redis-spread',
  async run(bench) {
    const rows: Cell[][] = [];
    for (const nodes of NODES) rows.push(...(await measureNodes(bench, nodes)));
    return [{ title: 'What a delivered chat costs Redis', note: NOTE, columns, rows }];
  },
};

const columns = [
  { name: 'servers' },
  { name: 'rooms' },
  { name: 'server' },
  { name: 'Redis CPU a heard chat', unit: 'µs' },
  { name: 'a said chat', unit: 'µs' },
  { name: 'received', unit: 'bytes' },
  { name: 'sent', unit: 'bytes' },
];

function measureNodes({ folder, progress }: BenchContext, nodes: number): Promise<Cell[][]> {
  progress(`${nodes} servers of each kind`);
  return withClusters(folder, nodes, (houses) =>
    withBroadcastLoad(async (deliveries) => {
      const rows: Cell[][] = [];
      for (const [spread, companyOf] of Object.entries(spreads)) {
        progress(`  ${spread}`);
        for (const house of houses) await deliveries.join(`${house.kind.name} ${spread}`, companyOf(house.nodes.map(({ url }) => url)));
        for (const house of houses) await measureRound(deliveries, house, spread);
        const rounds: Figures[][] = houses.map(() => []);
        for (let round = 0; round < ROUNDS; round += 1) {
          for (const [index, house] of houses.entries()) rounds[index]?.push(await measureRound(deliveries, house, spread));
        }
        rows.push(...houses.map(({ kind }, index) => toRow([nodes, spread, kind.name], medians(rounds[index] ?? []))));
      }
      return rows;
    }),
  );
}

const toRow = (what: Cell[], { time, timeOfSaid, received, sent }: Figures): Cell[] => [
  ...what,
  time,
  timeOfSaid,
  ...[received, sent].map(Math.round),
];

async function measureRound(deliveries: BroadcastLoad, { kind, redis }: Cluster, spread: string): Promise<Figures> {
  const before = await redisStats(redis.url);
  const { said, heard } = await deliveries.measure(`${kind.name} ${spread}`, TALK);
  return perChat({ said, heard }, before, await redisStats(redis.url));
}

function perChat({ said, heard }: { said: number; heard: number }, before: RedisStats, after: RedisStats): Figures {
  const cpu = (after.cpu - before.cpu) * 1e6;
  return {
    time: cpu / heard,
    timeOfSaid: cpu / said,
    received: (after.received - before.received) / heard,
    sent: (after.sent - before.sent) / heard,
  };
}
