/** Schedules queries in time slices, so that they do not block the event loop. */

/** Milliseconds after which no further question is begun in the same turn of the event loop. */
const SLICE_MS = 5;
/** Begun together: enough for a store across a network to read for all of them in one round trip. */
const MAX_CONCURRENT_QUERIES = 64;

/**
 * Begins questions in the order in which they came, in slices of time: between two slices all else that the event loop has
 * to do is done. The embedded store reads on this thread, and a page of large chats takes it ten milliseconds and more:
 * without slices, a hundred pages that are asked for together would silence the server for a second. What waits here is
 * bounded by the memory that each question has taken for its answer before.
 */
export class QueryScheduler {
  #queue: (() => void)[] = [];
  #runningCount = 0;
  #isSliceScheduled = false;

  get queuedCount(): number {
    return this.#queue.length;
  }

  /** Settles as `ask` does, which is called when its turn has come. */
  run<Result>(query: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve) => {
      this.#queue.push(() => resolve(this.#start(query)));
      this.#scheduleSlice();
    });
  }

  async #start<Result>(query: () => Promise<Result>): Promise<Result> {
    this.#runningCount += 1;
    try {
      return await query();
    } finally {
      this.#runningCount -= 1;
      this.#scheduleSlice();
    }
  }

  #scheduleSlice(): void {
    if (this.#isSliceScheduled || this.#queue.length === 0 || this.#runningCount === MAX_CONCURRENT_QUERIES) return;
    this.#isSliceScheduled = true;
    setImmediate(() => this.#runSlice());
  }

  /** Begins one question at least, whatever the clock says. */
  #runSlice(): void {
    this.#isSliceScheduled = false;
    const end = performance.now() + SLICE_MS;
    let started = 0;
    do {
      this.#queue[started]?.();
      started += 1;
    } while (started < this.#queue.length && this.#runningCount < MAX_CONCURRENT_QUERIES && performance.now() < end);
    this.#queue = this.#queue.slice(started);
    this.#scheduleSlice();
  }
}
