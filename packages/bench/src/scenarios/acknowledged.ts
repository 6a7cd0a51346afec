import { type ServerProcess, withNewServer } from '../harness/server-process.ts';
import { type AckLoad, type LoadFigures, withAckLoad } from '../load/ack-load.ts';
import { type CpuUsage, cpuUsage } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import type { BenchContext, Scenario } from '../scenario.ts';

const ROUNDS = 3;
const WARM_UP_SECONDS = 2;
const ROUND_SECONDS = 3;
const TEXT_BYTES = 200;

const loads = [
  { connections: 1, rooms: 1, members: 'all' },
  { connections: 64, rooms: 64, members: 'all' },
  { connections: 1_000, rooms: 1_000, members: 'all' },
  { connections: 1_000, rooms: 10, members: 'one a room' },
  { connections: 64, rooms: 10, members: 'all' },
] as const;
type Load = (typeof loads)[number];

/** Rates a second, latencies in milliseconds, CPU in cores; of each chat microseconds of the main thread, and KiB to the disk. */
type Figures = Record<'acknowledged' | 'delivered' | 'p50' | 'p99' | 'serverCpu' | 'loadCpu' | 'mainThreadTime' | 'written', number>;

const NOTE = [
  `Real WebSocket connections to a server process of its own. Each has one chat of ${TEXT_BYTES} bytes (with a clientId) in flight`,
  'and sends the next when it is acknowledged: when it is on the disk. A chat is told to its room, too. Rooms of one member, the',
  'sender, show the accepting path; but each room is a place of its own on the disk, so the fourth row has few rooms, whose one',
  'member speaks over a hundred connections, of which one hears the room. The last row has fan-out.',
  'Latency is from sending to the acknowledgement.',
  `Medians of ${ROUNDS} rounds of ${ROUND_SECONDS} s after ${WARM_UP_SECONDS} s of warm-up.`,
  'CPU, in cores, of the server with all its threads and of the one process that makes the load. For each chat: the CPU time',
  "of the server's main thread, and what the server sent to the disk.",
].join(' ');

export const acknowledged: Scenario = {
  name: 'acknowledged',
  async run(bench) {
    const rows: Cell[][] = [];
    for (const load of loads) rows.push(toRow(load, await measure(bench, load)));
    return [
      {
        title: 'Durable chats acknowledged',
        note: NOTE,
        columns: [
          { name: 'in flight' },
          { name: 'rooms' },
          { name: 'members' },
          { name: 'acknowledged', unit: '1/s' },
          { name: 'delivered', unit: '1/s' },
          { name: 'p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'server CPU' },
          { name: 'load CPU' },
          { name: 'main thread', unit: 'µs' },
          { name: 'written', unit: 'KiB' },
        ],
        rows,
      },
    ];
  },
};

function toRow({ connections, rooms, members }: Load, figures: Figures): Cell[] {
  const { p50, p99, serverCpu, loadCpu, mainThreadTime, written } = figures;
  const rates = [figures.acknowledged, figures.delivered].map(Math.round);
  return [connections, rooms, members === 'all' ? connections : rooms, ...rates, p50, p99, serverCpu, loadCpu, mainThreadTime, written];
}

function measure({ folder, progress }: BenchContext, { connections, rooms, members }: Load): Promise<Figures> {
  return withNewServer(folder, (server) =>
    withAckLoad(async (load) => {
      progress(`${connections} in flight, rooms: ${rooms}`);
      await load.join({ url: server.url, connections, rooms, members });
      await load.chat({ seconds: WARM_UP_SECONDS, textBytes: TEXT_BYTES });
      const rounds: Figures[] = [];
      while (rounds.length < ROUNDS) {
        const figures = await measureRound(server, load);
        progress(`  ${Math.round(figures.acknowledged)} acknowledged a second`);
        rounds.push(figures);
      }
      return medians(rounds);
    }),
  );
}

async function measureRound({ pid }: ServerProcess, load: AckLoad): Promise<Figures> {
  const before = cpuUsage(pid);
  const figures = await load.chat({ seconds: ROUND_SECONDS, textBytes: TEXT_BYTES });
  return perSecond(figures, before, cpuUsage(pid));
}

function perSecond(
  { seconds, acknowledged: chats, delivered, p50, p99, loadCpu }: LoadFigures,
  before: CpuUsage,
  after: CpuUsage,
): Figures {
  return {
    acknowledged: chats / seconds,
    delivered: delivered / seconds,
    p50,
    p99,
    serverCpu: (after.cpu - before.cpu) / seconds,
    loadCpu,
    mainThreadTime: ((after.mainThreadCpu - before.mainThreadCpu) / chats) * 1e6,
    written: (after.written - before.written) / chats / 1024,
  };
}
