// How many chats a second are acknowledged, each on the disk, and what one costs.
import { ENGAWA, type ServerKind, SOCKET_IO } from '../harness/server-kinds.ts';
import { MAX_LOAD_CPU, requireAllJoined, withTestBed } from '../harness/test-bed.ts';
import { cpuUsage } from '../profiling/process-usage.ts';
import { type BenchContext, measureInTurn, roundsText, type Scenario } from '../scenario.ts';

const TEXT_BYTES = 100;
const TIMES = { full: { warmUpMs: 2_000, measuredMs: 5_000 }, quick: { warmUpMs: 500, measuredMs: 1_000 } };

interface Load {
  kind: ServerKind;
  rooms: number;
  /** Connections, each with one chat in flight. */
  connections: number;
}

const FULL: Load[] = [
  { kind: ENGAWA, rooms: 1, connections: 1 },
  { kind: ENGAWA, rooms: 64, connections: 64 },
  { kind: ENGAWA, rooms: 100, connections: 1_000 },
  { kind: ENGAWA, rooms: 1_000, connections: 1_000 },
  { kind: SOCKET_IO, rooms: 100, connections: 1_000 },
];
const QUICK = FULL.filter(({ rooms }) => rooms <= 100);

type Figures = Record<'perSecond' | 'p50' | 'p99' | 'cpu' | 'mainThread' | 'written' | 'loadCpu' | 'refused', number>;

const NOTE = [
  `Each connection has one chat of ${TEXT_BYTES} bytes in flight, and sends the next when it is acknowledged: Engawa has it on the disk then, Socket.IO stores nothing.`,
  'The connections of a room are one member; one of them receives what is sent. Milliseconds from sending to the acknowledgement; CPU in cores.',
  "The server has one core, its store included. Main thread: the CPU time of the server's main thread for a chat. Written: what the server sends to the disk for a chat.",
].join(' ');

export const accepted: Scenario = {
  name: 'accepted',
  async run(bench) {
    const loads = bench.quick ? QUICK : FULL;
    const times = bench.quick ? TIMES.quick : TIMES.full;
    const figures = await measureInTurn(loads, bench.rounds, (load) => measure(bench, load, times));
    return [
      {
        title: 'Chats accepted a second',
        note: `${NOTE} ${roundsText(bench)} of ${times.measuredMs / 1000} s after ${times.warmUpMs / 1000} s of warm-up.`,
        columns: [
          { name: 'server' },
          { name: 'rooms' },
          { name: 'in flight' },
          { name: 'acknowledged', unit: '1/s' },
          { name: 'p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'server CPU' },
          { name: 'main thread', unit: 'µs' },
          { name: 'written', unit: 'KiB' },
          { name: 'load CPU' },
          { name: 'remark' },
        ],
        rows: loads.map(({ kind, rooms, connections }, index) => {
          const { perSecond, p50, p99, cpu, mainThread, written, loadCpu, refused } = figures[index] as Figures;
          const remarks = [loadCpu > MAX_LOAD_CPU ? 'load at its limit' : '', refused > 0 ? `${refused} refused` : ''];
          const remark = remarks.filter(Boolean).join(', ') || '–';
          return [kind.name, rooms, connections, Math.round(perSecond), p50, p99, cpu, mainThread, written, loadCpu, remark];
        }),
      },
    ];
  },
};

function measure({ folder, progress }: BenchContext, { kind, rooms, connections }: Load, times: (typeof TIMES)['full']): Promise<Figures> {
  progress(`${kind.name}: ${connections} in flight in ${rooms} rooms`);
  const groups = [{ name: 'room', rooms, members: connections / rooms, isOnePerson: true }];
  const members = { groups, textBytes: TEXT_BYTES, acknowledged: true, deadlineMs: 30_000 };
  return withTestBed(kind, { folder, members }, async ({ server: { pid }, generator, joinResult }) => {
    requireAllJoined(joinResult);
    const [begun, before] = [performance.now(), cpuUsage(pid)];
    const { acknowledged, seconds, latency, load, refused } = await generator.measureAcks(times);
    const after = cpuUsage(pid);
    const took = (performance.now() - begun) / 1000;
    // The warm-up is in what the server used, and not in what was acknowledged.
    const chats = (acknowledged / seconds) * took;
    return {
      perSecond: acknowledged / seconds,
      p50: latency.percentile(0.5) / 1000,
      p99: latency.percentile(0.99) / 1000,
      cpu: (after.cpu - before.cpu) / took,
      mainThread: ((after.mainThreadCpu - before.mainThreadCpu) / chats) * 1e6,
      written: (after.written - before.written) / chats / 1024,
      loadCpu: load.cpu,
      refused,
    };
  });
}
