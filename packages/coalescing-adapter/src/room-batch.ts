import { flushScheduler } from './flush-scheduler.ts';
import type { Frame } from './websocket-frame.ts';

/** After what it took to write to everybody, a room is left alone for so many times as long: on a busy event loop for longer. */
const COOLDOWN_FACTOR = 4;
/**
 * Where the event loop has no time left, rooms wait for each other, as long as it takes for all of them to fit in: a rest
 * would only come on top of that. Up to there it leaves time to others, and a client hears of nothing much later for it.
 */
const MAX_COOLDOWN_MS = 10;
/** What waits for a room: with more it is written at once. */
const MAX_PENDING = { frames: 4_096, bytes: 1024 * 1024 };
/** Sockets that are written to before the clock is looked at. */
const SOCKETS_PER_CLOCK_CHECK = 16;

interface RoomBatchOptions {
  /** Whoever is there now; who comes later while they are written to may be among them, who goes is not. */
  getSocketIds: () => Iterable<string>;
  /** Sends a member what was emitted to its rooms so far. */
  flushSocket: (id: string) => void;
}

/** What was emitted to a room and is not written to everybody yet. */
export class RoomBatch {
  readonly #options: RoomBatchOptions;
  #frames: Frame[] = [];
  #bytes = 0;
  /** The frames after a number, as the last socket was sent them: mostly the next is sent the same. */
  #cachedBytes: { after: number; upTo: number; bytes: Buffer } | undefined;
  #flushPass: { socketIds: Iterator<string>; upTo: number; cost: number } | undefined;
  #isScheduled = false;
  #cooldownUntil = 0;

  constructor(options: RoomBatchOptions) {
    this.#options = options;
  }

  /** The newest frame's number. */
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

  /** One buffer, which most members share. */
  bytesAfter(number: number): Buffer {
    const { lastNumber } = this;
    if (this.#cachedBytes?.after === number && this.#cachedBytes.upTo === lastNumber) return this.#cachedBytes.bytes;
    const bytes = concatFrames(this.framesAfter(number));
    this.#cachedBytes = { after: number, upTo: lastNumber, bytes };
    return bytes;
  }

  /**
   * Writes to one member after the other until that time, and goes on where it stopped when it is called again; true when
   * everybody was written to. Who comes late is sent what was emitted meanwhile, too.
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

  /** What a pass that has begun does not reach any more, another one does. */
  #flushAll(): void {
    while (this.#frames.length > 0) this.flushUntil(Infinity);
  }

  #indexAfter(number: number): number {
    const index = this.#frames.findIndex((frame) => frame.number > number);
    return index < 0 ? this.#frames.length : index;
  }
}

/** Frames as they follow each other on the line. */
export function concatFrames(frames: Frame[]): Buffer {
  const [only] = frames;
  return frames.length === 1 && only ? only.bytes : Buffer.concat(frames.map(({ bytes }) => bytes));
}
