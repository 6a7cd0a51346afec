const REST_MS = 500;

interface Surroundings {
  /** False when there was no answer. */
  say: (seq: number) => Promise<boolean>;
  rest: (milliseconds: number) => Promise<void>;
}

/** How far everybody has read. The own mark is told at most every half second; only the latest counts. */
export class ReadMarks {
  readonly #surroundings: Surroundings;
  readonly others = new Map<string, number>();
  #own = 0;
  #told = 0;
  #isTelling = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get own(): number {
    return this.#own;
  }

  /** A mark never goes back. */
  mark(seq: number): void {
    if (seq <= this.#own) return;
    this.#own = seq;
    void this.tell();
  }

  /** The room's own knowledge of the mark. */
  known(seq: number): void {
    this.#told = seq;
    this.#own = Math.max(this.#own, seq);
  }

  /** The seqs of another log mean nothing in this one. */
  reset(): void {
    this.others.clear();
    this.#own = 0;
    this.#told = 0;
  }

  /** Returns whether it is news. */
  heard(username: string, seq: number): boolean {
    if (seq <= (this.others.get(username) ?? 0)) return false;
    this.others.set(username, seq);
    return true;
  }

  /** To be called again whenever the room is live: what could not be told is told then. */
  async tell(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    await Promise.resolve();
    while (this.#own > this.#told) {
      const seq = this.#own;
      if (!(await this.#surroundings.say(seq))) break;
      this.#told = Math.max(this.#told, seq);
      await this.#surroundings.rest(REST_MS);
    }
    this.#isTelling = false;
  }
}
