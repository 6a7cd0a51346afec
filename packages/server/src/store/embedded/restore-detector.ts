import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const WRITE_EVERY_MS = 10_000;

/**
 * A note beside the database of how far it was. A database that is behind it is an older one: a backup that was put
 * back. It is written now and then, after what it tells of is kept, so it is never ahead by itself.
 */
export class RestoreDetector {
  readonly #path: string;
  #recordedHlc = 0;
  #recordedAt = performance.now();

  constructor(folder: string) {
    this.#path = join(folder, 'engawa.witness');
  }

  /** Whether it has seen more than this tick. */
  isAheadOf(hlc: number): boolean {
    try {
      return Number(readFileSync(this.#path, 'utf8')) > hlc;
    } catch {
      return false;
    }
  }

  /** It was not written for long, though there was no rest to do it in. */
  get isDue(): boolean {
    return performance.now() - this.#recordedAt > WRITE_EVERY_MS;
  }

  /** Writes a tick down that is kept. What cannot be written is missed at worst by a restore. */
  record(hlc: number): void {
    this.#recordedAt = performance.now();
    if (hlc === this.#recordedHlc) return;
    try {
      writeFileSync(`${this.#path}.new`, String(hlc), { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
      this.#recordedHlc = hlc;
    } catch {
      // The next one may be.
    }
  }
}
