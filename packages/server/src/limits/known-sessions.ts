/** Counts the connections of each session at one address, so that a returning client may exceed the limit. */
import { SmallMap } from './small-map.ts';

interface SessionCounts {
  /** Admitted connections. */
  count: number;
  /** Connections that were admitted beyond the limit; each one replaces another connection that is probably dead. */
  overLimit: number;
}

/**
 * Counts the connections of each author at one network address. When the uplink of a network fails over, all its clients
 * reconnect while their dead connections are still counted. So each counted connection allows one more of the same author, and
 * there are never more than twice as many as the limit.
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

  /** Whichever connection ended, it makes space for one that was admitted beyond the limit. */
  remove(author: string): void {
    const { count, overLimit } = this.#sessions.get(author) ?? NO_CONNECTIONS;
    if (count > 1) this.#sessions.set(author, { count: count - 1, overLimit: Math.max(0, overLimit - 1) });
    else this.#sessions.delete(author);
  }
}

const NO_CONNECTIONS: SessionCounts = { count: 0, overLimit: 0 };
