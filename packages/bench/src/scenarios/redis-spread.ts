// What a delivery from one server to others costs Redis, and how long it takes.
import { type RoomGroup, withLoadGenerator } from '../generator/generator.ts';
import { type Cluster, withClusters } from '../harness/clusters.ts';
import { requireAllJoined } from '../harness/test-bed.ts';
import { redisStats } from '../profiling/redis-stats.ts';
import type { Cell } from '../report/report.ts';
import { type BenchContext, measureInTurn, type Scenario } from '../scenario.ts';

const FULL = { rounds: 3, measuredMs: 3_000 };
const QUICK = { rounds: 1, measuredMs: 500 };
const WARM_UP_MS = 1_000;
const TEXT_BYTES = 200;
const DEADLINE_MS = 10_000;

interface Load {
  nodes: number;
  what: string;
  perSecond: number;
  /** Each load of a cluster has rooms of its own. */
  groupOf: (urls: string[]) => RoomGroup;
}

/** Members that send over the first node, and readers on the second. */
const toSecond = (perSecond: number, senders: number, readers: number): Load => ({
  nodes: 2,
  what: `one room, ${readers} readers on the other server`,
  perSecond,
  groupOf: ([first = '', second = '']) => ({
    name: `second-${perSecond}-${readers}`,
    rooms: 1,
    members: senders + readers,
    senders,
    urls: { senders: [first], readers: [second] },
  }),
});

const oneRoom = (nodes: number): Load => ({
  nodes,
  what: 'one room, a reader on each server',
  perSecond: 200,
  groupOf: (urls) => ({ name: 'everywhere', rooms: 1, members: 1 + nodes, senders: 1, urls: { senders: urls, readers: urls } }),
});

const ownRooms = (nodes: number): Load => ({
  nodes,
  what: 'a room of its own on each server',
  perSecond: 200,
  groupOf: (urls) => ({ name: 'own', rooms: nodes, members: 2, senders: 1, urls: { senders: urls, readers: urls } }),
});

const loads: Load[] = [
  ...[toSecond(100, 1, 50), toSecond(1_000, 10, 5), toSecond(1_000, 10, 50)],
  ...[1, 4, 16].flatMap((nodes) => [oneRoom(nodes), ownRooms(nodes)]),
];
const quickLoads = loads.filter(({ nodes, perSecond }) => nodes === 2 && perSecond === 100);

type Figures = Record<'delivered' | 'p50' | 'p99' | 'redisTime' | 'redisTimeOfChat' | 'received' | 'sent', number>;

const NOTE = [
  `Several servers on one Redis (append-only file, synced every second). Texts of ${TEXT_BYTES} bytes. Milliseconds from when a chat was due to be sent until a reader received it.`,
  'CPU of Redis, and the bytes that it received and sent, for each delivery; and CPU for each chat. Engawa stores each chat in Redis before it broadcasts it; Socket.IO stores nothing, or the last 10,000 (streams).',
  'All processes share the cores of this machine.',
].join(' ');

export const redisSpread: Scenario = {
  name: 'redis-spread',
  async run(bench) {
    const { rounds, measuredMs } = bench.quick ? QUICK : FULL;
    const rows: Cell[][] = [];
    for (const nodes of new Set((bench.quick ? quickLoads : loads).map((load) => load.nodes)))
      rows.push(...(await measureNodes(bench, nodes)));
    return [
      {
        title: 'From one server to another, over Redis',
        note: `${NOTE} Medians of ${rounds} rounds of ${measuredMs / 1000} s, in each of which all servers took turns.`,
        columns: [
          { name: 'servers' },
          { name: 'rooms' },
          { name: 'chats', unit: '1/s' },
          { name: 'server' },
          { name: 'delivered', unit: '%' },
          { name: 'p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'Redis CPU of a delivery', unit: 'µs' },
          { name: 'of a chat', unit: 'µs' },
          { name: 'received', unit: 'bytes' },
          { name: 'sent', unit: 'bytes' },
        ],
        rows,
      },
    ];
  },
};

function measureNodes(bench: BenchContext, nodes: number): Promise<Cell[][]> {
  bench.progress(`${nodes} servers of each kind`);
  return withClusters(bench.folder, nodes, async (clusters) => {
    const rows: Cell[][] = [];
    for (const load of (bench.quick ? quickLoads : loads).filter((each) => each.nodes === nodes)) {
      bench.progress(`${nodes} servers, ${load.what}, ${load.perSecond} chats a second`);
      const figures = await measureInTurn(clusters, (bench.quick ? QUICK : FULL).rounds, (cluster) => measure(bench, cluster, load));
      for (const [index, { kind }] of clusters.entries()) {
        const { delivered, p50, p99, redisTime, redisTimeOfChat, received, sent } = figures[index] as Figures;
        const bytes = [received, sent].map(Math.round);
        rows.push([nodes, load.what, load.perSecond, kind.name, delivered, p50, p99, redisTime, redisTimeOfChat, ...bytes]);
      }
    }
    return rows;
  });
}

/** Each measurement has new rooms. */
let number = 0;

const measure = ({ quick }: BenchContext, { kind, redis, nodes }: Cluster, load: Load): Promise<Figures> =>
  withLoadGenerator(async (generator) => {
    const group = load.groupOf(nodes.map(({ url }) => url));
    number += 1;
    const target = { url: String(nodes[0]?.url), dialect: kind.dialect };
    const groups = [{ ...group, name: `${group.name}-${number}` }];
    requireAllJoined(await generator.join({ target, groups, textBytes: TEXT_BYTES, deadlineMs: DEADLINE_MS }));
    const { perSecond } = load;
    const { measuredMs } = quick ? QUICK : FULL;
    const phase = { perSecond: [perSecond], measuredMs, deadlineMs: DEADLINE_MS };
    await generator.runLoad({ ...phase, warmUpMs: 0, measuredMs: WARM_UP_MS });
    const before = await redisStats(redis.url);
    const { groups: results } = await generator.runLoad({ ...phase, warmUpMs: 0 });
    const after = await redisStats(redis.url);
    const { sent: chats = 0, due = 0, latency } = results[0] ?? {};
    const deliveries = latency?.total ?? Number.NaN;
    const cpu = (after.cpu - before.cpu) * 1e6;
    return {
      delivered: (100 * deliveries) / due,
      p50: (latency?.percentile(0.5, due) ?? Number.NaN) / 1000,
      p99: (latency?.percentile(0.99, due) ?? Number.NaN) / 1000,
      redisTime: cpu / deliveries,
      redisTimeOfChat: cpu / chats,
      received: (after.received - before.received) / deliveries,
      sent: (after.sent - before.sent) / deliveries,
    };
  });
