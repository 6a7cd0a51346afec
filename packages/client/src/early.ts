import type { Position } from '@engawa/protocol/position';
import type { Entry } from './entry.ts';

const MAX_ENTRIES = 1_000;

/** Entries that were heard before those that come before them. */
export class Early {
  #entries: Entry[] = [];
  #isWhole = true;

  /** Nothing that would be news to who is at this position. */
  isOldTo(position: Position): boolean {
    return this.#isWhole && this.#entries.every(({ epoch, seq }) => epoch === position.epoch && seq <= position.seq);
  }

  /** Past the limit all are let go: the log has them. */
  hold(entry: Entry): void {
    if (this.#isWhole) this.#entries.push(entry);
    if (this.#entries.length <= MAX_ENTRIES) return;
    this.#entries = [];
    this.#isWhole = false;
  }

  /** In their order; not whole when some were let go, and the log is to be asked again. */
  take(): { entries: Entry[]; isWhole: boolean } {
    const taken = { entries: this.#entries.sort((one, other) => one.seq - other.seq), isWhole: this.#isWhole };
    this.clear();
    return taken;
  }

  clear(): void {
    this.#entries = [];
    this.#isWhole = true;
  }
}
