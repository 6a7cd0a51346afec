// Where the processor time of a server goes: a CPU profile under several loads.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RoomGroup } from '../generator/generator.ts';
import { ENGAWA, type ServerKind } from '../harness/server-kinds.ts';
import { serveArgs } from '../harness/server-process.ts';
import { requireAllJoined, type TestBed, withTestBed } from '../harness/test-bed.ts';
import { type CpuProfile, cpuShares } from '../profiling/cpu-profile.ts';
import { withInspector } from '../profiling/inspector-client.ts';
import { type Thread, threadUsage } from '../profiling/process-usage.ts';
import type { Cell, Table } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const INSPECTED: ServerKind = {
  ...ENGAWA,
  command: ({ folder }) => [process.execPath, '--inspect=127.0.0.1:0', ...serveArgs(folder)],
};

const SAMPLE_INTERVAL_US = 500;
const FULL = { warmUpMs: 2_000, measuredMs: 8_000, chats: 10_000, connections: 5_000, rooms: 1_000 };
const QUICK = { warmUpMs: 500, measuredMs: 1_500, chats: 500, connections: 200, rooms: 100 };
const DEADLINE_MS = 60_000;
type Size = typeof FULL;

interface Load {
  /** What is counted. */
  unit: string;
  what: string;
  groups: RoomGroup[];
  acknowledged?: boolean;
  /** Resolves with how many a second. */
  run(bed: TestBed): Promise<number>;
}

const chats =
  (perSecond: number, members: number, { warmUpMs, measuredMs }: Size) =>
  async ({ generator }: TestBed): Promise<number> => {
    const { groups, seconds } = await generator.runLoad({ perSecond: [perSecond], warmUpMs, measuredMs, deadlineMs: 5_000 });
    return (groups[0]?.latency.total ?? Number.NaN) / members / seconds;
  };

const loadsOf = (size: Size): Load[] => [
  {
    unit: 'a chat for a hundred',
    what: `10 rooms of 100, ${size.chats} chats a second`,
    groups: [{ name: 'room', rooms: 10, members: 100 }],
    run: chats(size.chats, 100, size),
  },
  {
    unit: 'an accepted chat',
    what: '100 rooms, a thousand chats in flight, each broadcast to one member',
    groups: [{ name: 'room', rooms: 100, members: 10, isOnePerson: true }],
    acknowledged: true,
    async run({ generator }) {
      const { acknowledged, seconds } = await generator.measureAcks(size);
      return acknowledged / seconds;
    },
  },
  {
    unit: 'a connection',
    what: `${size.connections} connect to a new server, a hundred at a time`,
    groups: [],
    run: ({ generator, server, kind }) => generator.connect({ url: server.url, dialect: kind.dialect }, size.connections),
  },
  {
    unit: 'a chat for ten',
    what: `${size.rooms} rooms of 10, a chat a second in each`,
    groups: [{ name: 'room', rooms: size.rooms, members: 10 }],
    run: chats(size.rooms, 10, size),
  },
];

export const profile: Scenario = {
  name: 'profile',
  async run(bench) {
    const profiles: Profiled[] = [];
    const size = bench.quick ? QUICK : FULL;
    for (const load of loadsOf(size)) profiles.push(await profileUnder(bench, load, size));
    return [tableOf(profiles)];
  },
};

interface Profiled {
  load: Load;
  perSecond: number;
  shares: Map<string, number>;
  /** CPU in cores. */
  cpu: Record<'main' | 'kernel' | 'writer' | 'others', number>;
}

function profileUnder({ folder, progress }: BenchContext, load: Load, { warmUpMs, measuredMs }: Size): Promise<Profiled> {
  progress(load.unit);
  const { groups, acknowledged = false } = load;
  const members = { groups, acknowledged, textBytes: 100, deadlineMs: DEADLINE_MS };
  return withTestBed(INSPECTED, { folder, members }, async (bed) => {
    requireAllJoined(bed.joinResult);
    return withInspector(await bed.server.inspector, async (inspect) => {
      await inspect('Profiler.enable');
      await inspect('Profiler.setSamplingInterval', { interval: SAMPLE_INTERVAL_US });
      const running = load.run(bed);
      // Connections are profiled from the first one.
      if (groups.length > 0) await sleep(warmUpMs);
      const threads = new Set(threadUsage(bed.server.pid).map(({ id }) => id));
      await inspect('Profiler.start');
      // The profiler has a thread of its own, which does not count.
      const [begun, before] = [performance.now(), threadUsage(bed.server.pid).filter(({ id }) => threads.has(id))];
      await Promise.race([sleep(measuredMs), running]);
      const [seconds, after] = [(performance.now() - begun) / 1000, threadUsage(bed.server.pid)];
      const result = await inspect<{ profile: CpuProfile }>('Profiler.stop');
      return { load, perSecond: await running, shares: cpuShares(result.profile), cpu: cpuBetween(before, after, seconds) };
    });
  });
}

/** The first thread is the main one; the writer is the one that writes most to files. */
function cpuBetween(before: Thread[], after: Thread[], seconds: number): Profiled['cpu'] {
  const used = before.map((was) => {
    const { cpu, kernel, written } = after.find(({ id }) => id === was.id) ?? was;
    return { cpu: (cpu - was.cpu) / seconds, kernel: (kernel - was.kernel) / seconds, written };
  });
  const [main, ...rest] = used;
  const [writer, ...others] = rest.toSorted((a, b) => b.written - a.written);
  return {
    main: main?.cpu ?? Number.NaN,
    kernel: main?.kernel ?? Number.NaN,
    writer: writer?.cpu ?? Number.NaN,
    others: others.reduce((total, { cpu }) => total + cpu, 0),
  };
}

const NOTE = [
  `Processor time of \`engawa serve\` on one core, µs for one of each, and percent of all its threads. The rows down to "other" are the main thread: a CPU profile, sampled every ${SAMPLE_INTERVAL_US / 1000} ms, by the function that was running.`,
  'A native function counts as its caller (reads of SQLite as the store), except in the first four rows. Between calls into JavaScript the profile sees nothing: that time is spread over these rows.',
  "The time of threads is the system's own count. V8's helpers compile and collect garbage.",
].join(' ');

function tableOf(profiles: Profiled[]): Table {
  const places = [...(profiles[0]?.shares.keys() ?? [])];
  const row = (name: string, coresOf: (profiled: Profiled) => number): Cell[] => [
    name,
    ...profiles.flatMap((profiled) => {
      const { main, writer, others } = profiled.cpu;
      const cores = coresOf(profiled);
      return [(1e6 * cores) / profiled.perSecond, (100 * cores) / (main + writer + others)];
    }),
  ];
  const summaries = profiles.map(({ load, perSecond, cpu }) => {
    const cores = (cpu.main + cpu.writer + cpu.others).toFixed(2);
    return `${load.unit}: ${load.what}; ${Math.round(perSecond).toLocaleString('en-US')}/s, ${cores} of a core`;
  });
  return {
    title: 'Where the processor time goes',
    note: `${NOTE} The loads: ${summaries.join('. ')}.`,
    columns: [{ name: 'where' }, ...profiles.flatMap(({ load }) => [{ name: load.unit, unit: 'µs' }, { name: '%' }])],
    rows: [
      ...places.map((place) => row(place, ({ shares, cpu }) => (shares.get(place) ?? 0) * cpu.main)),
      row('main thread, all of these', ({ cpu }) => cpu.main),
      row('of it in the kernel', ({ cpu }) => cpu.kernel),
      row('writer thread', ({ cpu }) => cpu.writer),
      row("V8's helpers and others", ({ cpu }) => cpu.others),
      row('all', ({ cpu }) => cpu.main + cpu.writer + cpu.others),
    ],
  };
}
