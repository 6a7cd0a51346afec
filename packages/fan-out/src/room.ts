import type { Frame } from './frame.ts';
import { turns } from './turns.ts';

/** After what it took to write to everybody, a room is left alone for so many times as long: on a busy event loop for longer. */
const REST = 4;
/**
 * Where the event loop has no time left, rooms wait for each other, as long as it takes for all of them to fit in: a rest
 * would only come on top of that. Up to there it leaves time to others, and a client hears of nothing much later for it.
 */
const MOST_REST_MS = 10;
/** What waits for a room: with more it is written at once. */
const MOST_WAITING = { frames: 4_096, bytes: 1024 * 1024 };
/** Sockets that are written to before the clock is looked at. */
const SOCKETS_A_LOOK = 16;

interface Surroundings {
  /** Whoever is there now; who comes later while they are written to may be among them, who goes is not. */
  members: () => Iterable<string>;
  /** Sends a member what was emitted to its rooms so far. */
  send: (id: string) => void;
}

/** What was emitted to a room and is not written to everybody yet. */
export class Room {
  readonly #surroundings: Surroundings;
  #frames: Frame[] = [];
  #bytes = 0;
  /** The frames after a number, as the last socket was sent them: mostly the next is sent the same. */
  #cut: { after: number; upTo: number; bytes: Buffer } | undefined;
  #pass: { members: Iterator<string>; upTo: number; cost: number } | undefined;
  #isWaiting = false;
  #restsUntil = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** The newest frame's number. */
  get newest(): number {
    return this.#frames.at(-1)?.number ?? 0;
  }

  add(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += frame.bytes.length;
    if (this.#frames.length > MOST_WAITING.frames || this.#bytes > MOST_WAITING.bytes) this.#writeAll();
    else if (!this.#isWaiting) this.#wait();
  }

  framesAfter(number: number): Frame[] {
    return this.#frames.slice(this.#indexAfter(number));
  }

  /** One buffer, which most members share. */
  bytesAfter(number: number): Buffer {
    const { newest } = this;
    if (this.#cut?.after === number && this.#cut.upTo === newest) return this.#cut.bytes;
    const bytes = joined(this.framesAfter(number));
    this.#cut = { after: number, upTo: newest, bytes };
    return bytes;
  }

  /**
   * Writes to one member after the other until that time, and goes on where it stopped when it is called again; true when
   * everybody was written to. Who comes late is sent what was emitted meanwhile, too.
   */
  write(until: number): boolean {
    if (this.#frames.length === 0) return true;
    const begun = performance.now();
    this.#pass ??= { members: this.#surroundings.members()[Symbol.iterator](), upTo: this.newest, cost: 0 };
    const pass = this.#pass;
    let isDone = false;
    for (let sockets = 1; !isDone; sockets += 1) {
      const next = pass.members.next();
      if (next.done) isDone = true;
      else this.#surroundings.send(next.value);
      if (sockets % SOCKETS_A_LOOK === 0 && performance.now() >= until) break;
    }
    pass.cost += performance.now() - begun;
    if (isDone) this.#finish(pass);
    return isDone;
  }

  #finish({ upTo, cost }: { upTo: number; cost: number }): void {
    const left = this.framesAfter(upTo);
    this.#frames = left;
    this.#bytes = left.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#cut = undefined;
    this.#pass = undefined;
    this.#isWaiting = false;
    this.#restsUntil = performance.now() + Math.min((REST * cost) / (1 - turns.load), MOST_REST_MS);
    if (left.length > 0) this.#wait();
  }

  #wait(): void {
    this.#isWaiting = true;
    const rest = this.#restsUntil - performance.now();
    if (rest <= 0) turns.add(this);
    else setTimeout(() => turns.add(this), Math.ceil(rest));
  }

  /** What a pass that has begun does not reach any more, another one does. */
  #writeAll(): void {
    while (this.#frames.length > 0) this.write(Infinity);
  }

  #indexAfter(number: number): number {
    const index = this.#frames.findIndex((frame) => frame.number > number);
    return index < 0 ? this.#frames.length : index;
  }
}

/** Frames as they follow each other on the line. */
export function joined(frames: Frame[]): Buffer {
  const [only] = frames;
  return frames.length === 1 && only ? only.bytes : Buffer.concat(frames.map(({ bytes }) => bytes));
}
