/** Schedules queries in time slices, so that they do not block the event loop. */

/** Milliseconds of a slice: after that, no further query starts in the same turn of the event loop. */
const SLICE_MS = 5;
/** Queries that run concurrently: enough for a remote store to read for all of them in one round trip. */
const MAX_CONCURRENT_QUERIES = 64;

/**
 * Starts queries in order of arrival, in time slices. Between two slices the event loop does its other work. The embedded store
 * reads on this thread, and a page of large chats takes ten milliseconds and more: without slices, a hundred concurrent pages
 * would block the server for a second. The length of the queue is bounded, because each query reserves memory for its response
 * before.
 */
export class QueryScheduler {
  #queue: (() => void)[] = [];
  #runningCount = 0;
  #isSliceScheduled = false;

  get queuedCount(): number {
    return this.#queue.length;
  }

  /** Settles as `query` does, which starts when its turn has come. */
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

  /** Starts at least one query, so that the queue always makes progress. */
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
