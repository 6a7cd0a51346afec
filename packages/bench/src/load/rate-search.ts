// Searches the highest rate of deliveries at which the 99th percentile meets its goal.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerKind } from '../harness/server-kinds.ts';
import {
  type LoadFigures,
  limitingPart,
  type Members,
  measureLoad,
  requireAllJoined,
  type TestBed,
  withTestBed,
} from '../harness/test-bed.ts';
import type { BenchContext } from '../scenario.ts';

export interface RateSearch {
  members: Members;
  /** Deliveries a second, ascending. */
  rates: number[];
  /** After these rates, so many more are tried, each in the middle of the gap that is left. */
  halvings: number;
  /** Goal of the 99th percentile. */
  goalMs: number;
  warmUpMs: number;
  measuredMs: number;
}

/** The figures at one rate. */
export interface RateStep extends LoadFigures {
  rate: number;
}

/** A delivery that is later has missed any goal. */
const DEADLINE_MS = 3_000;
/** Higher rates are not tried if the 99th percentile exceeds its goal by this factor. */
const HOPELESS = 10;
const PAUSE_MS = 200;
/** A server that has delivered this share is idle again, and measured at the next rate. */
const ALL = 0.9999;
/** Rates are multiples of this. */
const RATE_UNIT = 1_000;

/** Measures one rate after the other. A server that has not delivered everything in time is replaced by a new one. */
export async function searchRates(bench: BenchContext, kind: ServerKind, search: RateSearch): Promise<RateStep[]> {
  const steps: RateStep[] = [];
  const { members } = search;
  for (let rate = nextRate(steps, search); rate !== undefined; rate = nextRate(steps, search)) {
    await withTestBed(kind, { folder: bench.folder, members }, async (bed) => {
      requireAllJoined(bed.joinResult);
      for (let next: number | undefined = rate; next !== undefined; next = nextRate(steps, search)) {
        const step = await measureStep(bed, next, search);
        steps.push(step);
        bench.progress(describe(kind, step));
        if (step.delivered < step.offered * ALL) return;
        await sleep(PAUSE_MS);
      }
    });
  }
  return steps.toSorted((a, b) => a.rate - b.rate);
}

/** The rate to try after these steps: the next of the list unless it is hopeless, then the middle of the gap. */
export function nextRate(
  steps: Pick<RateStep, 'rate' | 'p99'>[],
  { rates, halvings, goalMs }: Omit<RateSearch, 'members'>,
): number | undefined {
  const hopeless = steps.findIndex(({ p99 }) => !(p99 <= goalMs * HOPELESS));
  const climbed = hopeless < 0 || hopeless >= rates.length ? rates.length : hopeless + 1;
  if (steps.length < climbed) return rates[steps.length];
  const [met, failed] = gapIn(steps, goalMs);
  return steps.length - climbed < halvings && failed < Number.POSITIVE_INFINITY ? between(met, failed) : undefined;
}

async function measureStep(bed: TestBed, rate: number, { members, warmUpMs, measuredMs }: RateSearch): Promise<RateStep> {
  const perSecond = rate / (members.groups[0]?.members ?? 1);
  const [figures] = await measureLoad(bed, { perSecond: [perSecond], warmUpMs, measuredMs, deadlineMs: DEADLINE_MS });
  return { rate, ...(figures as LoadFigures) };
}

/** The highest rate that met the goal; NaN if none did. */
export const highestRate = (steps: RateStep[], goalMs: number): number => steps.findLast(({ p99 }) => p99 <= goalMs)?.rate ?? Number.NaN;

/** The highest rate that met the goal, and the lowest above it that did not. */
function gapIn(steps: Pick<RateStep, 'rate' | 'p99'>[], goalMs: number): [met: number, failed: number] {
  const met = Math.max(RATE_UNIT, ...steps.filter(({ p99 }) => p99 <= goalMs).map(({ rate }) => rate));
  return [met, Math.min(...steps.map(({ rate }) => rate).filter((rate) => rate > met))];
}

const between = (low: number, high: number): number => Math.round(Math.sqrt(low * high) / RATE_UNIT) * RATE_UNIT;

function describe({ name }: ServerKind, step: RateStep): string {
  const limit = limitingPart(step);
  return [
    `${name}: ${step.rate.toLocaleString('en-US')}/s`,
    `p50 ${step.p50.toFixed(1)} ms`,
    `p99 ${step.p99.toFixed(1)} ms`,
    `CPU ${step.serverCpu.toFixed(2)}`,
    `load ${step.loadCpu.toFixed(2)}`,
    ...(limit === 'server' ? [] : [`the ${limit} is at its limit`]),
  ].join(', ');
}
