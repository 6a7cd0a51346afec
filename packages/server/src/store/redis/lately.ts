/** A failover loses what its replica had not heard yet, a restart the last second or two. */
const REMEMBERED_MS = 60_000;
const REMEMBERED = 20_000;
const AT_ONCE = 500;

interface Doing {
  at: number;
  again: () => Promise<unknown>;
}

/**
 * Small writes beside the logs: hints, and whose a lease is. Where a log has lost its end its readers find out; nobody
 * finds out that such a write is lost. So what was done lately is done once more when that may be; it does no harm twice.
 */
export class Lately {
  readonly #doings = new Map<string, Doing>();

  /** Of what is done under one name the last counts. */
  async do<Result>(name: string, doing: () => Promise<Result>, again: () => Promise<unknown> = doing): Promise<Result> {
    this.forget(name);
    this.#doings.set(name, { at: performance.now(), again });
    this.#forgetSome();
    return doing();
  }

  /** It is not true any more. */
  forget(name: string): void {
    this.#doings.delete(name);
  }

  async again(): Promise<void> {
    const since = performance.now() - REMEMBERED_MS;
    const lately = [...this.#doings].filter(([, { at }]) => at >= since);
    for (let at = 0; at < lately.length; at += AT_ONCE) {
      // Meanwhile it may have been done otherwise.
      const still = lately.slice(at, at + AT_ONCE).filter(([name, doing]) => this.#doings.get(name) === doing);
      await Promise.all(still.map(([, { again }]) => again()));
    }
  }

  /** They are in the order in which they were done. */
  #forgetSome(): void {
    const since = performance.now() - REMEMBERED_MS;
    for (const [name, { at }] of this.#doings) {
      if (at >= since && this.#doings.size <= REMEMBERED) return;
      this.#doings.delete(name);
    }
  }
}
