/** One direction of a connection through a network that fails on command; see proxy.ts. */
import type { Socket } from 'node:net';

/** The present faults of a network, for existing and new connections. */
export class NetworkFaults {
  readonly random: () => number;
  refused = false;
  stalled = false;
  delay = { ms: 0, jitter: 0 };
  stutter = { share: 0, ms: 0 };
  bytesPerSecond = Number.POSITIVE_INFINITY;

  constructor(random: () => number) {
    this.random = random;
  }

  /** The delay of a chunk, in milliseconds. */
  randomDelayMs(): number {
    const { delay, stutter, random } = this;
    const stutters = stutter.share > 0 && random() < stutter.share;
    return delay.ms + (delay.jitter > 0 ? delay.jitter * random() : 0) + (stutters ? stutter.ms : 0);
  }
}

/** How the sender ended: after all of its data, or in the middle. */
type EndKind = 'finished' | 'reset';

interface QueuedChunk {
  data: Buffer | EndKind;
  due: number;
}

/** The limit of buffered bytes, beyond which the sender has to wait. */
const MAX_QUEUED_BYTES = 256 * 1024;
/** A throttled direction writes at a time the bytes of this number of milliseconds. */
const SLICE_MS = 20;

/** Passes on the data of `from`, in order, when it is due; the end of `from` is queued like its data. */
export class FaultyPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #faults: NetworkFaults;
  readonly #forward: (bytes: Buffer, to: Socket) => boolean;
  readonly #chunks: QueuedChunk[] = [];
  #queuedBytes = 0;
  #lastDue = 0;
  #isFull = false;
  #isBlackholed = false;
  #timer: NodeJS.Timeout | undefined;

  /** `handOn` writes, and returns whether `to` accepts more. */
  constructor(from: Socket, to: Socket, faults: NetworkFaults, forward: (bytes: Buffer, to: Socket) => boolean) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#forward = forward;
    from.on('data', (bytes: Buffer) => this.#onData(bytes));
    from.on('end', () => this.#enqueue('finished', faults.randomDelayMs()));
    from.on('close', () => from.readableEnded || this.#enqueue('reset', faults.randomDelayMs()));
    to.on('drain', () => this.#flush(false));
    to.on('close', () => clearTimeout(this.#timer));
  }

  /** Nothing is written any more. */
  blackhole(): void {
    this.#isBlackholed = true;
  }

  /** Stalled data continues. */
  resume(): void {
    this.#flush(this.#isFull);
  }

  #onData(bytes: Buffer): void {
    const { bytesPerSecond } = this.#faults;
    const slice = Math.max(1, Math.min(bytes.length, Math.floor((bytesPerSecond * SLICE_MS) / 1000)));
    const travel = this.#faults.randomDelayMs();
    for (let at = 0; at < bytes.length; at += slice) {
      const part = bytes.subarray(at, at + slice);
      this.#enqueue(part, travel, (part.length / bytesPerSecond) * 1000);
    }
    if (this.#queuedBytes > MAX_QUEUED_BYTES) this.#from.pause();
  }

  /** No chunk is due before the chunks that arrived before it. */
  #enqueue(data: Buffer | EndKind, travel: number, spacing = 0): void {
    this.#lastDue = Math.max(performance.now() + travel, this.#lastDue) + spacing;
    this.#chunks.push({ data, due: this.#lastDue });
    if (typeof data !== 'string') this.#queuedBytes += data.length;
    this.resume();
  }

  #flush(isFull: boolean): void {
    this.#isFull = isFull;
    clearTimeout(this.#timer);
    let next = this.#chunks[0];
    while (next && this.#isOpen && next.due <= performance.now()) {
      this.#chunks.shift();
      this.#deliver(next.data);
      next = this.#chunks[0];
    }
    if (next && this.#isOpen) this.#timer = setTimeout(() => this.resume(), Math.ceil(next.due - performance.now()));
  }

  get #isOpen(): boolean {
    return !this.#isFull && !this.#isBlackholed && !this.#faults.stalled && !this.#to.destroyed;
  }

  #deliver(what: Buffer | EndKind): void {
    if (what === 'finished') return void this.#to.end();
    if (what === 'reset') return void this.#to.resetAndDestroy();
    this.#queuedBytes -= what.length;
    this.#isFull = !this.#forward(what, this.#to);
    if (this.#queuedBytes <= MAX_QUEUED_BYTES) this.#from.resume();
  }
}
