import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerKind } from '../harness/server-kinds.ts';
import { type LoadFigures, limitingPart, measureLoad, type TestBed, type UserGroups, withTestBed } from '../harness/test-bed.ts';
import type { BenchContext } from '../scenario.ts';

export interface RateSearch {
  company: UserGroups;
  /** Deliveries a second, growing. */
  rates: number[];
  /** After the ladder the highest rate that keeps the goal is looked for in so many steps, each halving the gap. */
  halvings: number;
  /** Of the 99th percentile. */
  goalMs: number;
  warmUpMs: number;
  measuredMs: number;
}

/** At one rate. */
export interface RateStep extends LoadFigures {
  rate: number;
}

/** What is not heard by then was not heard in time, whatever the goal. */
const PATIENCE_MS = 3_000;
/** How far the 99th percentile may be from its goal for the next rate to be tried: far above, it would only be worse. */
const HOPELESS = 10;
const PAUSE_MS = 200;
/** Who has told that share has nothing left to tell that would be in the way of the next rate. */
const ALL = 0.9999;
/** Rates are multiples of it. */
const LEAST = 1_000;

/** The rates that a server was offered, until one was far too much for it. Who has not told everything in time is not asked again: a new server is. */
export async function searchRates(bench: BenchContext, kind: ServerKind, ladder: RateSearch): Promise<RateStep[]> {
  const rungs: RateStep[] = [];
  const { company } = ladder;
  for (let rate = nextRate(rungs, ladder); rate !== undefined; rate = nextRate(rungs, ladder)) {
    await withTestBed(kind, { folder: bench.folder, company }, async (scene) => {
      const { joined, wanted, refusals } = scene.joinResult;
      if (joined < wanted) throw new Error(`${joined} of ${wanted} came in: ${refusals.join()}`);
      for (let next: number | undefined = rate; next !== undefined; next = nextRate(rungs, ladder)) {
        const rung = await measureRung(scene, next, ladder);
        rungs.push(rung);
        bench.progress(saying(kind, rung));
        if (rung.delivered < rung.offered * ALL) return;
        await sleep(PAUSE_MS);
      }
    });
  }
  return rungs.toSorted((a, b) => a.rate - b.rate);
}

/** What to try after these: the ladder as far as there is hope, then the middle of the gap. */
export function nextRate(
  rungs: Pick<RateStep, 'rate' | 'p99'>[],
  { rates, halvings, goalMs }: Omit<RateSearch, 'company'>,
): number | undefined {
  const hopeless = rungs.findIndex(({ p99 }) => !(p99 <= goalMs * HOPELESS));
  const climbed = hopeless < 0 || hopeless >= rates.length ? rates.length : hopeless + 1;
  if (rungs.length < climbed) return rates[rungs.length];
  const [kept, failed] = gapIn(rungs, goalMs);
  return rungs.length - climbed < halvings && failed < Number.POSITIVE_INFINITY ? between(kept, failed) : undefined;
}

async function measureRung(scene: TestBed, rate: number, { company, warmUpMs, measuredMs }: RateSearch): Promise<RateStep> {
  const perSecond = rate / (company.groups[0]?.members ?? 1);
  const [figures] = await measureLoad(scene, { perSecond: [perSecond], warmUpMs, measuredMs, patienceMs: PATIENCE_MS });
  return { rate, ...(figures as LoadFigures) };
}

/** The highest rate that kept the goal; NaN when none did. */
export function highestRate(rungs: RateStep[], goalMs: number): number {
  return rungs.findLast((rung) => keeps(rung, goalMs))?.rate ?? Number.NaN;
}

const keeps = ({ p99 }: Pick<RateStep, 'p99'>, goalMs: number): boolean => p99 <= goalMs;

/** The rates between which the limit lies: the highest that kept the goal, and the lowest above it that did not. */
function gapIn(rungs: Pick<RateStep, 'rate' | 'p99'>[], goalMs: number): [kept: number, failed: number] {
  const kept = Math.max(LEAST, ...rungs.filter((rung) => keeps(rung, goalMs)).map(({ rate }) => rate));
  return [kept, Math.min(...rungs.map(({ rate }) => rate).filter((rate) => rate > kept))];
}

const between = (low: number, high: number): number => Math.round(Math.sqrt(low * high) / LEAST) * LEAST;

function saying({ name }: ServerKind, rung: RateStep): string {
  const limit = limitingPart(rung);
  return [
    `${name}: ${rung.rate.toLocaleString('en-US')}/s`,
    `p50 ${rung.p50.toFixed(1)} ms`,
    `p99 ${rung.p99.toFixed(1)} ms`,
    `CPU ${rung.serverCpu.toFixed(2)}`,
    `load ${rung.loadCpu.toFixed(2)}`,
    ...(limit === 'server' ? [] : [`${limit} at its limit`]),
  ].join(', ');
}
