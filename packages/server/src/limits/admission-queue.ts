/** How many pass in one turn of the event loop, at least and at most. */
const MIN_PER_TURN = 4;
const MAX_PER_TURN = 16;
/** Where turns are long because much else is done in them, so many pass for each millisecond: who comes must not starve. */
const ADMITTED_PER_MS = 2;

/** Of what one client asks for, so much is under way together: enough for a store beyond a network to take it in one round. */
const MAX_CONCURRENT_ITEMS = 4;

/**
 * Lets a crowd through a few at a time, in the order in which they came. After a restart everybody comes back at once:
 * between two turns those who are here are heard, told and answered.
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
   * Works through what one client asks for in slices, each item when it passes, so that others have their turn between them.
   * Who calls this has passed already: the first item need not wait. Ends early, with what is done, once `isOver`.
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
