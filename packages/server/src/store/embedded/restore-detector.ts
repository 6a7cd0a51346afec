/** Detects that an older backup of the database was restored. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const WRITE_EVERY_MS = 10_000;

/**
 * A file next to the database that records how far it was (the newest HLC value). If the database is behind it, an older backup
 * was restored. The file is written from time to time, after the entries are durable, so it is never ahead by itself.
 */
export class RestoreDetector {
  readonly #path: string;
  #recordedHlc = 0;
  #recordedAt = performance.now();

  constructor(folder: string) {
    this.#path = join(folder, 'engawa.witness');
  }

  /** Whether the file is ahead of this value. */
  isAheadOf(hlc: number): boolean {
    try {
      return Number(readFileSync(this.#path, 'utf8')) > hlc;
    } catch {
      return false;
    }
  }

  /** The file was not written for long, because the writer was never idle. */
  get isDue(): boolean {
    return performance.now() - this.#recordedAt > WRITE_EVERY_MS;
  }

  /** Records a durable HLC value. If this fails, a restore may go undetected. */
  record(hlc: number): void {
    this.#recordedAt = performance.now();
    if (hlc === this.#recordedHlc) return;
    try {
      writeFileSync(`${this.#path}.new`, String(hlc), { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
      this.#recordedHlc = hlc;
    } catch {
      // The next attempt may succeed.
    }
  }
}
