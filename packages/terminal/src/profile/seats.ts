import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFolder, writePrivate } from './private-files.ts';

/**
 * Which programs of this profile are in which room, as files that name the process. A program that was killed leaves its
 * file behind, which counts for nothing. Should its number be another program's by now, the room only seems taken.
 */
export class Seats {
  readonly #folder: string;
  readonly #taken = new Set<string>();
  readonly #close = (): void => {
    for (const room of this.#taken) {
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
  take(room: string): boolean {
    if (this.#taken.size === 0) process.once('exit', this.#close);
    if (!this.#taken.has(room)) writePrivate(this.#own(room), '');
    this.#taken.add(room);
    return this.isAlone(room);
  }

  release(room: string): void {
    if (this.#taken.delete(room)) rmSync(this.#own(room), { force: true });
    if (this.#taken.size === 0) process.off('exit', this.#close);
  }

  /** False also when it cannot be known. */
  isAlone(room: string): boolean {
    const prefix = `${room}.`;
    try {
      const others = readdirSync(this.#folder).filter((name) => name.startsWith(prefix) && join(this.#folder, name) !== this.#own(room));
      return !others.some((name) => this.#isHeld(name, Number(name.slice(prefix.length))));
    } catch {
      return false;
    }
  }

  #own(room: string): string {
    return join(this.#folder, `${room}.${process.pid}`);
  }

  #isHeld(name: string, pid: number): boolean {
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
