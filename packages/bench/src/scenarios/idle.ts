// What a server asks of its Redis while nothing happens, and what members and rooms take there.
import { setTimeout as sleep } from 'node:timers/promises';
import { withLoadGenerator } from '../generator/generator.ts';
import { CLUSTER_KINDS, withNodes } from '../harness/clusters.ts';
import { withRedis } from '../harness/redis-process.ts';
import { ENGAWA_ON_REDIS, type ServerKind, SOCKET_IO_ON_REDIS } from '../harness/server-kinds.ts';
import { requireAllJoined } from '../harness/test-bed.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { type CommandCounts, countCommands, total } from '../profiling/redis-monitor.ts';
import { redisStats } from '../profiling/redis-stats.ts';
import type { Cell } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

/** Tasks whose interval grows have reached their longest one by then. */
const FULL = { restMs: 240_000, measuredMs: 120_000 };
const QUICK = { restMs: 1_000, measuredMs: 6_000 };
const MINUTE_MS = 60_000;

interface State {
  kind: ServerKind;
  rooms: number;
  membersPerRoom: number;
  /** The members have joined, and have disconnected before the rest. */
  haveLeft?: boolean;
}

const states: State[] = [
  { kind: ENGAWA_ON_REDIS, rooms: 0, membersPerRoom: 0 },
  { kind: ENGAWA_ON_REDIS, rooms: 1, membersPerRoom: 10, haveLeft: true },
  { kind: ENGAWA_ON_REDIS, rooms: 1, membersPerRoom: 10 },
  { kind: ENGAWA_ON_REDIS, rooms: 100, membersPerRoom: 1 },
  { kind: ENGAWA_ON_REDIS, rooms: 100, membersPerRoom: 10 },
  ...SOCKET_IO_ON_REDIS.map((kind) => ({ kind, rooms: 1, membersPerRoom: 10 })),
];

const noteOf = ({ restMs, measuredMs }: typeof FULL): string =>
  [
    `Commands that one server sends to its Redis in a minute in which nothing happens, measured for ${measuredMs / 1000} s, ${restMs / 1000} s after the last member joined. All of them rest`,
    'at the same time, each with a Redis of its own whose MONITOR reports the commands; those that scripts run are counted apart. The connections stay open.',
    'Memory: growth of `used_memory` while the members joined, with the scripts that the first of them loads.',
  ].join(' ');

export const idle: Scenario = {
  name: 'idle',
  async run(bench) {
    const times = bench.quick ? QUICK : FULL;
    bench.progress(`${CLUSTER_KINDS.length} kinds of server rest for ${(times.restMs + times.measuredMs) / 1000} s`);
    const rows = await Promise.all(states.map(async (state) => toRow(state, await measure(bench, state, times), times)));
    return [
      {
        title: 'Commands of an idle minute',
        note: noteOf(times),
        columns: [
          { name: 'server' },
          { name: 'rooms' },
          { name: 'members' },
          { name: 'commands', unit: '1/min' },
          { name: 'within scripts', unit: '1/min' },
          { name: 'which' },
          { name: 'memory', unit: 'KiB' },
        ],
        rows,
      },
    ];
  },
};

interface Measured {
  counts: CommandCounts;
  memory: number;
}

function toRow({ kind, rooms, membersPerRoom, haveLeft }: State, { counts, memory }: Measured, { measuredMs }: typeof FULL): Cell[] {
  const perMinute = (count: number): number => (count * MINUTE_MS) / measuredMs;
  const which = [...counts.byClients].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${perMinute(count)}`);
  const members = haveLeft ? `0, after ${rooms * membersPerRoom}` : String(rooms * membersPerRoom);
  const totals = [counts.byClients, counts.inScripts].map((each) => perMinute(total(each)));
  return [kind.name, rooms, members, ...totals, which.join(', ') || '–', memory / 1024];
}

function measure(
  { folder: parent }: BenchContext,
  { kind, rooms, membersPerRoom, haveLeft }: State,
  times: typeof FULL,
): Promise<Measured> {
  return withTempFolder(parent, (folder) =>
    withRedis(folder, ({ url: redisUrl }) =>
      withNodes(kind, { redisUrl, count: 1 }, async ([node]) => {
        const before = await redisStats(redisUrl);
        const joined = { at: before.memory };
        const rest = async (): Promise<CommandCounts> => {
          await sleep(times.restMs);
          return countCommands(redisUrl, times.measuredMs);
        };
        const counts = await withLoadGenerator(async (generator) => {
          const target = { url: String(node?.url), dialect: kind.dialect };
          const groups = rooms === 0 ? [] : [{ name: 'room', rooms, members: membersPerRoom }];
          requireAllJoined(await generator.join({ target, groups, textBytes: 100, deadlineMs: 60_000 }));
          joined.at = (await redisStats(redisUrl)).memory;
          return haveLeft ? undefined : rest();
        }, 1);
        return { counts: counts ?? (await rest()), memory: joined.at - before.memory };
      }),
    ),
  );
}
