import { findConfusables } from '../text/confusables.ts';
import type { AuthorColor } from '../text/styled-span.ts';
import { AUTHOR_COLOR_COUNT, authorColorIndex } from './author-color.ts';

const MAX_NAMES = 1_000;

/** The names that were seen in a room, the latest last, their inks, and which of them people may take for another one. */
export class KnownNames {
  readonly #names = new Set<string>();
  /** As long as the name is known it keeps its own. */
  readonly #colors = new Map<string, number>();
  #confusables: Set<string> | undefined;

  /** Somebody did something. */
  recordActivity(username: string): void {
    if (!this.#names.delete(username)) {
      this.#confusables = undefined;
      this.#colors.set(username, this.#freeColor(username));
    }
    this.#names.add(username);
    if (this.#names.size <= MAX_NAMES) return;
    const [oldest] = this.#names;
    if (oldest === undefined) return;
    this.#names.delete(oldest);
    this.#colors.delete(oldest);
    this.#confusables = undefined;
  }

  /** Somebody did something a while ago. */
  addIfUnknown(username: string): void {
    if (!this.#names.has(username)) this.recordActivity(username);
  }

  colorOf(username: string): AuthorColor {
    return `author${this.#colors.get(username) ?? authorColorIndex(username)}`;
  }

  isConfusable(username: string): boolean {
    return this.#confusableNames.has(username);
  }

  /** Some of them. */
  get hasConfusables(): boolean {
    return this.#confusableNames.size > 0;
  }

  get #confusableNames(): Set<string> {
    this.#confusables ??= findConfusables(this.#names);
    return this.#confusables;
  }

  /** Those that begin like this, whatever the case, the latest first. */
  startingWith(start: string): string[] {
    const folded = start.toLowerCase();
    return [...this.#names].reverse().filter((name) => name.toLowerCase().startsWith(folded));
  }

  /** That of its letters, or the next one that nobody has who was seen lately. */
  #freeColor(username: string): number {
    const taken = new Set([...this.#names].slice(1 - AUTHOR_COLOR_COUNT).map((name) => this.#colors.get(name)));
    const first = authorColorIndex(username);
    for (let color = first; color < first + AUTHOR_COLOR_COUNT; color += 1)
      if (!taken.has(color % AUTHOR_COLOR_COUNT)) return color % AUTHOR_COLOR_COUNT;
    return first;
  }
}
