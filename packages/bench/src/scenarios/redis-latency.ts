import { type Cluster, withClusters } from '../harness/clusters.ts';
import { type BroadcastLoad, type DeliveryFigures, withBroadcastLoad } from '../load/broadcast-load.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const ROUNDS = 5;
const ROUND_MS = 3_000;
const WARM_UP_MS = 3_000;
/** What one connection asks is done one after the other, so one alone would be as slow as its answers. */
const SPEAKERS = 10;

const loads = [
  { perSecond: 100, listeners: 50 },
  { perSecond: 1_000, listeners: 5 },
  { perSecond: 1_000, listeners: 50 },
] as const;
type Load = (typeof loads)[number];

const NOTE = [
  'Two servers on one Redis (append-only file, synced every second): ten members speak by turns on the first, the others hear them on the second,',
  'all from one more process. From when a chat of 200 bytes was due to be sent until a listener had it. Engawa has stored each chat in',
  'Redis before it is told; Socket.IO stores nothing (pub/sub), or the last 10,000 messages (streams). Heard: share of all that was to be',
  `heard within ten seconds. Medians of ${ROUNDS} rounds of ${ROUND_MS / 1000} s, all servers by turns in each, after ${WARM_UP_MS / 1000} s of warm-up.`,
  'Four processes share the cores of this machine, so at 50,000 deliveries a second it is full.',
].join(' ');

export const redisLatency: Scenario = {
  name: 'redis-latency',
  run: (bench) =>
    withClusters(bench.folder, 2, (houses) =>
      withBroadcastLoad(async (deliveries) => {
        const rows: Cell[][] = [];
        for (const load of loads) rows.push(...(await measure(bench, { houses, deliveries }, load)));
        return [{ title: 'From one server to another', note: NOTE, columns, rows }];
      }),
    ),
};

const columns = [
  { name: 'chats', unit: '1/s' },
  { name: 'listeners' },
  { name: 'server' },
  { name: 'heard', unit: '%' },
  { name: 'p50', unit: 'ms' },
  { name: 'p99', unit: 'ms' },
];

async function measure(
  { progress }: BenchContext,
  { houses, deliveries }: { houses: Cluster[]; deliveries: BroadcastLoad },
  load: Load,
): Promise<Cell[][]> {
  const { perSecond, listeners } = load;
  progress(`${perSecond} chats a second to ${listeners} listeners`);
  const talk = ({ kind }: Cluster, milliseconds: number) => deliveries.measure(nameOf(kind.name, load), { perSecond, milliseconds });
  for (const house of houses) {
    await gather(deliveries, house, load);
    await talk(house, WARM_UP_MS);
  }
  const rounds: Record<'heard' | 'p50' | 'p99', number>[][] = houses.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, house] of houses.entries()) rounds[index]?.push(toRound(await talk(house, ROUND_MS), listeners));
  }
  return houses.map(({ kind }, index) => {
    const { heard, p50, p99 } = medians(rounds[index] ?? []);
    return [perSecond, listeners, kind.name, heard, p50, p99];
  });
}

const toRound = ({ said, heard, p50, p99 }: DeliveryFigures, listeners: number) => ({
  heard: (100 * heard) / (said * listeners),
  p50,
  p99,
});

const nameOf = (kind: string, { perSecond, listeners }: Load): string => `${kind} ${perSecond} ${listeners}`;

function gather(deliveries: BroadcastLoad, { kind, nodes: [first, second] }: Cluster, load: Load): Promise<void> {
  const roomId = `room-${load.perSecond}-${load.listeners}`;
  return deliveries.join(nameOf(kind.name, load), {
    speakers: Array.from({ length: SPEAKERS }, () => ({ url: String(first?.url), roomId })),
    listeners: Array.from({ length: load.listeners }, () => ({ url: String(second?.url), roomId })),
  });
}
