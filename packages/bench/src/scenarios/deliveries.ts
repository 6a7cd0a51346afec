import {
  BASELINE,
  BASELINE_IN_C,
  BUN,
  ENGAWA,
  FAN_OUT,
  SERVER_KINDS,
  type ServerKind,
  TUTORIAL,
  unavailableReason,
} from '../harness/server-kinds.ts';
import { limitingPart } from '../harness/test-bed.ts';
import { highestRate, type RateSearch, type RateStep, searchRates } from '../load/rate-search.ts';
import type { Cell, Table } from '../report/report.ts';
import { median, medians } from '../report/statistics.ts';
import type { Plot } from '../report/svg-plot.ts';
import { type BenchContext, roundsText, type Scenario } from '../scenario.ts';

const GROUP = { name: 'room', rooms: 10, members: 100 };
const TEXT_BYTES = 100;
const GOAL_MS = 100;
const COMPANY = { groups: [GROUP], textBytes: TEXT_BYTES, patienceMs: 30_000 };

/** Rates that are told of, whatever others were tried. */
const SHOWN = [50_000, 200_000, 1_000_000, 1_500_000];

const full: RateSearch = {
  company: COMPANY,
  rates: [20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000],
  halvings: 3,
  goalMs: GOAL_MS,
  warmUpMs: 1_000,
  measuredMs: 4_000,
};
const quick: RateSearch = { ...full, rates: [50_000, 200_000, 1_000_000], halvings: 0, warmUpMs: 300, measuredMs: 1_000 };
const QUICK_KINDS = [ENGAWA, FAN_OUT, TUTORIAL, BUN, BASELINE];

const NOTE = [
  `${GROUP.rooms} rooms of ${GROUP.members} members, each over a WebSocket of his own; all speak by turns, texts of ${TEXT_BYTES} bytes, every chat is told to all members of its`,
  'room. The server has one core, whatever makes load (and a Redis, where one is needed) has the others. p50 / p99 in milliseconds from when a chat was',
  'due to be sent until a member had it: a server that makes the load wait gains nothing. What had not come three seconds after the last chat was due counts as never. Bytes',
  'are those of a chat as it is told. CPU of the server, all its threads, and of the busiest process of the load, in cores, at the highest rate (at the lowest, when the server kept the goal at none). "Others" is what of',
  "the server's core went to anybody else: where it is not near 0 the machine was not quiet, and the server could do better.",
  'The plain servers (Bun, floors) know no Socket.IO, names or joins: they pass on the bytes that they are given.',
].join(' ');

interface Climbed {
  kind: ServerKind;
  rungs: RateStep[];
  highest: number;
  failure: string;
}

export const deliveries: Scenario = {
  name: 'deliveries',
  async run(bench) {
    const ladder = bench.quick ? quick : full;
    const kinds = bench.quick ? QUICK_KINDS : SERVER_KINDS;
    const all = await climbByTurns(
      bench,
      kinds.filter((kind) => unavailableReason(kind) === undefined),
      ladder,
    );
    return [tableOf(bench, all, { kinds, ladder }), ...against(all)];
  },
};

/** Every server once a round, so that what changes on the machine meanwhile meets all of them. */
async function climbByTurns(bench: BenchContext, kinds: ServerKind[], ladder: RateSearch): Promise<Climbed[]> {
  const rounds: RateStep[][][] = kinds.map(() => []);
  const failures = kinds.map(() => '');
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const [index, kind] of kinds.entries()) {
      try {
        rounds[index]?.push(await searchRates(bench, kind, ladder));
      } catch (error) {
        failures[index] = (error as Error).message;
      }
    }
  }
  return kinds.map((kind, index) => ({
    kind,
    rungs: mediansOf(rounds[index] ?? []),
    highest: median((rounds[index] ?? []).map((rungs) => highestRate(rungs, ladder.goalMs))),
    failure: failures[index] ?? '',
  }));
}

/** At each rate the medians of the rounds that tried it. */
function mediansOf(rounds: RateStep[][]): RateStep[] {
  const rates = [...new Set(rounds.flat().map(({ rate }) => rate))].sort((a, b) => a - b);
  return rates.map(
    (rate) => medians(rounds.flat().filter((rung) => rung.rate === rate) as (RateStep & Record<string, number>)[]) as unknown as RateStep,
  );
}

function tableOf(bench: BenchContext, all: Climbed[], { kinds, ladder }: { kinds: ServerKind[]; ladder: RateSearch }): Table {
  const shown = SHOWN.filter((rate) => ladder.rates.includes(rate));
  const missing = kinds
    .flatMap((kind) => unavailableReason(kind) ?? [])
    .map((why, index) => `${index === 0 ? ' Not measured: ' : ''}${why}`);
  return {
    title: 'Deliveries a second',
    note: `${NOTE} ${roundsText(bench)}, of ${ladder.measuredMs / 1000} s each after ${ladder.warmUpMs / 1000} s of warm-up.${missing.join('; ')}`,
    columns: [
      { name: 'server' },
      { name: 'keeps chats' },
      ...shown.map((rate) => ({ name: `${rate.toLocaleString('en-US')}/s` })),
      { name: `highest with p99 ≤ ${ladder.goalMs} ms`, unit: '1/s' },
      { name: 'bytes' },
      { name: 'CPU of a delivery', unit: 'µs' },
      { name: 'server CPU' },
      { name: 'others' },
      { name: 'load CPU' },
      { name: 'resident', unit: 'MiB' },
      { name: 'limited by' },
    ],
    rows: all.map((climbed) => toRow(climbed, shown)),
    plot: plotOf(all, ladder),
  };
}

function toRow({ kind, rungs, highest, failure }: Climbed, shown: number[]): Cell[] {
  const at = (rate: number): RateStep | undefined => rungs.find((rung) => rung.rate === rate);
  const best = rungs.filter(({ rate }) => rate <= highest).at(-1) ?? rungs[0];
  const figures = best
    ? [best.bytes, (best.serverCpu / best.delivered) * 1e6, best.serverCpu, best.othersCpu, best.loadCpu, best.resident]
    : Array.from({ length: 6 }, () => Number.NaN);
  return [kind.name, kind.keeps, ...shown.map((rate) => latencies(at(rate))), highest, ...figures, failure || limitAbove(rungs, highest)];
}

const latencies = (rung: RateStep | undefined): string => (rung === undefined ? '–' : `${brief(rung.p50)} / ${brief(rung.p99)}`);

/** Whose limit the highest rate is. */
function limitAbove(rungs: RateStep[], highest: number): string {
  const next = rungs.find(({ rate }) => !(rate <= highest));
  return next === undefined ? 'not met' : limitingPart(next);
}

const brief = (milliseconds: number): string =>
  Number.isFinite(milliseconds) ? milliseconds.toLocaleString('en-US', { maximumSignificantDigits: milliseconds < 100 ? 2 : 3 }) : 'never';

const plotOf = (all: Climbed[], { rates, goalMs }: RateSearch): Plot => ({
  title: `p99 of deliveries, ${GROUP.rooms} rooms of ${GROUP.members}, server on one core`,
  x: { name: 'offered, deliveries a second', least: Math.min(...rates), most: Math.max(...rates) },
  y: { name: 'p99, ms', least: 1, most: 5_000 },
  goal: goalMs,
  series: all.map(({ kind, rungs }) => ({
    name: kind.name,
    points: rungs.map(({ rate, p99 }) => [rate, p99]),
    isOurs: kind.isOurs ?? false,
  })),
});

/** The highest rate of each beside that of its measure. */
function against(all: Climbed[]): Table[] {
  const highest = (kind: ServerKind): number => all.find((climbed) => climbed.kind === kind)?.highest ?? Number.NaN;
  const pairs: [ServerKind, ServerKind, string][] = [
    [ENGAWA, TUTORIAL, '≥ 30'],
    [ENGAWA, BUN, '≥ 2'],
    [FAN_OUT, BASELINE_IN_C, '≥ 0.9'],
    [FAN_OUT, BASELINE, '≥ 0.9'],
    [FAN_OUT, BUN, '–'],
  ];
  return [
    {
      title: 'One beside the other',
      note: 'Highest rates of the table before, the one divided by the other.',
      columns: [{ name: 'server' }, { name: 'beside' }, { name: 'times' }, { name: 'goal' }],
      rows: pairs.map(([kind, other, goal]) => [kind.name, other.name, highest(kind) / highest(other), goal]),
    },
  ];
}
