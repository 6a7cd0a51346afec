/** How many a second, beginning a part of an interval late: so several who share a rate take turns. */
export interface Rate {
  perSecond: number;
  /** From 0 to 1. */
  phase: number;
}

/**
 * When each of a series is due, evenly spread, from the rate alone: whoever is late catches up, and what was late is known
 * by its due time. So a server that makes its load wait does not thereby hide that it is slow.
 */
export class ArrivalSchedule {
  readonly #pace: Rate;
  readonly #durationMs: number;
  #next = 0;

  constructor(pace: Rate, durationMs: number) {
    this.#pace = pace;
    this.#durationMs = durationMs;
  }

  /** When the next one is due, milliseconds from the beginning; infinite when that was the last. */
  get nextMs(): number {
    const at = ((this.#next + this.#pace.phase) / this.#pace.perSecond) * 1000;
    return at < this.#durationMs ? at : Number.POSITIVE_INFINITY;
  }

  /** Calls with each that is due by then: when it was, and its number. */
  take(nowMs: number, each: (dueMs: number, number: number) => void): void {
    for (let due = this.nextMs; due <= nowMs; due = this.nextMs) {
      each(due, this.#next);
      this.#next += 1;
    }
  }
}
