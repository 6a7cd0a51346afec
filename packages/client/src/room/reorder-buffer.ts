import type { Position } from '@engawa/protocol/position';
import type { Entry } from '../timeline/entry.ts';

const MAX_BUFFERED_ENTRIES = 1_000;

/** Entries that were heard before those that come before them. */
export class ReorderBuffer {
  #entries: Entry[] = [];
  #isComplete = true;

  /** Nothing that would be news to who is at this position. */
  hasNothingNewFor(position: Position): boolean {
    return this.#isComplete && this.#entries.every(({ epoch, seq }) => epoch === position.epoch && seq <= position.seq);
  }

  /** Past the limit all are let go: the log has them. */
  add(entry: Entry): void {
    if (this.#isComplete) this.#entries.push(entry);
    if (this.#entries.length <= MAX_BUFFERED_ENTRIES) return;
    this.#entries = [];
    this.#isComplete = false;
  }

  /** In their order; not whole when some were let go, and the log is to be asked again. */
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
