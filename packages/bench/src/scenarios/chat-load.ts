/** Rooms in which people talk at a given rate, as rows of a table: what differs is who is there, and who does not read. */
import type { RoomGroup } from '../generator/generator.ts';
import { BUN, ENGAWA, FAN_OUT, type ServerKind, SOCKET_IO, TUTORIAL, unavailableReason } from '../harness/server-kinds.ts';
import { type LoadFigures, limitingPart, measureLoad, withTestBed } from '../harness/test-bed.ts';
import type { Cell } from '../report/report.ts';
import { medians } from '../report/statistics.ts';
import { type BenchContext, roundsText, type Scenario } from '../scenario.ts';

interface Situation {
  name: string;
  title: string;
  goal: string;
  kinds: ServerKind[];
  variants: Variant[];
  /** The small form. */
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
const PATIENCE_MS = 3_000;
const JOINING_MS = { full: 60_000, quick: 5_000 };
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

const situations: Situation[] = [
  {
    name: 'large-room',
    title: 'One large room, and a small one beside it',
    goal: 'The large room hears ten chats a second, and so does the small one. To reach: p99 at most 250 ms in the large room, no chat of the small one later than 50 ms.',
    kinds: [ENGAWA, FAN_OUT, TUTORIAL, SOCKET_IO, BUN],
    variants: [large(10_000, 10)],
    quick: [large(2_000, 2)],
    textBytes: 100,
  },
  {
    name: 'many-rooms',
    title: 'Many small rooms',
    goal: "One chat a second in each room. To reach: at most half of the tutorial's CPU.",
    kinds: [ENGAWA, FAN_OUT, TUTORIAL, SOCKET_IO, BUN],
    variants: [many(1_000, 10)],
    quick: [many(200, 2)],
    textBytes: 100,
  },
  {
    name: 'slow-readers',
    title: 'Who stops reading',
    goal: [
      'A hundred thousand deliveries a second, of texts of 2,000 bytes so that what the kernel takes for those who have stopped is full soon.',
      "To reach: the others' p99 with one reader of a hundred stopped is what it is without, and memory is bounded. Resident is at the end, while they are still stopped.",
    ].join(' '),
    kinds: [ENGAWA, FAN_OUT, SOCKET_IO],
    variants: [slow(0, 15), slow(1, 15)],
    quick: [slow(0, 2), slow(1, 2)],
    textBytes: 2_000,
  },
];

const NOTE = [
  'Milliseconds from when a chat was due to be sent until a member had it. Heard: share of the deliveries due that had come three seconds after the last chat was due.',
  'The server has one core; CPU in cores, its own with all threads, what others took of its core, and of the busiest process of the load.',
  'TCP is what all sockets of this machine hold in kernel buffers at the end.',
].join(' ');

export const chatLoads: Scenario[] = situations.map((situation) => ({
  name: situation.name,
  async run(bench) {
    const rows = await measureByTurns(bench, situation);
    const [{ seconds } = { seconds: 0 }] = variantsOf(bench, situation);
    return [
      {
        title: situation.title,
        note: `${situation.goal} ${NOTE} ${roundsText(bench)}, of ${seconds} s after ${WARM_UP_MS / 1000} s of warm-up, each time with a new server.`,
        columns: [
          { name: 'server' },
          { name: 'rooms × members' },
          { name: 'room' },
          { name: 'offered', unit: '1/s' },
          { name: 'heard', unit: '%' },
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
  },
}));

const variantsOf = ({ quick }: BenchContext, situation: Situation): Variant[] => (quick ? situation.quick : situation.variants);

/** Of each group; or why there is nothing. */
type Measured = LoadFigures[] | string;

async function measureByTurns(bench: BenchContext, situation: Situation): Promise<Cell[][]> {
  const cases = situation.kinds
    .filter((kind) => unavailableReason(kind) === undefined && (!bench.quick || QUICK_KINDS.includes(kind)))
    .flatMap((kind) => variantsOf(bench, situation).map((variant) => ({ kind, variant, rounds: [] as Measured[] })));
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const { kind, variant, rounds } of cases) {
      // Who could not even fill the rooms is not asked again.
      if (rounds.some((measured) => typeof measured === 'string')) continue;
      bench.progress(`${kind.name}, ${variant.what}`);
      rounds.push(await measure(bench, kind, { ...variant, textBytes: situation.textBytes }));
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
  const patienceMs = bench.quick ? JOINING_MS.quick : JOINING_MS.full;
  return withTestBed(kind, { folder: bench.folder, company: { groups, textBytes, patienceMs } }, async (scene) => {
    const { joined, wanted, seconds: took, refusals } = scene.joinResult;
    if (joined < wanted) return [`${joined} of ${wanted} came in within ${took.toFixed(0)} s`, ...refusals.slice(0, 1)].join(': ');
    return measureLoad(scene, { perSecond, warmUpMs: WARM_UP_MS, measuredMs: seconds * 1000, patienceMs: PATIENCE_MS });
  }).catch((error: unknown) => (error as Error).message);
}

function toCells(rounds: Measured[], index: number): Cell[] {
  const failure = rounds.find((measured) => typeof measured === 'string');
  if (typeof failure === 'string') return [...Array.from({ length: 11 }, () => Number.NaN), failure];
  const figures = medians(rounds.map((measured) => ({ ...(measured as LoadFigures[])[index] }) as Record<keyof LoadFigures, number>));
  const { offered, delivered, p50, p99, p999, max, serverCpu, othersCpu, loadCpu, resident, tcp } = figures;
  return [
    Math.round(offered),
    (100 * delivered) / offered,
    p50,
    p99,
    p999,
    max,
    serverCpu,
    othersCpu,
    loadCpu,
    resident,
    tcp,
    remarkOn(figures),
  ];
}

function remarkOn(figures: LoadFigures): string {
  const remarks = [
    figures.refused > 0 ? `${figures.refused} refused` : '',
    figures.lost > 0 ? `${figures.lost} disconnected` : '',
    limitingPart(figures) === 'server' ? '' : `${limitingPart(figures)} at its limit`,
  ];
  return remarks.filter(Boolean).join(', ') || '–';
}
