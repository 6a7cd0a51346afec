// Rooms with chats at a fixed rate: a large room, many small rooms, and readers that stop reading.
import type { RoomGroup } from '../generator/generator.ts';
import { COALESCING, ENGAWA, isAvailable, type ServerKind, SOCKET_IO, TUTORIAL } from '../harness/server-kinds.ts';
import { type LoadFigures, limitingPart, measureLoad, requireAllJoined, withTestBed } from '../harness/test-bed.ts';
import type { Cell, Table } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import { type BenchContext, roundsText, type Scenario } from '../scenario.ts';

interface ChatLoad {
  name: string;
  title: string;
  note: string;
  kinds: ServerKind[];
  variants: Variant[];
  quick: Variant[];
  textBytes: number;
}

interface Variant {
  what: string;
  groups: RoomGroup[];
  /** Chats of each group. */
  perSecond: number[];
  seconds: number;
}

const WARM_UP_MS = 1_000;
const DEADLINE_MS = 3_000;
const JOIN_DEADLINE_MS = { full: 60_000, quick: 20_000 };
const QUICK_KINDS = [ENGAWA, TUTORIAL];

const large = (members: number, seconds: number): Variant => ({
  what: `1 × ${members.toLocaleString('en-US')}, and 1 × 10`,
  groups: [
    { name: 'large', rooms: 1, members },
    { name: 'small', rooms: 1, members: 10 },
  ],
  perSecond: [10, 10],
  seconds,
});

const many = (rooms: number, seconds: number): Variant => ({
  what: `${rooms.toLocaleString('en-US')} × 10`,
  groups: [{ name: 'many', rooms, members: 10 }],
  perSecond: [rooms],
  seconds,
});

const slow = (stopped: number, seconds: number): Variant => ({
  what: `10 × 100, ${stopped} % stopped`,
  groups: [{ name: 'room', rooms: 10, members: 100, stopped }],
  perSecond: [1_000],
  seconds,
});

const loads: ChatLoad[] = [
  {
    name: 'large-room',
    title: 'One large room, and a small one beside it',
    note: 'Each room has ten chats a second.',
    kinds: [ENGAWA, COALESCING, TUTORIAL, SOCKET_IO],
    variants: [large(10_000, 10)],
    quick: [large(2_000, 2)],
    textBytes: 100,
  },
  {
    name: 'many-rooms',
    title: 'Many small rooms',
    note: 'Each room has one chat a second.',
    kinds: [ENGAWA, COALESCING, TUTORIAL, SOCKET_IO],
    variants: [many(1_000, 10)],
    quick: [many(200, 2)],
    textBytes: 100,
  },
  {
    name: 'slow-readers',
    title: 'Readers that stop reading',
    note: 'A hundred thousand deliveries a second, of texts of 2,000 bytes, so that the buffers of the kernel are soon full. Resident is at the end, while they are still stopped.',
    kinds: [ENGAWA, COALESCING, SOCKET_IO],
    variants: [slow(0, 15), slow(1, 15)],
    quick: [slow(0, 2), slow(1, 2)],
    textBytes: 2_000,
  },
];

const NOTE = [
  'Milliseconds from when a chat was due to be sent until a member received it. Delivered: share of the deliveries that had arrived three seconds after the last chat was due.',
  'The server has one core. CPU in cores: of the server with all threads, of other processes on its core, and of the busiest process of the load.',
  'TCP: what all sockets of this machine hold in buffers of the kernel at the end.',
].join(' ');

export const chatLoads: Scenario[] = loads.map((load) => ({ name: load.name, run: (bench) => run(bench, load) }));

async function run(bench: BenchContext, load: ChatLoad): Promise<Table[]> {
  const variants = bench.quick ? load.quick : load.variants;
  const rows = await measureInTurn(bench, load, variants);
  const times = `of ${variants[0]?.seconds} s after ${WARM_UP_MS / 1000} s of warm-up, each with a new server`;
  return [
    {
      title: load.title,
      note: `${load.note} ${NOTE} ${roundsText(bench)}, ${times}.`,
      columns: [
        { name: 'server' },
        { name: 'rooms × members' },
        { name: 'room' },
        { name: 'offered', unit: '1/s' },
        { name: 'delivered', unit: '%' },
        { name: 'p50', unit: 'ms' },
        { name: 'p99', unit: 'ms' },
        { name: 'p99.9', unit: 'ms' },
        { name: 'max', unit: 'ms' },
        { name: 'server CPU' },
        { name: 'others' },
        { name: 'load CPU' },
        { name: 'resident', unit: 'MiB' },
        { name: 'TCP', unit: 'MiB' },
        { name: 'remark' },
      ],
      rows,
    },
  ];
}

/** The figures of each group, or why there are none. */
type Measured = LoadFigures[] | string;

async function measureInTurn(bench: BenchContext, load: ChatLoad, variants: Variant[]): Promise<Cell[][]> {
  const cases = load.kinds
    .filter((kind) => isAvailable(kind) && (!bench.quick || QUICK_KINDS.includes(kind)))
    .flatMap((kind) => variants.map((variant) => ({ kind, variant, rounds: [] as Measured[] })));
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const { kind, variant, rounds } of cases) {
      // A server that failed once takes its whole deadline each time.
      if (rounds.some((measured) => typeof measured === 'string')) continue;
      bench.progress(`${kind.name}, ${variant.what}`);
      rounds.push(await measure(bench, kind, { ...variant, textBytes: load.textBytes }));
    }
  }
  return cases.flatMap(({ kind, variant, rounds }) =>
    variant.groups.map((group, index) => [kind.name, variant.what, group.name, ...toCells(rounds, index)]),
  );
}

function measure(
  bench: BenchContext,
  kind: ServerKind,
  { groups, textBytes, perSecond, seconds }: Variant & { textBytes: number },
): Promise<Measured> {
  const deadlineMs = bench.quick ? JOIN_DEADLINE_MS.quick : JOIN_DEADLINE_MS.full;
  return withTestBed(kind, { folder: bench.folder, members: { groups, textBytes, deadlineMs } }, async (bed) => {
    requireAllJoined(bed.joinResult);
    return measureLoad(bed, { perSecond, warmUpMs: WARM_UP_MS, measuredMs: seconds * 1000, deadlineMs: DEADLINE_MS });
  }).catch((error: unknown) => (error as Error).message);
}

function toCells(rounds: Measured[], index: number): Cell[] {
  const failure = rounds.find((measured) => typeof measured === 'string');
  if (typeof failure === 'string') return [...Array.from({ length: 11 }, () => Number.NaN), failure];
  const figures = medians(rounds.map((measured) => ({ ...(measured as LoadFigures[])[index] }) as Record<keyof LoadFigures, number>));
  const { offered, delivered, p50, p99, p999, max, serverCpu, othersCpu, loadCpu, resident, tcp } = figures;
  const share = (100 * delivered) / offered;
  return [Math.round(offered), share, p50, p99, p999, max, serverCpu, othersCpu, loadCpu, resident, tcp, remarkOn(figures)];
}

function remarkOn(figures: LoadFigures): string {
  const remarks = [
    figures.refused > 0 ? `${figures.refused} refused` : '',
    figures.lost > 0 ? `${figures.lost} disconnected` : '',
    limitingPart(figures) === 'server' ? '' : `the ${limitingPart(figures)} is at its limit`,
  ];
  return remarks.filter(Boolean).join(', ') || '–';
}
