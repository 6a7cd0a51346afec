// Percentiles and medians.
const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

/** The value that `share` of all values do not exceed (nearest rank); NaN if there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = ascending(values);
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

/** The median of each figure of several measurements. */
export function medians<Figure extends string>(rounds: readonly Record<Figure, number>[]): Record<Figure, number> {
  const figures = Object.keys(rounds[0] ?? {}) as Figure[];
  return Object.fromEntries(figures.map((figure) => [figure, median(rounds.map((round) => round[figure]))])) as Record<Figure, number>;
}
