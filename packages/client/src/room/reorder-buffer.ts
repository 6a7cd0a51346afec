/** The reorder buffer: live entries that arrived before the ones they follow. */
import type { Entry } from '../timeline/entry.ts';

const MAX_BUFFERED_ENTRIES = 1_000;

export class ReorderBuffer {
  #entries: Entry[] = [];
  #isComplete = true;

  /** Beyond the limit it drops all entries: the log still has them. */
  add(entry: Entry): void {
    if (this.#isComplete) this.#entries.push(entry);
    if (this.#entries.length <= MAX_BUFFERED_ENTRIES) return;
    this.#entries = [];
    this.#isComplete = false;
  }

  /** In log order. `isComplete` is false if entries were dropped: then the log has to be read again. */
  takeAll(): { entries: Entry[]; isComplete: boolean } {
    const taken = { entries: this.#entries.sort((one, other) => one.seq - other.seq), isComplete: this.#isComplete };
    this.clear();
    return taken;
  }

  clear(): void {
    this.#entries = [];
    this.#isComplete = true;
  }
}
