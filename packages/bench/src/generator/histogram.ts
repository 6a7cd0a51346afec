// A histogram of latencies with a fixed relative error.
/** Buckets of each power of two: no value is reported more than a 64th too high. */
const PER_OCTAVE = 64;
const SHIFT = 6;
const GREATEST = 2 ** 31 - 1;

/** As it is sent between processes. */
export interface HistogramCounts {
  counts: number[];
  max: number;
}

/** Counts values from 0 to 2^31 − 1 in buckets whose width grows with the value. */
export class Histogram {
  readonly #counts = new Float64Array((33 - SHIFT) * PER_OCTAVE);
  #total = 0;
  #max = 0;

  get total(): number {
    return this.#total;
  }

  /** NaN if it is empty. */
  get max(): number {
    return this.#total === 0 ? Number.NaN : this.#max;
  }

  /** Negative values count as 0: the clocks of two processes may differ slightly. */
  add(value: number): void {
    const rounded = Math.max(Math.min(value, GREATEST), 0) | 0;
    const index = bucketOf(rounded);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total += 1;
    if (rounded > this.#max) this.#max = rounded;
  }

  include({ counts, max }: HistogramCounts): this {
    for (const [index, count] of counts.entries()) {
      this.#counts[index] = (this.#counts[index] ?? 0) + count;
      this.#total += count;
    }
    this.#max = Math.max(this.#max, max);
    return this;
  }

  /**
   * The value that `share` of all do not exceed (nearest rank), as the upper end of its bucket. `of` is how many values
   * there should be: missing ones count as infinite. NaN if there are none.
   */
  percentile(share: number, of = this.#total): number {
    if (of === 0) return Number.NaN;
    let rank = Math.max(Math.ceil(share * Math.max(of, this.#total)), 1);
    if (rank > this.#total) return Number.POSITIVE_INFINITY;
    for (const [index, count] of this.#counts.entries()) {
      rank -= count;
      if (rank <= 0) return Math.min(lastOf(index), this.#max);
    }
    return this.#max;
  }

  toCounts(): HistogramCounts {
    return { counts: [...this.#counts], max: this.#max };
  }
}

function bucketOf(value: number): number {
  if (value < PER_OCTAVE) return value;
  const octave = 31 - Math.clz32(value) - SHIFT;
  return octave * PER_OCTAVE + (value >> octave);
}

/** The greatest value of a bucket. */
function lastOf(index: number): number {
  if (index < 2 * PER_OCTAVE) return index;
  const octave = Math.floor(index / PER_OCTAVE) - 1;
  return (index - octave * PER_OCTAVE + 1) * 2 ** octave - 1;
}
