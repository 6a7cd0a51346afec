/** How many pass in one turn of the event loop, at least and at most. */
const PER_TURN = 4;
const MOST_PER_TURN = 16;
/** Where turns are long because much else is done in them, so many pass for each millisecond: who comes must not starve. */
const PER_MS = 2;

/** Of what one client asks for, so much is under way together: enough for a store beyond a network to take it in one round. */
const ABREAST = 4;

/**
 * Lets a crowd through a few at a time, in the order in which they came. After a restart everybody comes back at once:
 * between two turns those who are here are heard, told and answered.
 */
export class Turnstile {
  #waiting: (() => void)[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  pass(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) this.#turnSoon();
    });
  }

  /**
   * Works through what one client asks for in slices, each item when it passes, so that others have their turn between them.
   * Who calls this has passed already: the first item need not wait. Ends early, with what is done, once `isOver`.
   */
  async each<Item, Result>(
    items: Item[],
    work: (item: Item) => Promise<Result>,
    isOver = (_: Result): boolean => false,
  ): Promise<Result[]> {
    const done: Result[] = [];
    for (let at = 0; at < items.length && !done.some(isOver); at += ABREAST) {
      const abreast = items.slice(at, at + ABREAST).map(async (item, index) => {
        if (at + index > 0) await this.pass();
        return work(item);
      });
      done.push(...(await Promise.all(abreast)));
    }
    return done;
  }

  #turnSoon(): void {
    const last = performance.now();
    setImmediate(() => this.#turn(performance.now() - last));
  }

  #turn(lasted: number): void {
    const count = Math.min(MOST_PER_TURN, Math.max(PER_TURN, Math.floor(PER_MS * lasted)));
    const passing = this.#waiting.splice(0, count);
    if (this.#waiting.length > 0) this.#turnSoon();
    for (const pass of passing) pass();
  }
}
