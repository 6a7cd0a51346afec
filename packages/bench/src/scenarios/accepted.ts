import type { RoomGroup } from '../generator/generator.ts';
import { ENGAWA, type ServerKind, SOCKET_IO } from '../harness/server-kinds.ts';
import { MAX_LOAD_CPU, withTestBed } from '../harness/test-bed.ts';
import { cpuUsage } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import { type BenchContext, roundsText, type Scenario } from '../scenario.ts';

const TEXT_BYTES = 100;
const TIMES = { full: { warmUpMs: 2_000, measuredMs: 5_000 }, quick: { warmUpMs: 500, measuredMs: 1_000 } };

/** A thousand connections, of which in each room one hears, and the others speak as the same member. */
const groups: RoomGroup[] = [
  { name: 'room', rooms: 100, members: 10, isOnePerson: true },
  { name: 'room', rooms: 10, members: 100, isOnePerson: true },
];

type Figures = Record<'perSecond' | 'p50' | 'p99' | 'cpu' | 'loadCpu' | 'refused', number>;

const NOTE = [
  `A thousand connections, each of which has one chat of ${TEXT_BYTES} bytes under way and sends the next when it is acknowledged: by Engawa when it is on the disk, by Socket.IO, which keeps nothing,`,
  'when it was told. In each room one connection hears what is said, over the others the same member speaks. Milliseconds from sending to the acknowledgement; CPU in cores. The server has one core,',
  'its store included. To reach: 20,000.',
].join(' ');

export const accepted: Scenario = {
  name: 'accepted',
  async run(bench) {
    const form = bench.quick ? 'quick' : 'full';
    const cases = (bench.quick ? [ENGAWA] : [ENGAWA, SOCKET_IO]).flatMap((kind) =>
      (bench.quick ? groups.slice(0, 1) : groups).map((group) => ({ kind, group, rounds: [] as Figures[] })),
    );
    for (let round = 0; round < bench.rounds; round += 1) {
      for (const { kind, group, rounds } of cases) {
        bench.progress(`${kind.name}: accepts in ${group.rooms} rooms`);
        rounds.push(await measure(bench, { kind, group, times: TIMES[form] }));
      }
    }
    return [
      {
        title: 'Chats accepted a second',
        note: `${NOTE} ${roundsText(bench)} of ${TIMES[form].measuredMs / 1000} s after ${TIMES[form].warmUpMs / 1000} s of warm-up.`,
        columns: [
          { name: 'server' },
          { name: 'rooms' },
          { name: 'in flight' },
          { name: 'acknowledged', unit: '1/s' },
          { name: 'p50', unit: 'ms' },
          { name: 'p99', unit: 'ms' },
          { name: 'server CPU' },
          { name: 'load CPU' },
          { name: 'remark' },
        ],
        rows: cases.map(({ kind, group, rounds }) => toRow(kind, group, medians(rounds))),
      },
    ];
  },
};

function toRow({ name }: ServerKind, { rooms, members }: RoomGroup, { perSecond, p50, p99, cpu, loadCpu, refused }: Figures): Cell[] {
  const remarks = [loadCpu > MAX_LOAD_CPU ? 'load at its limit' : '', refused > 0 ? `${refused} refused` : ''].filter(Boolean).join(', ');
  return [name, rooms, rooms * members, Math.round(perSecond), p50, p99, cpu, loadCpu, remarks || '–'];
}

interface Case {
  kind: ServerKind;
  group: RoomGroup;
  times: { warmUpMs: number; measuredMs: number };
}

function measure({ folder }: BenchContext, { kind, group, times }: Case): Promise<Figures> {
  const company = { groups: [group], textBytes: TEXT_BYTES, acknowledged: true, patienceMs: 30_000 };
  return withTestBed(kind, { folder, company }, async ({ server, generator, joinResult }) => {
    if (joinResult.joined < joinResult.wanted) throw new Error(`Only ${joinResult.joined} came in: ${joinResult.refusals.join()}`);
    const [begun, before] = [performance.now(), cpuUsage(server.pid).cpu];
    const asked = await generator.measureAcks(times);
    return {
      perSecond: asked.acknowledged / asked.seconds,
      p50: asked.latency.percentile(0.5) / 1000,
      p99: asked.latency.percentile(0.99) / 1000,
      cpu: (cpuUsage(server.pid).cpu - before) / ((performance.now() - begun) / 1000),
      loadCpu: asked.load.cpu,
      refused: asked.refused,
    };
  });
}
