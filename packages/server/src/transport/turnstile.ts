/** How many pass in one turn of the event loop. */
const PER_TURN = 4;

/**
 * Lets a crowd through a few at a time, in the order in which they came. After a restart everybody comes back at once:
 * between two turns those who are here are heard, told and answered.
 */
export class Turnstile {
  #waiting: (() => void)[] = [];

  pass(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#turn());
    });
  }

  #turn(): void {
    const passing = this.#waiting.splice(0, PER_TURN);
    if (this.#waiting.length > 0) setImmediate(() => this.#turn());
    for (const pass of passing) pass();
  }
}
