import { SmallMap } from './small-map.ts';

interface Open {
  /** Connections that were let in. */
  count: number;
  /** Those of them that came in beyond the limit, each in the place of another one. */
  beyond: number;
}

/**
 * Whose connections one network address has. When its uplink fails over, all come back at once while their former connections are
 * dead, and nobody knows that yet: each of those lets one more of the same author in. So there are never more than twice as many.
 */
export class KnownSessions {
  readonly #open = new SmallMap<string, Open>();

  mayExceed(author: string): boolean {
    const { count, beyond } = this.#open.get(author) ?? NONE;
    return beyond < count - beyond;
  }

  came(author: string, isBeyond: boolean): void {
    const { count, beyond } = this.#open.get(author) ?? NONE;
    this.#open.set(author, { count: count + 1, beyond: beyond + Number(isBeyond) });
  }

  /** Whichever of them it was, its place is now that of one that had come in beyond the limit. */
  left(author: string): void {
    const { count, beyond } = this.#open.get(author) ?? NONE;
    if (count > 1) this.#open.set(author, { count: count - 1, beyond: Math.max(0, beyond - 1) });
    else this.#open.delete(author);
  }
}

const NONE: Open = { count: 0, beyond: 0 };
