/** Remembers recent index writes and repeats them after a failover or restart. */
/** A failover loses what its replica had not received yet, a restart the last second or two. Milliseconds. */
const REPLAY_WINDOW_MS = 60_000;
const MAX_RECENT_WRITES = 20_000;
const REPLAY_BATCH_WRITES = 500;

interface RecentWrite {
  at: number;
  replay: () => Promise<unknown>;
}

/**
 * Small writes beside the logs: hints and leases. If a log loses its end, its readers detect it; the loss of such a write is not
 * detected. So recent writes are repeated when they may be lost. They are idempotent.
 */
export class RecentWrites {
  readonly #writes = new Map<string, RecentWrite>();

  /** Of several writes with the same name, only the last one is repeated. */
  async run<Result>(name: string, write: () => Promise<Result>, replay: () => Promise<unknown> = write): Promise<Result> {
    this.forget(name);
    this.#writes.set(name, { at: performance.now(), replay });
    this.#evictOld();
    return write();
  }

  /** The write is obsolete and must not be repeated. */
  forget(name: string): void {
    this.#writes.delete(name);
  }

  async replay(): Promise<void> {
    const since = performance.now() - REPLAY_WINDOW_MS;
    const recent = [...this.#writes].filter(([, { at }]) => at >= since);
    for (let at = 0; at < recent.length; at += REPLAY_BATCH_WRITES) {
      // Another write of the same name may have replaced it meanwhile.
      const current = recent.slice(at, at + REPLAY_BATCH_WRITES).filter(([name, write]) => this.#writes.get(name) === write);
      await Promise.all(current.map(([, { replay }]) => replay()));
    }
  }

  /** The map is in the order of the writes. */
  #evictOld(): void {
    const since = performance.now() - REPLAY_WINDOW_MS;
    for (const [name, { at }] of this.#writes) {
      if (at >= since && this.#writes.size <= MAX_RECENT_WRITES) return;
      this.#writes.delete(name);
    }
  }
}
