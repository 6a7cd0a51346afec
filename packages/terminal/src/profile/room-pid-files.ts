// PID files that say which processes of a profile are in a room.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFolder, writePrivateFile } from './private-files.ts';

/**
 * Each file names a room and a process. The file of a killed process is ignored. If its PID has been reused, the room only seems
 * to be in use.
 */
export class RoomPidFiles {
  readonly #folder: string;
  readonly #claimed = new Set<string>();
  readonly #releaseAll = (): void => {
    for (const room of this.#claimed) {
      try {
        this.release(room);
      } catch {
        // The stale file counts as one of a killed process.
      }
    }
  };

  constructor(folder: string) {
    this.#folder = folder;
    makePrivateFolder(folder);
  }

  /** Returns true if no other process was in the room. Two processes that claim it at once may each see the other. */
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

  /** False also if it cannot be determined. */
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
    // A file that is being written has another suffix.
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
