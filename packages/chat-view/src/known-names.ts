// The usernames seen in a room: completion, colors and confusable names.
import { AUTHOR_COLOR_COUNT, authorColorIndex } from './author-color.ts';
import { findConfusables } from './confusables.ts';

const MAX_NAMES = 1_000;

/** Ordered by the last activity. */
export class KnownNames {
  readonly #names = new Set<string>();
  /** A name keeps its color while it is known. */
  readonly #colors = new Map<string, number>();
  #confusables: Set<string> | undefined;

  /** Records current activity of a member. */
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

  /** Records past activity. */
  addIfUnknown(username: string): void {
    if (!this.#names.has(username)) this.recordActivity(username);
  }

  /** From 0 to {@link AUTHOR_COLOR_COUNT} - 1. */
  colorIndexOf(username: string): number {
    return this.#colors.get(username) ?? authorColorIndex(username);
  }

  isConfusable(username: string): boolean {
    return this.#confusableNames.has(username);
  }

  /** Whether any name is confusable with another. */
  get hasConfusables(): boolean {
    return this.#confusableNames.size > 0;
  }

  get #confusableNames(): Set<string> {
    this.#confusables ??= findConfusables(this.#names);
    return this.#confusables;
  }

  /** Names with this prefix, ignoring case; the most recent first. */
  startingWith(start: string): string[] {
    const folded = start.toLowerCase();
    return [...this.#names].reverse().filter((name) => name.toLowerCase().startsWith(folded));
  }

  /** The color of the name's hash, or the next one that no recently seen name has. */
  #freeColor(username: string): number {
    const taken = new Set([...this.#names].slice(1 - AUTHOR_COLOR_COUNT).map((name) => this.#colors.get(name)));
    const first = authorColorIndex(username);
    for (let color = first; color < first + AUTHOR_COLOR_COUNT; color += 1)
      if (!taken.has(color % AUTHOR_COLOR_COUNT)) return color % AUTHOR_COLOR_COUNT;
    return first;
  }
}
