/** A throttled task: runs soon after a request, and at most once in each interval. */

/** However often it is requested, the task runs at most once in each interval. */
export class ThrottledTask {
  readonly #options: { delayMs: number; minIntervalMs: () => number; run: () => Promise<void> };
  /** Set while the task waits, and while it runs. */
  #timer: NodeJS.Timeout | undefined;
  #isRequested = false;
  #isClosed = false;
  #lastRunAt = -Infinity;

  /** `delayMs`: from a request to the run. `minIntervalMs`: from one run to the next at least. `run` must never reject. */
  constructor(options: { delayMs: number; minIntervalMs: () => number; run: () => Promise<void> }) {
    this.#options = options;
  }

  request(): void {
    this.#isRequested = true;
    this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  #schedule(): void {
    if (!this.#isRequested || this.#timer || this.#isClosed) return;
    const { delayMs, minIntervalMs } = this.#options;
    this.#timer = setTimeout(() => void this.#run(), Math.max(delayMs, this.#lastRunAt + minIntervalMs() - performance.now()));
  }

  async #run(): Promise<void> {
    this.#isRequested = false;
    this.#lastRunAt = performance.now();
    await this.#options.run();
    this.#timer = undefined;
    this.#schedule();
  }
}
