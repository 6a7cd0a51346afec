/** A failover loses what its replica had not heard yet, a restart the last second or two. */
const REPLAY_WINDOW_MS = 60_000;
const MAX_RECENT_WRITES = 20_000;
const REPLAY_BATCH_WRITES = 500;

interface RecentWrite {
  at: number;
  replay: () => Promise<unknown>;
}

/**
 * Small writes beside the logs: hints, and whose a lease is. Where a log has lost its end its readers find out; nobody
 * finds out that such a write is lost. So what was done lately is done once more when that may be; it does no harm twice.
 */
export class RecentWrites {
  readonly #writes = new Map<string, RecentWrite>();

  /** Of what is done under one name the last counts. */
  async run<Result>(name: string, write: () => Promise<Result>, replay: () => Promise<unknown> = write): Promise<Result> {
    this.forget(name);
    this.#writes.set(name, { at: performance.now(), replay });
    this.#evictOld();
    return write();
  }

  /** It is not true any more. */
  forget(name: string): void {
    this.#writes.delete(name);
  }

  async replay(): Promise<void> {
    const since = performance.now() - REPLAY_WINDOW_MS;
    const recent = [...this.#writes].filter(([, { at }]) => at >= since);
    for (let at = 0; at < recent.length; at += REPLAY_BATCH_WRITES) {
      // Meanwhile it may have been done otherwise.
      const current = recent.slice(at, at + REPLAY_BATCH_WRITES).filter(([name, write]) => this.#writes.get(name) === write);
      await Promise.all(current.map(([, { replay }]) => replay()));
    }
  }

  /** They are in the order in which they were done. */
  #evictOld(): void {
    const since = performance.now() - REPLAY_WINDOW_MS;
    for (const [name, { at }] of this.#writes) {
      if (at >= since && this.#writes.size <= MAX_RECENT_WRITES) return;
      this.#writes.delete(name);
    }
  }
}
