// The histogram against all values sorted.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from '#generator/histogram.js';

const SHARES = [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1];
const values = fc.array(fc.oneof(fc.nat(200), fc.nat(1_000_000), fc.nat(2 ** 31 - 1)), { minLength: 1, maxLength: 500 });

function histogramOf(counted: number[]): Histogram {
  const histogram = new Histogram();
  for (const value of counted) histogram.add(value);
  return histogram;
}

test('a percentile is at least that of the sorted values, and at most a 64th more', () => {
  fc.assert(
    fc.property(values, (counted) => {
      const sorted = counted.toSorted((a, b) => a - b);
      for (const share of SHARES) {
        const exact = sorted[Math.max(Math.ceil(share * sorted.length), 1) - 1]!;
        const reported = histogramOf(counted).percentile(share);
        expect(reported).toBeGreaterThanOrEqual(exact);
        expect(reported).toBeLessThanOrEqual(exact * (1 + 1 / 64));
      }
    }),
  );
});

test('the last percentile is the greatest value itself', () => {
  fc.assert(
    fc.property(values, (counted) => {
      const histogram = histogramOf(counted);
      expect(histogram.percentile(1)).toBe(Math.max(...counted));
      expect(histogram.max).toBe(Math.max(...counted));
    }),
  );
});

test('parts that were counted separately are merged as if counted together', () => {
  fc.assert(
    fc.property(values, values, (some, others) => {
      const together = histogramOf([...some, ...others]);
      const merged = new Histogram().include(histogramOf(some).toCounts()).include(histogramOf(others).toCounts());
      expect(merged.total).toBe(together.total);
      expect(SHARES.map((share) => merged.percentile(share))).toEqual(SHARES.map((share) => together.percentile(share)));
    }),
  );
});

test('samples that never arrived are later than all that did', () => {
  const histogram = histogramOf([1, 2, 3]);
  expect(histogram.percentile(0.5, 6)).toBe(3);
  expect(histogram.percentile(0.51, 6)).toBe(Number.POSITIVE_INFINITY);
  expect(new Histogram().percentile(0.5, 1)).toBe(Number.POSITIVE_INFINITY);
});

test('an empty histogram has no percentile, negative values count as zero, and values beyond the end as the end', () => {
  expect(new Histogram().percentile(0.99)).toBeNaN();
  expect(new Histogram().max).toBeNaN();
  expect(histogramOf([-5]).percentile(1)).toBe(0);
  expect(histogramOf([1e12]).percentile(1)).toBe(2 ** 31 - 1);
});
