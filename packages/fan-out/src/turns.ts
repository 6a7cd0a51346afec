/** In one turn of the event loop rooms are written for about so long: then whatever else waits has its turn. */
const TURN_MS = 2;

interface Waiting {
  /** True when it is done. */
  write(until: number): boolean;
}

/** Rooms that have something to write, one after the other; who is not done when the turn is over waits behind the others. */
class Turns {
  readonly #waiting = new Set<Waiting>();
  #isDue = false;

  add(room: Waiting): void {
    this.#waiting.add(room);
    this.#takeSoon();
  }

  #takeSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#take());
  }

  #take(): void {
    const until = performance.now() + TURN_MS;
    this.#isDue = false;
    try {
      for (const room of this.#waiting) {
        this.#waiting.delete(room);
        if (!room.write(until)) this.#waiting.add(room);
        if (performance.now() >= until) break;
      }
    } finally {
      if (this.#waiting.size > 0) this.#takeSoon();
    }
  }
}

/** One for the process: there is one event loop to share. */
export const turns = new Turns();
