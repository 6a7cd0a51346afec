/** How many pass in one turn of the event loop, at least and at most. */
const PER_TURN = 4;
const MOST_PER_TURN = 16;
/** Where turns are long because much else is done in them, so many pass for each millisecond: who comes must not starve. */
const PER_MS = 2;

/**
 * Lets a crowd through a few at a time, in the order in which they came. After a restart everybody comes back at once:
 * between two turns those who are here are heard, told and answered.
 */
export class Turnstile {
  #waiting: (() => void)[] = [];

  pass(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) this.#turnSoon();
    });
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
