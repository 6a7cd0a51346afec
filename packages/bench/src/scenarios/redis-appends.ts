import { withRedis } from '../harness/redis-process.ts';
import { type AppendKind, type AppendLoad, type AppendLoadGenerator, withAppendLoad } from '../load/append-load.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { cpuUsage } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import type { Scenario } from '../scenario.ts';

const ROUNDS = 5;
const ROUND_MS = 1_500;
const WARM_UP_MS = 1_000;

const kinds: AppendKind[] = ['chats', 'named chats', 'XADD', 'PUBLISH'];
const loads = [
  { inFlight: 1, rooms: 1 },
  { inFlight: 64, rooms: 1 },
  { inFlight: 64, rooms: 100 },
  { inFlight: 1_000, rooms: 1 },
  { inFlight: 1_000, rooms: 100 },
] as const;

/** Rate a second, milliseconds, and microseconds of CPU for each, of Redis and of the process that asks. */
type Figures = Record<'rate' | 'p50' | 'p99' | 'redisTime' | 'nodeTime', number>;

const NOTE = [
  'One process asks one Redis (append-only file, synced every second) over one connection, and asks again for each that is answered.',
  '`chats` are appended by the store, 200 bytes of text each, as the server would: it rests on its author being a member, gets its place,',
  'is kept and published. `named chats` have a client id, too, and are kept once however often they are sent. XADD and PUBLISH: the bare',
  'commands, with the bytes that the store keeps of a chat, by the same client library. Nobody listens.',
  `Medians of ${ROUNDS} rounds of ${ROUND_MS / 1000} s, all four kinds by turns in each, after ${WARM_UP_MS / 1000} s of warm-up of each.`,
  'CPU of all threads; per core: what one core of Redis, or of Node, would do at that price. Both share the cores of this machine.',
].join(' ');

export const redisAppends: Scenario = {
  name: 'redis-appends',
  run: ({ folder: parent, progress }) =>
    withTempFolder(parent, (folder) =>
      withRedis(folder, ({ url, pid }) =>
        withAppendLoad(async (appender) => {
          await appender.open(url, Math.max(...loads.map(({ rooms }) => rooms)));
          const rows: Cell[][] = [];
          for (const load of loads) {
            progress(`${load.inFlight} in flight, rooms: ${load.rooms}`);
            rows.push(...(await measure(appender, pid, load)));
          }
          return [{ title: 'Appends to Redis', note: NOTE, columns, rows }];
        }),
      ),
    ),
};

const columns = [
  { name: 'in flight' },
  { name: 'rooms' },
  { name: 'what' },
  { name: 'rate', unit: '1/s' },
  { name: 'p50', unit: 'ms' },
  { name: 'p99', unit: 'ms' },
  { name: 'Redis CPU', unit: 'µs' },
  { name: 'Node CPU', unit: 'µs' },
  { name: 'a Redis core', unit: '1/s' },
  { name: 'a Node core', unit: '1/s' },
];

async function measure(appender: AppendLoadGenerator, redisPid: number, load: (typeof loads)[number]): Promise<Cell[][]> {
  for (const asking of kinds) await appender.ask({ ...load, asking, milliseconds: WARM_UP_MS });
  const rounds = new Map<AppendKind, Figures[]>(kinds.map((asking) => [asking, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const asking of kinds)
      rounds.get(asking)?.push(await measureRound(appender, redisPid, { ...load, asking, milliseconds: ROUND_MS }));
  }
  return [...rounds].map(([asking, figures]) => {
    const { rate, p50, p99, redisTime, nodeTime } = medians(figures);
    const perCore = [1e6 / redisTime, 1e6 / nodeTime].map((each) => Math.round(each / 100) * 100);
    return [load.inFlight, load.rooms, asking, Math.round(rate), p50, p99, redisTime, nodeTime, ...perCore];
  });
}

async function measureRound(appender: AppendLoadGenerator, redisPid: number, load: AppendLoad): Promise<Figures> {
  const before = cpuUsage(redisPid);
  const { seconds, count, p50, p99, cpu } = await appender.ask(load);
  const { cpu: redisCpu } = cpuUsage(redisPid);
  return { rate: count / seconds, p50, p99, redisTime: ((redisCpu - before.cpu) / count) * 1e6, nodeTime: (cpu / count) * 1e6 };
}
