/** The flush scheduler: writes room batches in time slices that share the event loop. */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** The time for rooms in one turn of the event loop, so that other work gets its turn. */
const SLICE_MS = 2;
/** The period over which the load of the event loop is measured. */
const LOAD_SAMPLE_MS = 50;

interface Flushable {
  /** Returns true when everything is written. */
  flushUntil(deadline: number): boolean;
}

/**
 * Flushes the pending batches one after the other. A batch that is not done at the end of a slice goes to the end of the queue.
 */
class FlushScheduler {
  readonly #pending = new Set<Flushable>();
  #isScheduled = false;
  #lastSample = { at: performance.now(), loop: performance.eventLoopUtilization() };
  #load = 0;

  /** The share of recent time in which the event loop was busy, from 0 to 1. */
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

/** One for the process: all adapters share its event loop. */
export const flushScheduler = new FlushScheduler();
