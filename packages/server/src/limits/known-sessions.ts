import { SmallMap } from './small-map.ts';

interface SessionCounts {
  /** Connections that were let in. */
  count: number;
  /** Those of them that came in beyond the limit, each in the place of another one. */
  overLimit: number;
}

/**
 * Whose connections one network address has. When its uplink fails over, all come back at once while their former connections are
 * dead, and nobody knows that yet: each of those lets one more of the same author in. So there are never more than twice as many.
 */
export class KnownSessions {
  readonly #sessions = new SmallMap<string, SessionCounts>();

  canExceedLimit(author: string): boolean {
    const { count, overLimit } = this.#sessions.get(author) ?? NO_CONNECTIONS;
    return overLimit < count - overLimit;
  }

  add(author: string, isOverLimit: boolean): void {
    const { count, overLimit } = this.#sessions.get(author) ?? NO_CONNECTIONS;
    this.#sessions.set(author, { count: count + 1, overLimit: overLimit + Number(isOverLimit) });
  }

  /** Whichever of them it was, its place is now that of one that had come in beyond the limit. */
  remove(author: string): void {
    const { count, overLimit } = this.#sessions.get(author) ?? NO_CONNECTIONS;
    if (count > 1) this.#sessions.set(author, { count: count - 1, overLimit: Math.max(0, overLimit - 1) });
    else this.#sessions.delete(author);
  }
}

const NO_CONNECTIONS: SessionCounts = { count: 0, overLimit: 0 };
