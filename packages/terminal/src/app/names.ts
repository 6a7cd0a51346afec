import { alikes } from '../text/alike.ts';

const MOST = 1_000;

/** The names that were seen in a room, the latest last, and which of them people may take for another one. */
export class Names {
  readonly #names = new Set<string>();
  #alike: Set<string> | undefined;

  /** Somebody did something. */
  seen(username: string): void {
    if (!this.#names.delete(username)) this.#alike = undefined;
    this.#names.add(username);
    if (this.#names.size <= MOST) return;
    const [oldest] = this.#names;
    if (oldest !== undefined) this.#names.delete(oldest);
    this.#alike = undefined;
  }

  /** Somebody did something a while ago. */
  learned(username: string): void {
    if (!this.#names.has(username)) this.seen(username);
  }

  isAlike(username: string): boolean {
    this.#alike ??= alikes(this.#names);
    return this.#alike.has(username);
  }

  /** Those that begin like this, whatever the case, the latest first. */
  beginning(start: string): string[] {
    const folded = start.toLowerCase();
    return [...this.#names].reverse().filter((name) => name.toLowerCase().startsWith(folded));
  }
}
