import { alikes } from '../text/alike.ts';
import type { AuthorInk } from '../text/span.ts';
import { INKS, inkNumberOf } from './author.ts';

const MOST = 1_000;

/** The names that were seen in a room, the latest last, their inks, and which of them people may take for another one. */
export class Names {
  readonly #names = new Set<string>();
  /** As long as the name is known it keeps its own. */
  readonly #inks = new Map<string, number>();
  #alike: Set<string> | undefined;

  /** Somebody did something. */
  seen(username: string): void {
    if (!this.#names.delete(username)) {
      this.#alike = undefined;
      this.#inks.set(username, this.#freeInk(username));
    }
    this.#names.add(username);
    if (this.#names.size <= MOST) return;
    const [oldest] = this.#names;
    if (oldest === undefined) return;
    this.#names.delete(oldest);
    this.#inks.delete(oldest);
    this.#alike = undefined;
  }

  /** Somebody did something a while ago. */
  learned(username: string): void {
    if (!this.#names.has(username)) this.seen(username);
  }

  inkOf(username: string): AuthorInk {
    return `author${this.#inks.get(username) ?? inkNumberOf(username)}`;
  }

  isAlike(username: string): boolean {
    return this.#found.has(username);
  }

  /** Some of them. */
  get areAlike(): boolean {
    return this.#found.size > 0;
  }

  get #found(): Set<string> {
    this.#alike ??= alikes(this.#names);
    return this.#alike;
  }

  /** Those that begin like this, whatever the case, the latest first. */
  beginning(start: string): string[] {
    const folded = start.toLowerCase();
    return [...this.#names].reverse().filter((name) => name.toLowerCase().startsWith(folded));
  }

  /** That of its letters, or the next one that nobody has who was seen lately. */
  #freeInk(username: string): number {
    const taken = new Set([...this.#names].slice(1 - INKS).map((name) => this.#inks.get(name)));
    const first = inkNumberOf(username);
    for (let ink = first; ink < first + INKS; ink += 1) if (!taken.has(ink % INKS)) return ink % INKS;
    return first;
  }
}
