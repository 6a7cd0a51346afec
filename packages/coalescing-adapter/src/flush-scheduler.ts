import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** In one turn of the event loop rooms are written for about so long: then whatever else waits has its turn. */
const SLICE_MS = 2;
/** How busy the event loop is, is looked at over so long. */
const LOAD_SAMPLE_MS = 50;

interface Flushable {
  /** True when it is done. */
  flushUntil(deadline: number): boolean;
}

/** Rooms that have something to write, one after the other; who is not done when the turn is over waits behind the others. */
class FlushScheduler {
  readonly #pending = new Set<Flushable>();
  #isScheduled = false;
  #lastSample = { at: performance.now(), loop: performance.eventLoopUtilization() };
  #load = 0;

  /** The share of its time that the event loop was busy of late. */
  get load(): number {
    const now = performance.now();
    if (now - this.#lastSample.at >= LOAD_SAMPLE_MS) this.#sampleLoad(now, performance.eventLoopUtilization());
    return this.#load;
  }

  schedule(batch: Flushable): void {
    this.#pending.add(batch);
    this.#scheduleSlice();
  }

  #sampleLoad(now: number, loop: EventLoopUtilization): void {
    this.#load = performance.eventLoopUtilization(loop, this.#lastSample.loop).utilization;
    this.#lastSample = { at: now, loop };
  }

  #scheduleSlice(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#runSlice());
  }

  #runSlice(): void {
    const deadline = performance.now() + SLICE_MS;
    this.#isScheduled = false;
    try {
      for (const batch of this.#pending) {
        this.#pending.delete(batch);
        if (!batch.flushUntil(deadline)) this.#pending.add(batch);
        if (performance.now() >= deadline) break;
      }
    } finally {
      if (this.#pending.size > 0) this.#scheduleSlice();
    }
  }
}

/** One for the process: there is one event loop to share. */
export const flushScheduler = new FlushScheduler();
