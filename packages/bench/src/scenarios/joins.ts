import type { JoinResult } from '../generator/generator.ts';
import { ENGAWA, type ServerKind, SOCKET_IO, TUTORIAL, unavailableReason } from '../harness/server-kinds.ts';
import { withTestBed } from '../harness/test-bed.ts';
import { cpuUsage, residentBytes } from '../profiling/process-usage.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import { type BenchContext, roundsText, type Scenario } from '../scenario.ts';

const SIZES = { full: [1_000, 10_000], quick: [500, 1_000] };
const PATIENCE_MS = { full: 60_000, quick: 5_000 };
const AT_ONCE = 200;

const NOTE = [
  `All join one room, each over a new connection of his own, ${AT_ONCE} on their way at any time; seconds until the last is in, connecting included.`,
  'Bytes are all that the members were sent meanwhile, handshakes included: where bytes a join grow with the room, joins cost its square. To reach: 10,000 within 10 s,',
  'and bytes in proportion to the members. Socket.IO tells nobody who joins.',
].join(' ');

type Figures = Record<'joined' | 'seconds' | 'bytes' | 'cpu' | 'resident', number>;

export const joins: Scenario = {
  name: 'joins',
  async run(bench) {
    const form = bench.quick ? 'quick' : 'full';
    const cases = [ENGAWA, TUTORIAL, SOCKET_IO]
      .filter((kind) => unavailableReason(kind) === undefined)
      .flatMap((kind) => SIZES[form].map((size) => ({ kind, size, rounds: [] as Figures[] })));
    for (let round = 0; round < bench.rounds; round += 1) {
      for (const { kind, size, rounds } of cases) {
        // What took all the time there was once is not waited for again.
        if (rounds.some(({ joined }) => joined < size)) continue;
        bench.progress(`${kind.name}: ${size} join`);
        rounds.push(await measure(bench, kind, { size, patienceMs: PATIENCE_MS[form] }));
      }
    }
    return [
      {
        title: 'All into one room',
        note: `${NOTE} ${roundsText(bench)}; who was not in after ${PATIENCE_MS[form] / 1000} s was not waited for.`,
        columns: [
          { name: 'server' },
          { name: 'members' },
          { name: 'joined' },
          { name: 'time', unit: 's' },
          { name: 'joins', unit: '1/s' },
          { name: 'sent', unit: 'MiB' },
          { name: 'a join', unit: 'bytes' },
          { name: 'server CPU', unit: 's' },
          { name: 'resident', unit: 'MiB' },
        ],
        rows: cases.map(({ kind, size, rounds }) => toRow(kind, size, medians(rounds))),
      },
    ];
  },
};

const toRow = ({ name }: ServerKind, size: number, { joined, seconds, bytes, cpu, resident }: Figures): Cell[] => [
  name,
  size,
  joined,
  seconds,
  Math.round(joined / seconds),
  bytes / 2 ** 20,
  Math.round(bytes / joined),
  cpu,
  resident,
];

function measure({ folder }: BenchContext, kind: ServerKind, { size, patienceMs }: { size: number; patienceMs: number }): Promise<Figures> {
  const company = { groups: [{ name: 'all', rooms: 1, members: size }], textBytes: 100, atOnce: AT_ONCE, patienceMs };
  return withTestBed(kind, { folder, company }, async ({ server: { pid }, joinResult }) => ({
    ...figuresOf(joinResult),
    cpu: cpuUsage(pid).cpu,
    resident: residentBytes(pid) / 2 ** 20,
  }));
}

const figuresOf = ({ joined, seconds, bytes }: JoinResult): Pick<Figures, 'joined' | 'seconds' | 'bytes'> => ({ joined, seconds, bytes });
