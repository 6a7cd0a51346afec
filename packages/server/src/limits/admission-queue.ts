/** The admission queue: admits returning clients a few at a time, in order of arrival. */
/** Bounds of how many waiters are admitted in one turn of the event loop. */
const MIN_PER_TURN = 4;
const MAX_PER_TURN = 16;
/** Waiters that are admitted for each millisecond of a turn: when other work makes turns long, the queue must not starve. */
const ADMITTED_PER_MS = 2;

/** Items of one client that are processed concurrently: enough for a remote store to answer them in one round trip. */
const MAX_CONCURRENT_ITEMS = 4;

/**
 * Spreads a reconnect storm over many turns of the event loop. After a restart all clients return at the same time; between two
 * turns, connected clients are served.
 */
export class AdmissionQueue {
  #queue: (() => void)[] = [];

  get queuedCount(): number {
    return this.#queue.length;
  }

  waitForTurn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#queue.push(resolve) === 1) this.#scheduleTurn();
    });
  }

  /**
   * Processes the items of one client in batches; each item waits for its turn, so that other clients are served in between. The
   * caller has waited for its own turn already, so the first item does not wait. Stops after a batch with a result for which
   * `shouldStop` holds, and returns the results so far.
   */
  async mapInTurns<Item, Result>(
    items: Item[],
    work: (item: Item) => Promise<Result>,
    shouldStop = (_: Result): boolean => false,
  ): Promise<Result[]> {
    const results: Result[] = [];
    for (let start = 0; start < items.length && !results.some(shouldStop); start += MAX_CONCURRENT_ITEMS) {
      const batch = items.slice(start, start + MAX_CONCURRENT_ITEMS).map(async (item, index) => {
        if (start + index > 0) await this.waitForTurn();
        return work(item);
      });
      results.push(...(await Promise.all(batch)));
    }
    return results;
  }

  #scheduleTurn(): void {
    const scheduledAt = performance.now();
    setImmediate(() => this.#admitNext(performance.now() - scheduledAt));
  }

  #admitNext(turnMs: number): void {
    const count = Math.min(MAX_PER_TURN, Math.max(MIN_PER_TURN, Math.floor(ADMITTED_PER_MS * turnMs)));
    const admitted = this.#queue.splice(0, count);
    if (this.#queue.length > 0) this.#scheduleTurn();
    for (const admit of admitted) admit();
  }
}
