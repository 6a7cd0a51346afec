/** Milliseconds after which no further question is begun in the same turn of the event loop. */
const SLICE_MS = 5;
/** Begun together: enough for a store across a network to read for all of them in one round trip. */
const MOST_UNDER_WAY = 64;

/**
 * Begins questions in the order in which they came, in slices of time: between two slices all else that the event loop has
 * to do is done. The embedded store reads on this thread, and a page of large chats takes it ten milliseconds and more:
 * without slices, a hundred pages that are asked for together would silence the server for a second. What waits here is
 * bounded by the memory that each question has taken for its answer before.
 */
export class QuestionQueue {
  #waiting: (() => void)[] = [];
  #underWay = 0;
  #isTurnDue = false;

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Settles as `ask` does, which is called when its turn has come. */
  run<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#begin(ask)));
      this.#turnSoon();
    });
  }

  async #begin<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    this.#underWay += 1;
    try {
      return await ask();
    } finally {
      this.#underWay -= 1;
      this.#turnSoon();
    }
  }

  #turnSoon(): void {
    if (this.#isTurnDue || this.#waiting.length === 0 || this.#underWay === MOST_UNDER_WAY) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#turn());
  }

  /** Begins one question at least, whatever the clock says. */
  #turn(): void {
    this.#isTurnDue = false;
    const end = performance.now() + SLICE_MS;
    let begun = 0;
    do {
      this.#waiting[begun]?.();
      begun += 1;
    } while (begun < this.#waiting.length && this.#underWay < MOST_UNDER_WAY && performance.now() < end);
    this.#waiting = this.#waiting.slice(begun);
    this.#turnSoon();
  }
}
