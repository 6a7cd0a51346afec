/** The batch of a room: messages emitted to it that are not written to all of its sockets yet. */
import { flushScheduler } from './flush-scheduler.ts';
import type { Frame } from './websocket-frame.ts';

/** After a flush the room waits for this many times as long as the flush took; longer on a busy event loop. */
const COOLDOWN_FACTOR = 4;
/**
 * The limit of that wait. On a saturated event loop the rooms wait for each other anyway, and a longer wait would only add to it.
 * Below that, 10 ms leave time for other work, and clients hardly notice them.
 */
const MAX_COOLDOWN_MS = 10;
/** With more than this, a room is flushed at once. */
const MAX_PENDING = { frames: 4_096, bytes: 1024 * 1024 };
/** Sockets between two reads of the clock. */
const SOCKETS_PER_CLOCK_CHECK = 16;

interface RoomBatchOptions {
  /**
   * The sockets in the room. Iterated during a flush: sockets that join meanwhile may be included, sockets that leave are not.
   */
  getSocketIds: () => Iterable<string>;
  /** Writes to a socket everything that was emitted to its rooms so far. */
  flushSocket: (id: string) => void;
}

export class RoomBatch {
  readonly #options: RoomBatchOptions;
  #frames: Frame[] = [];
  #bytes = 0;
  /** The result of the last `bytesAfter`: most sockets of a room need the same one. */
  #cachedBytes: { after: number; upTo: number; bytes: Buffer } | undefined;
  #flushPass: { socketIds: Iterator<string>; upTo: number; cost: number } | undefined;
  #isScheduled = false;
  #cooldownUntil = 0;

  constructor(options: RoomBatchOptions) {
    this.#options = options;
  }

  /** The number of the newest frame. */
  get lastNumber(): number {
    return this.#frames.at(-1)?.number ?? 0;
  }

  add(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += frame.bytes.length;
    if (this.#frames.length > MAX_PENDING.frames || this.#bytes > MAX_PENDING.bytes) this.#flushAll();
    else if (!this.#isScheduled) this.#schedule();
  }

  framesAfter(number: number): Frame[] {
    return this.#frames.slice(this.#indexAfter(number));
  }

  /** One buffer, which most sockets share. */
  bytesAfter(number: number): Buffer {
    const { lastNumber } = this;
    if (this.#cachedBytes?.after === number && this.#cachedBytes.upTo === lastNumber) return this.#cachedBytes.bytes;
    const bytes = concatFrames(this.framesAfter(number));
    this.#cachedBytes = { after: number, upTo: lastNumber, bytes };
    return bytes;
  }

  /**
   * Writes to one socket after the other until the deadline, and continues there in the next call. Returns true when all sockets
   * are written. The last ones also receive what was emitted during the flush.
   */
  flushUntil(deadline: number): boolean {
    if (this.#frames.length === 0) return true;
    const startedAt = performance.now();
    this.#flushPass ??= { socketIds: this.#options.getSocketIds()[Symbol.iterator](), upTo: this.lastNumber, cost: 0 };
    const pass = this.#flushPass;
    let isDone = false;
    for (let sockets = 1; !isDone; sockets += 1) {
      const next = pass.socketIds.next();
      if (next.done) isDone = true;
      else this.#options.flushSocket(next.value);
      if (sockets % SOCKETS_PER_CLOCK_CHECK === 0 && performance.now() >= deadline) break;
    }
    pass.cost += performance.now() - startedAt;
    if (isDone) this.#finish(pass);
    return isDone;
  }

  #finish({ upTo, cost }: { upTo: number; cost: number }): void {
    const remaining = this.framesAfter(upTo);
    this.#frames = remaining;
    this.#bytes = remaining.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#cachedBytes = undefined;
    this.#flushPass = undefined;
    this.#isScheduled = false;
    this.#cooldownUntil = performance.now() + Math.min((COOLDOWN_FACTOR * cost) / (1 - flushScheduler.load), MAX_COOLDOWN_MS);
    if (remaining.length > 0) this.#schedule();
  }

  #schedule(): void {
    this.#isScheduled = true;
    const cooldownMs = this.#cooldownUntil - performance.now();
    if (cooldownMs <= 0) flushScheduler.schedule(this);
    else setTimeout(() => flushScheduler.schedule(this), Math.ceil(cooldownMs));
  }

  /** A flush that is under way may have passed some sockets already: another one reaches them. */
  #flushAll(): void {
    while (this.#frames.length > 0) this.flushUntil(Infinity);
  }

  #indexAfter(number: number): number {
    const index = this.#frames.findIndex((frame) => frame.number > number);
    return index < 0 ? this.#frames.length : index;
  }
}

export function concatFrames(frames: Frame[]): Buffer {
  const [only] = frames;
  return frames.length === 1 && only ? only.bytes : Buffer.concat(frames.map(({ bytes }) => bytes));
}
