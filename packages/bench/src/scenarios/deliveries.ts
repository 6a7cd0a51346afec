// How many deliveries a second each server makes within 100 ms, beside one another.
import {
  BASELINE,
  COALESCING,
  ENGAWA,
  isAvailable,
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

const FULL: RateSearch = {
  members: { groups: [GROUP], textBytes: TEXT_BYTES, deadlineMs: 30_000 },
  rates: [20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000],
  halvings: 3,
  goalMs: 100,
  warmUpMs: 1_000,
  measuredMs: 4_000,
};
const QUICK: RateSearch = { ...FULL, rates: [50_000, 200_000, 1_000_000], halvings: 0, warmUpMs: 300, measuredMs: 1_000 };
const QUICK_KINDS = [ENGAWA, COALESCING, TUTORIAL, BASELINE];
/** Rates that have a column. */
const SHOWN = [50_000, 200_000, 1_000_000, 1_500_000];

const NOTE = [
  `${GROUP.rooms} rooms of ${GROUP.members} members, each over a WebSocket; all send in turn, texts of ${TEXT_BYTES} bytes, and each chat is broadcast to all members of its room.`,
  'The server has one core; the load, and a Redis if one is needed, have the others. p50 / p99 in milliseconds from when a chat was due to be sent until a member received it,',
  'so a server that slows the load down gains nothing. A delivery that is later than three seconds after the last chat counts as never. Bytes: size of a broadcast chat.',
  'CPU of the server with all threads, and of the busiest process of the load, in cores, at the highest rate that met the goal (the lowest if none did). "Others": what other processes used of',
  "the server's core; if it is not near 0 the server could do better. The baseline knows no Socket.IO, names or joins: it copies bytes.",
].join(' ');

interface Searched {
  kind: ServerKind;
  steps: RateStep[];
  highest: number;
  failure: string;
}

export const deliveries: Scenario = {
  name: 'deliveries',
  async run(bench) {
    const search = bench.quick ? QUICK : FULL;
    const kinds = bench.quick ? QUICK_KINDS : SERVER_KINDS;
    const all = await searchInTurn(bench, kinds.filter(isAvailable), search);
    return [tableOf(bench, all, { kinds, search }), ratiosOf(all)];
  },
};

/** Each server once in each round, so that a change of the machine affects all of them. */
async function searchInTurn(bench: BenchContext, kinds: ServerKind[], search: RateSearch): Promise<Searched[]> {
  const rounds: RateStep[][][] = kinds.map(() => []);
  const failures = kinds.map(() => '');
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const [index, kind] of kinds.entries()) {
      try {
        rounds[index]?.push(await searchRates(bench, kind, search));
      } catch (error) {
        failures[index] = (error as Error).message;
      }
    }
  }
  return kinds.map((kind, index) => ({
    kind,
    steps: mediansOf(rounds[index] ?? []),
    highest: median((rounds[index] ?? []).map((steps) => highestRate(steps, search.goalMs))),
    failure: failures[index] ?? '',
  }));
}

/** At each rate the medians of the rounds that tried it. */
function mediansOf(rounds: RateStep[][]): RateStep[] {
  const rates = [...new Set(rounds.flat().map(({ rate }) => rate))].sort((a, b) => a - b);
  return rates.map(
    (rate) => medians(rounds.flat().filter((step) => step.rate === rate) as (RateStep & Record<string, number>)[]) as unknown as RateStep,
  );
}

function tableOf(bench: BenchContext, all: Searched[], { kinds, search }: { kinds: ServerKind[]; search: RateSearch }): Table {
  const shown = SHOWN.filter((rate) => search.rates.includes(rate));
  const missing = kinds.flatMap((kind) => unavailableReason(kind) ?? []).join('; ');
  const times = `of ${search.measuredMs / 1000} s each after ${search.warmUpMs / 1000} s of warm-up`;
  return {
    title: 'Deliveries a second',
    note: `${NOTE} ${roundsText(bench)}, ${times}.${missing && ` Not measured: ${missing}.`}`,
    columns: [
      { name: 'server' },
      { name: 'stores chats' },
      ...shown.map((rate) => ({ name: `${rate.toLocaleString('en-US')}/s` })),
      { name: `highest with p99 ≤ ${search.goalMs} ms`, unit: '1/s' },
      { name: 'bytes' },
      { name: 'CPU of a delivery', unit: 'µs' },
      { name: 'server CPU' },
      { name: 'others' },
      { name: 'load CPU' },
      { name: 'resident', unit: 'MiB' },
      { name: 'limited by' },
    ],
    rows: all.map((searched) => toRow(searched, shown)),
    plot: plotOf(all, search),
  };
}

function toRow({ kind, steps, highest, failure }: Searched, shown: number[]): Cell[] {
  const best = steps.filter(({ rate }) => rate <= highest).at(-1) ?? steps[0];
  const figures = best
    ? [best.bytes, (best.serverCpu / best.delivered) * 1e6, best.serverCpu, best.othersCpu, best.loadCpu, best.resident]
    : Array.from({ length: 6 }, () => Number.NaN);
  const latencies = shown.map((rate) => latenciesOf(steps.find((step) => step.rate === rate)));
  return [kind.name, kind.stores, ...latencies, highest, ...figures, failure || limitAbove(steps, highest)];
}

const latenciesOf = (step: RateStep | undefined): string => (step === undefined ? '–' : `${brief(step.p50)} / ${brief(step.p99)}`);

/** What limits the highest rate. */
function limitAbove(steps: RateStep[], highest: number): string {
  const next = steps.find(({ rate }) => !(rate <= highest));
  return next === undefined ? 'not reached' : limitingPart(next);
}

const brief = (milliseconds: number): string =>
  Number.isFinite(milliseconds) ? milliseconds.toLocaleString('en-US', { maximumSignificantDigits: milliseconds < 100 ? 2 : 3 }) : 'never';

const plotOf = (all: Searched[], { rates, goalMs }: RateSearch): Plot => ({
  title: `p99 of deliveries, ${GROUP.rooms} rooms of ${GROUP.members}, server on one core`,
  x: { name: 'offered, deliveries a second', least: Math.min(...rates), most: Math.max(...rates) },
  y: { name: 'p99, ms', least: 1, most: 5_000 },
  goal: goalMs,
  series: all.map(({ kind, steps }) => ({
    name: kind.name,
    points: steps.map(({ rate, p99 }) => [rate, p99]),
    isOurs: kind.isOurs ?? false,
  })),
});

function ratiosOf(all: Searched[]): Table {
  const highest = (kind: ServerKind): number => all.find((searched) => searched.kind === kind)?.highest ?? Number.NaN;
  const pairs: [ServerKind, ServerKind, string][] = [
    [ENGAWA, TUTORIAL, '≥ 20'],
    [ENGAWA, BASELINE, '≥ 0.65'],
    [COALESCING, BASELINE, '≥ 0.9'],
  ];
  return {
    title: 'One beside the other',
    note: 'The highest rate of one divided by that of the other.',
    columns: [{ name: 'server' }, { name: 'beside' }, { name: 'ratio' }, { name: 'goal' }],
    rows: pairs.map(([kind, other, goal]) => [kind.name, other.name, highest(kind) / highest(other), goal]),
  };
}
