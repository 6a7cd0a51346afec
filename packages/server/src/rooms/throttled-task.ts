/** A throttled task: runs soon after a request, and at most once in each interval. */

/** Does something soon, and then not again for a while, however often it is wanted. */
export class ThrottledTask {
  readonly #options: { delayMs: number; minIntervalMs: () => number; run: () => Promise<void> };
  /** While it waits, and while it is at it. */
  #timer: NodeJS.Timeout | undefined;
  #isRequested = false;
  #isClosed = false;
  #lastRunAt = -Infinity;

  /** Milliseconds: `soon`, when it was not done lately; `every`, from one time to the next at least. `act` never rejects. */
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
