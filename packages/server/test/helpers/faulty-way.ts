/** One direction of a connection through a network that fails on command; see proxy.ts. */
import type { Socket } from 'node:net';

/** What a network does at present, to its old connections and to new ones. */
export class Faults {
  readonly random: () => number;
  refused = false;
  stalled = false;
  delay = { ms: 0, jitter: 0 };
  stutter = { share: 0, ms: 0 };
  bytesPerSecond = Number.POSITIVE_INFINITY;

  constructor(random: () => number) {
    this.random = random;
  }

  /** Milliseconds that a chunk is under way. */
  travel(): number {
    const { delay, stutter, random } = this;
    const stutters = stutter.share > 0 && random() < stutter.share;
    return delay.ms + (delay.jitter > 0 ? delay.jitter * random() : 0) + (stutters ? stutter.ms : 0);
  }
}

/** How the sender ended: after all that he said, or in the middle of it. */
type End = 'finished' | 'reset';

interface Waiting {
  what: Buffer | End;
  due: number;
}

/** Bytes that wait before their sender has to. */
const WAITING_BYTES = 256 * 1024;
/** A throttled way gives out at a time what so many milliseconds allow. */
const SLICE_MS = 20;

/** Hands on what comes in at `from`, in its order, when it is due; the end of `from` takes its turn as its bytes do. */
export class FaultyWay {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #faults: Faults;
  readonly #handOn: (bytes: Buffer, to: Socket) => boolean;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #lastDue = 0;
  #isFull = false;
  #isHanging = false;
  #timer: NodeJS.Timeout | undefined;

  /** `handOn` writes, and tells whether `to` takes more. */
  constructor(from: Socket, to: Socket, faults: Faults, handOn: (bytes: Buffer, to: Socket) => boolean) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#handOn = handOn;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => this.#queue('finished', faults.travel()));
    from.on('close', () => from.readableEnded || this.#queue('reset', faults.travel()));
    to.on('drain', () => this.#carryOn(false));
    to.on('close', () => clearTimeout(this.#timer));
  }

  /** Nothing goes out any more. */
  hang(): void {
    this.#isHanging = true;
  }

  /** What was stalled goes on. */
  carryOn(): void {
    this.#carryOn(this.#isFull);
  }

  #take(bytes: Buffer): void {
    const { bytesPerSecond } = this.#faults;
    const slice = Math.max(1, Math.min(bytes.length, Math.floor((bytesPerSecond * SLICE_MS) / 1000)));
    const travel = this.#faults.travel();
    for (let at = 0; at < bytes.length; at += slice) {
      const part = bytes.subarray(at, at + slice);
      this.#queue(part, travel, (part.length / bytesPerSecond) * 1000);
    }
    if (this.#waitingBytes > WAITING_BYTES) this.#from.pause();
  }

  /** Nothing is due before what came before it. */
  #queue(what: Buffer | End, travel: number, spacing = 0): void {
    this.#lastDue = Math.max(performance.now() + travel, this.#lastDue) + spacing;
    this.#waiting.push({ what, due: this.#lastDue });
    if (typeof what !== 'string') this.#waitingBytes += what.length;
    this.carryOn();
  }

  #carryOn(isFull: boolean): void {
    this.#isFull = isFull;
    clearTimeout(this.#timer);
    let next = this.#waiting[0];
    while (next && this.#isOpen && next.due <= performance.now()) {
      this.#waiting.shift();
      this.#deliver(next.what);
      next = this.#waiting[0];
    }
    if (next && this.#isOpen) this.#timer = setTimeout(() => this.carryOn(), Math.ceil(next.due - performance.now()));
  }

  get #isOpen(): boolean {
    return !this.#isFull && !this.#isHanging && !this.#faults.stalled && !this.#to.destroyed;
  }

  #deliver(what: Buffer | End): void {
    if (what === 'finished') return void this.#to.end();
    if (what === 'reset') return void this.#to.resetAndDestroy();
    this.#waitingBytes -= what.length;
    this.#isFull = !this.#handOn(what, this.#to);
    if (this.#waitingBytes <= WAITING_BYTES) this.#from.resume();
  }
}
