// How long it takes until many members have joined one room, and what they are sent meanwhile.
import { ENGAWA, isAvailable, type ServerKind, SOCKET_IO, TUTORIAL } from '../harness/server-kinds.ts';
import { withTestBed } from '../harness/test-bed.ts';
import { cpuUsage, residentBytes } from '../profiling/process-usage.ts';
import { type BenchContext, measureInTurn, roundsText, type Scenario } from '../scenario.ts';

const FULL = { sizes: [1_000, 10_000], deadlineMs: 60_000 };
const QUICK = { sizes: [500, 1_000], deadlineMs: 20_000 };
const CONCURRENCY = 200;

const NOTE = [
  `All join one room, each over a new connection, ${CONCURRENCY} at a time; seconds until the last has joined, connecting included.`,
  'Bytes: all that the members received meanwhile, handshakes included. Where the bytes of a join grow with the room, joins cost its square. Socket.IO broadcasts no joins.',
].join(' ');

type Figures = Record<'joined' | 'seconds' | 'bytes' | 'cpu' | 'resident', number>;

export const joins: Scenario = {
  name: 'joins',
  async run(bench) {
    const { sizes, deadlineMs } = bench.quick ? QUICK : FULL;
    const cases = [ENGAWA, TUTORIAL, SOCKET_IO].filter(isAvailable).flatMap((kind) => sizes.map((size) => ({ kind, size })));
    const figures = await measureInTurn(cases, bench.rounds, ({ kind, size }) => measure(bench, kind, { size, deadlineMs }));
    return [
      {
        title: 'All into one room',
        note: `${NOTE} ${roundsText(bench)}, each of at most ${deadlineMs / 1000} s.`,
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
        rows: cases.map(({ kind, size }, index) => {
          const { joined, seconds, bytes, cpu, resident } = figures[index] as Figures;
          const [perSecond, each] = [Math.round(joined / seconds), Math.round(bytes / joined)];
          return [kind.name, size, joined, seconds, perSecond, bytes / 2 ** 20, each, cpu, resident];
        }),
      },
    ];
  },
};

function measure(
  { folder, progress }: BenchContext,
  kind: ServerKind,
  { size, deadlineMs }: { size: number; deadlineMs: number },
): Promise<Figures> {
  progress(`${kind.name}: ${size} join`);
  const members = { groups: [{ name: 'all', rooms: 1, members: size }], textBytes: 100, concurrency: CONCURRENCY, deadlineMs };
  return withTestBed(kind, { folder, members }, async ({ server: { pid }, joinResult: { joined, seconds, bytes } }) => ({
    joined,
    seconds,
    bytes,
    cpu: cpuUsage(pid).cpu,
    resident: residentBytes(pid) / 2 ** 20,
  }));
}
