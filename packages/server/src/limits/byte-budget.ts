/** A byte budget with a waiting queue: bytes that may be in use at the same time. */
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

  /** Takes the bytes if they are available. */
  tryTake(bytes: number): boolean {
    if (this.#queue.length > 0 || this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /**
   * Undefined if the bytes are taken at once; otherwise waits in the queue, and resolves when they are taken. More than the whole
   * budget counts as the whole budget.
   */
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
