// The times at which chats are due, from the rate alone: a slow server does not slow down its load.
/** `phase` delays the first by a part of an interval, so that processes that share a rate take turns. */
export interface Rate {
  perSecond: number;
  /** From 0 to 1. */
  phase: number;
}

export class ArrivalSchedule {
  readonly #rate: Rate;
  readonly #durationMs: number;
  #next = 0;

  constructor(rate: Rate, durationMs: number) {
    this.#rate = rate;
    this.#durationMs = durationMs;
  }

  /** When the next is due, in milliseconds from the beginning; infinite after the last. */
  get nextMs(): number {
    const at = ((this.#next + this.#rate.phase) / this.#rate.perSecond) * 1000;
    return at < this.#durationMs ? at : Number.POSITIVE_INFINITY;
  }

  /** Calls `each` for everything that is due by then. */
  take(nowMs: number, each: (dueMs: number, number: number) => void): void {
    for (let due = this.nextMs; due <= nowMs; due = this.nextMs) {
      each(due, this.#next);
      this.#next += 1;
    }
  }
}
