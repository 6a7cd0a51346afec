/** Where a server's processor time and memory go: a CPU profile under several loads, and a heap with people who do nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RoomGroup } from '../generator/generator.ts';
import { maxConnections } from '../harness/fd-limit.ts';
import { ENGAWA, type ServerKind } from '../harness/server-kinds.ts';
import { serveArgs } from '../harness/server-process.ts';
import { type TestBed, type UserGroups, withTestBed } from '../harness/test-bed.ts';
import { type CpuProfile, cpuShares } from '../profiling/cpu-profile.ts';
import { type InspectorCall, withInspector } from '../profiling/inspector-client.ts';
import { type Thread, threadUsage } from '../profiling/process-usage.ts';
import type { Cell, Table } from '../report/report.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const INSPECTED: ServerKind = {
  ...ENGAWA,
  command: ({ folder }) => [process.execPath, '--inspect=127.0.0.1:0', ...serveArgs(folder)],
};

const SAMPLE_EVERY_US = 500;
const MEASURED_MS = 8_000;
const PATIENCE_MS = 60_000;
const SETTLE_MS = 5_000;
const KIBI = 1024;

interface Load {
  /** One of what is counted. */
  each: string;
  said: string;
  groups: RoomGroup[];
  acknowledged?: boolean;
  warmUpMs: number;
  /** How many a second, when the warm-up is over. */
  run(scene: TestBed): Promise<number>;
}

const rooms = (count: number, members: number, more: Partial<RoomGroup> = {}): RoomGroup[] => [
  { name: 'room', rooms: count, members, ...more },
];
const TIMES = { warmUpMs: 2_000, measuredMs: MEASURED_MS };

/** So many chats a second, each for so many members; counted are those that they had. */
const talking =
  (perSecond: number, members: number) =>
  async ({ generator }: TestBed): Promise<number> => {
    const { groups, seconds } = await generator.runLoad({ perSecond: [perSecond], ...TIMES, patienceMs: 5_000 });
    return (groups[0]?.latency.total ?? Number.NaN) / members / seconds;
  };

const loads: Load[] = [
  {
    each: 'a chat for a hundred',
    said: '10 rooms of 100, ten thousand chats a second',
    groups: rooms(10, 100),
    warmUpMs: TIMES.warmUpMs,
    run: talking(10_000, 100),
  },
  {
    each: 'an accepted chat',
    said: '100 rooms, a thousand chats in flight, each told to one',
    groups: rooms(100, 10, { isOnePerson: true }),
    acknowledged: true,
    warmUpMs: TIMES.warmUpMs,
    async run({ generator }) {
      const { acknowledged, seconds } = await generator.measureAcks(TIMES);
      return acknowledged / seconds;
    },
  },
  {
    each: 'a connection',
    said: '5,000 come to a server that is just started, a hundred on their way at any time',
    groups: [],
    warmUpMs: 0,
    run: ({ generator, server, kind }) => generator.connect({ url: server.url, dialect: kind.dialect }, 5_000),
  },
  {
    each: 'a chat for ten',
    said: '1,000 rooms of 10, a chat a second in each',
    groups: rooms(1_000, 10),
    warmUpMs: TIMES.warmUpMs,
    run: talking(1_000, 10),
  },
];

export const profile: Scenario = {
  name: 'where',
  async run(bench) {
    const profiles: Profiled[] = [];
    for (const load of loads) {
      bench.progress(`a profile: ${load.each}`);
      profiles.push(await profileUnder(bench, load));
    }
    bench.progress('memory');
    return [timeTable(profiles), memoryTable(await measureMemory(bench))];
  },
};

/** Runs `use` with an inspected server that all of these people have joined. */
function withInspected<Result>(
  { folder }: BenchContext,
  company: Omit<UserGroups, 'textBytes' | 'patienceMs'>,
  use: (scene: TestBed, inspect: InspectorCall) => Promise<Result>,
): Promise<Result> {
  return withTestBed(INSPECTED, { folder, company: { textBytes: 100, patienceMs: PATIENCE_MS, ...company } }, async (scene) => {
    const { joined, wanted, refusals } = scene.joinResult;
    if (joined < wanted) throw new Error(`${joined} of ${wanted} came in: ${refusals.join()}`);
    return withInspector(await scene.server.inspector, (inspect) => use(scene, inspect));
  });
}

interface Profiled {
  load: Load;
  perSecond: number;
  shares: Map<string, number>;
  /** CPU seconds a second. */
  cpu: Record<'main' | 'kernel' | 'writer' | 'others', number>;
}

function profileUnder(bench: BenchContext, load: Load): Promise<Profiled> {
  const { groups, acknowledged = false, warmUpMs } = load;
  return withInspected(bench, { groups, acknowledged }, async (scene, inspect) => {
    await inspect('Profiler.enable');
    await inspect('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US });
    const running = load.run(scene);
    await Promise.race([sleep(warmUpMs), running]);
    const threads = new Set(threadUsage(scene.server.pid).map(({ id }) => id));
    await inspect('Profiler.start');
    // The profile has a thread of its own.
    const [begun, before] = [performance.now(), threadUsage(scene.server.pid).filter(({ id }) => threads.has(id))];
    await Promise.race([sleep(MEASURED_MS), running]);
    const [seconds, after] = [(performance.now() - begun) / 1000, threadUsage(scene.server.pid)];
    const { profile } = await inspect<{ profile: CpuProfile }>('Profiler.stop');
    return { load, perSecond: await running, shares: cpuShares(profile), cpu: cpuBetween(before, after, seconds) };
  });
}

/** The first thread is the main one; of the others the writer is the one that hands most to files. */
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

const TIME_NOTE = [
  '`engawa serve` on one core under a load that comes from others: µs of processor time for one of each, and percent of all its threads. The rows down to "other" are the main thread\'s time by where it was:',
  `a CPU profile, a look every ${SAMPLE_EVERY_US / 1000} ms, by the function that was running and not by those that called it. A native function is its caller's (SQLite's reads are the store's), but for the first four rows.`,
  'Between calls into JavaScript, when it reads from sockets or waits for them, the profile sees nothing: that time is spread over these rows. What the kernel did for the main thread, reading and writing, is stated below.',
  "What threads used is the system's own count. V8's helpers compile and collect garbage. The profile's own thread is left out; what it costs the main thread is some percent that the other tables do not have.",
].join(' ');

function timeTable(profiles: Profiled[]): Table {
  const places = [...(profiles[0]?.shares.keys() ?? [])];
  const row = (name: string, shareOfCore: (profiled: Profiled) => number): Cell[] => [
    name,
    ...profiles.flatMap((profiled) => {
      const { main, writer, others } = profiled.cpu;
      const used = shareOfCore(profiled);
      return [(1e6 * used) / profiled.perSecond, (100 * used) / (main + writer + others)];
    }),
  ];
  const done = profiles.map(({ load, perSecond, cpu }) => {
    const cores = (cpu.main + cpu.writer + cpu.others).toFixed(2);
    return `${load.each}: ${load.said}; ${Math.round(perSecond).toLocaleString('en-US')}/s, ${cores} of a core`;
  });
  return {
    title: "Where the processor's time goes",
    note: `${TIME_NOTE} The loads: ${done.join('. ')}.`,
    columns: [{ name: 'where' }, ...profiles.flatMap(({ load }) => [{ name: load.each, unit: 'µs' }, { name: '%' }])],
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

/** Bytes. Live is what garbage collection leaves. */
type Memory = Record<'rss' | 'heapTotal' | 'heapUsed' | 'external' | 'live' | 'liveExternal', number>;

async function measureMemory(bench: BenchContext): Promise<{ members: number; grown: Memory }> {
  const groups = rooms(Math.floor(maxConnections(15_000) / 10), 10);
  const before = await withInspected(bench, { groups: [] }, (_, inspect) => look(inspect));
  return withInspected(bench, { groups }, async ({ joinResult }, inspect) => {
    await sleep(SETTLE_MS);
    const after = await look(inspect);
    const grown = Object.fromEntries(Object.entries(after).map(([name, bytes]) => [name, bytes - before[name as keyof Memory]]));
    return { members: joinResult.joined, grown: grown as Memory };
  });
}

async function look(inspect: InspectorCall): Promise<Memory> {
  const { rss, heapTotal, heapUsed, external } = await memoryUsage(inspect);
  await inspect('HeapProfiler.collectGarbage');
  const collected = await memoryUsage(inspect);
  return { rss, heapTotal, heapUsed, external, live: collected.heapUsed, liveExternal: collected.external };
}

async function memoryUsage(inspect: InspectorCall): Promise<NodeJS.MemoryUsage> {
  const expression = 'process.memoryUsage()';
  const { result } = await inspect<{ result: { value: NodeJS.MemoryUsage } }>('Runtime.evaluate', { expression, returnByValue: true });
  return result.value;
}

function memoryTable({ members, grown }: Awaited<ReturnType<typeof measureMemory>>): Table {
  const { rss, heapTotal, heapUsed, external, live, liveExternal } = grown;
  const rows: [string, number][] = [
    ['resident', rss],
    ["objects on V8's heap that are in use", live],
    ['objects that are not, and wait for a collection', heapUsed - live],
    ["room on V8's heap that holds nothing", heapTotal - heapUsed],
    ['buffers in use that V8 keeps outside its heap', liveExternal],
    ['such buffers that wait for a collection', external - liveExternal],
    ['everything else: Node, libuv, malloc', rss - heapTotal - external],
  ];
  return {
    title: "Where an idle member's memory goes",
    note: [
      `${members.toLocaleString('en-US')} members in rooms of 10, ${SETTLE_MS / 1000} s after the last one came, less what a server holds that nobody has come to, for each of them. In use is what a collection leaves that is forced after`,
      'the rest was read; the other rows are of before. The rows below the first add up to it.',
    ].join(' '),
    columns: [{ name: 'what' }, { name: 'a member', unit: 'KiB' }],
    rows: rows.map(([name, bytes]) => [name, bytes / KIBI / members]),
  };
}
