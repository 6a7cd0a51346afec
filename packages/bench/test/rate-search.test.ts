// Which rates are tried in the search for the highest one that keeps a goal.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextRate } from '#load/rate-search.js';

const GOAL_MS = 100;
const search = { rates: [20_000, 50_000, 100_000, 500_000, 1_000_000], halvings: 3, goalMs: GOAL_MS, warmUpMs: 0, measuredMs: 0 };

/** A server whose latency jumps at its limit. */
function ratesTried(limit: number, beyondMs: number): number[] {
  const steps: { rate: number; p99: number }[] = [];
  for (let rate = nextRate(steps, search); rate !== undefined; rate = nextRate(steps, search))
    steps.push({ rate, p99: rate <= limit ? 10 : beyondMs });
  return steps.map(({ rate }) => rate);
}

test('a server that keeps the goal is tried at each rate once', () => {
  expect(ratesTried(Number.POSITIVE_INFINITY, 0)).toEqual(search.rates);
});

test('a server that exceeds the goal by far is not tried at higher rates, and the gap is halved', () => {
  expect(ratesTried(60_000, 5_000)).toEqual([20_000, 50_000, 100_000, 71_000, 60_000, 65_000]);
});

test('a server that exceeds the goal by little is tried at all rates', () => {
  expect(ratesTried(60_000, 150).slice(0, 5)).toEqual(search.rates);
});

test('the search closes in on any limit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 20_000, max: 999_999 }), fc.constantFrom(150, 5_000, Number.POSITIVE_INFINITY), (limit, beyondMs) => {
      const tried = ratesTried(limit, beyondMs);
      const [stored, failed] = [Math.max(...tried.filter((rate) => rate <= limit)), Math.min(...tried.filter((rate) => rate > limit))];
      // The widest gap is from 100,000 to 500,000.
      expect(failed / stored).toBeLessThan(5 ** (1 / 8) * 1.03);
    }),
  );
});
