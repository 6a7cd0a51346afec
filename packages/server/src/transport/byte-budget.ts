/** Bytes that may be held at the same time. */
export class ByteBudget {
  readonly #most: number;
  readonly #line: { bytes: number; go: () => void }[] = [];
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get held(): number {
    return this.#held;
  }

  /** Takes them if they are there. */
  tryTake(bytes: number): boolean {
    if (this.#line.length > 0 || this.#held + bytes > this.#most) return false;
    this.#held += bytes;
    return true;
  }

  /** Undefined when they are taken at once; else waits in line for them, and resolves when they are. Never more than there are at all. */
  take(bytes: number): Promise<void> | undefined {
    return this.tryTake(bytes) ? undefined : new Promise((go) => this.#line.push({ bytes, go }));
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
    for (let next = this.#line[0]; next && this.#held + next.bytes <= this.#most; next = this.#line[0]) {
      this.#line.shift();
      this.#held += next.bytes;
      next.go();
    }
  }
}
