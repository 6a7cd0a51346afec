/** Does something soon, and then not again for a while, however often it is wanted. */
export class Paced {
  readonly #pacing: { soon: number; every: () => number; act: () => Promise<void> };
  /** While it waits, and while it is at it. */
  #timer: NodeJS.Timeout | undefined;
  #isWanted = false;
  #isClosed = false;
  #last = -Infinity;

  /** Milliseconds: `soon`, when it was not done lately; `every`, from one time to the next at least. `act` never rejects. */
  constructor(pacing: { soon: number; every: () => number; act: () => Promise<void> }) {
    this.#pacing = pacing;
  }

  want(): void {
    this.#isWanted = true;
    this.#arrange();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  #arrange(): void {
    if (!this.#isWanted || this.#timer || this.#isClosed) return;
    const { soon, every } = this.#pacing;
    this.#timer = setTimeout(() => void this.#act(), Math.max(soon, this.#last + every() - performance.now()));
  }

  async #act(): Promise<void> {
    this.#isWanted = false;
    this.#last = performance.now();
    await this.#pacing.act();
    this.#timer = undefined;
    this.#arrange();
  }
}
