import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFolder, writePrivateFile } from './private-files.ts';

/**
 * Which programs of this profile are in which room, as files that name the process. A program that was killed leaves its
 * file behind, which counts for nothing. Should its number be another program's by now, the room only seems taken.
 */
export class RoomPidFiles {
  readonly #folder: string;
  readonly #claimed = new Set<string>();
  readonly #releaseAll = (): void => {
    for (const room of this.#claimed) {
      try {
        this.release(room);
      } catch {
        // As good as killed.
      }
    }
  };

  constructor(folder: string) {
    this.#folder = folder;
    makePrivateFolder(folder);
  }

  /** True when no other program was there. Of two that come at once each may see the other. */
  claim(room: string): boolean {
    if (this.#claimed.size === 0) process.once('exit', this.#releaseAll);
    if (!this.#claimed.has(room)) writePrivateFile(this.#ownPath(room), '');
    this.#claimed.add(room);
    return this.isOnlyProcess(room);
  }

  release(room: string): void {
    if (this.#claimed.delete(room)) rmSync(this.#ownPath(room), { force: true });
    if (this.#claimed.size === 0) process.off('exit', this.#releaseAll);
  }

  /** False also when it cannot be known. */
  isOnlyProcess(room: string): boolean {
    const prefix = `${room}.`;
    try {
      const others = readdirSync(this.#folder).filter(
        (name) => name.startsWith(prefix) && join(this.#folder, name) !== this.#ownPath(room),
      );
      return !others.some((name) => this.#isProcessAlive(name, Number(name.slice(prefix.length))));
    } catch {
      return false;
    }
  }

  #ownPath(room: string): string {
    return join(this.#folder, `${room}.${process.pid}`);
  }

  #isProcessAlive(name: string, pid: number): boolean {
    // What is being written has a name that ends otherwise.
    if (!Number.isSafeInteger(pid)) return false;
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') return true;
      rmSync(join(this.#folder, name), { force: true });
      return false;
    }
  }
}
