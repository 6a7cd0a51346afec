import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** In one turn of the event loop rooms are written for about so long: then whatever else waits has its turn. */
const TURN_MS = 2;
/** How busy the event loop is, is looked at over so long. */
const LOOK_EVERY_MS = 50;

interface Waiting {
  /** True when it is done. */
  write(until: number): boolean;
}

/** Rooms that have something to write, one after the other; who is not done when the turn is over waits behind the others. */
class Turns {
  readonly #waiting = new Set<Waiting>();
  #isDue = false;
  #looked = { at: performance.now(), loop: performance.eventLoopUtilization() };
  #load = 0;

  /** The share of its time that the event loop was busy of late. */
  get load(): number {
    const now = performance.now();
    if (now - this.#looked.at >= LOOK_EVERY_MS) this.#look(now, performance.eventLoopUtilization());
    return this.#load;
  }

  add(room: Waiting): void {
    this.#waiting.add(room);
    this.#takeSoon();
  }

  #look(now: number, loop: EventLoopUtilization): void {
    this.#load = performance.eventLoopUtilization(loop, this.#looked.loop).utilization;
    this.#looked = { at: now, loop };
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
