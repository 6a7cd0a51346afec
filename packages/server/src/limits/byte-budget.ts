/** Bytes that may be held at the same time. */
export class ByteBudget {
  readonly #maxBytes: number;
  readonly #queue: { bytes: number; resolve: () => void }[] = [];
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes them if they are there. */
  tryTake(bytes: number): boolean {
    if (this.#queue.length > 0 || this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Undefined when they are taken at once; else waits in line for them, and resolves when they are. Never more than there are at all. */
  take(bytes: number): Promise<void> | undefined {
    return this.tryTake(bytes) ? undefined : new Promise((resolve) => this.#queue.push({ bytes, resolve }));
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
    for (let next = this.#queue[0]; next && this.#usedBytes + next.bytes <= this.#maxBytes; next = this.#queue[0]) {
      this.#queue.shift();
      this.#usedBytes += next.bytes;
      next.resolve();
    }
  }
}
