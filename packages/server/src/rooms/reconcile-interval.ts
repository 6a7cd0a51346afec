/** The interval at which a room is reconciled with its log: it doubles while the room is silent. */

/** First interval, after an entry. */
export const MIN_RECONCILE_INTERVAL_MS = 5_000;
/** The interval doubles each time without new entries, up to this maximum. */
export const MAX_RECONCILE_INTERVAL_MS = 60_000;

/**
 * How often a room is reconciled with its log: a subscription that failed reports nothing. A missed entry is found after about
 * as long as the room was silent before it, and silent rooms cost very little.
 */
export class ReconcileInterval {
  #intervalMs = MIN_RECONCILE_INTERVAL_MS;
  #elapsedMs = 0;

  /** Whether the room is due. Call this every `MIN_RECONCILE_INTERVAL_MS`. */
  isDue(): boolean {
    this.#elapsedMs += MIN_RECONCILE_INTERVAL_MS;
    if (this.#elapsedMs < this.#intervalMs) return false;
    this.#elapsedMs = 0;
    this.#intervalMs = Math.min(2 * this.#intervalMs, MAX_RECONCILE_INTERVAL_MS);
    return true;
  }

  /** Call this for each new entry. */
  reset(): void {
    this.#intervalMs = MIN_RECONCILE_INTERVAL_MS;
  }
}
