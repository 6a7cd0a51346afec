/** The interval at which a room is reconciled with its log: it doubles while the room is silent. */

/** A room is compared with its log after so long. */
export const MIN_RECONCILE_INTERVAL_MS = 5_000;
/** And after twice as long each time, as long as nothing is told there; but after so long at the latest. */
export const MAX_RECONCILE_INTERVAL_MS = 60_000;

/**
 * How often a room is compared with its log, whatever its subscription says: a subscription that died says nothing. What
 * was missed is found after about as long as it was silent before, and a room where nobody speaks costs next to nothing.
 */
export class ReconcileInterval {
  #intervalMs = MIN_RECONCILE_INTERVAL_MS;
  #elapsedMs = 0;

  /** Whether it is time; asked every `LEAST_SILENCE_MS`. */
  isDue(): boolean {
    this.#elapsedMs += MIN_RECONCILE_INTERVAL_MS;
    if (this.#elapsedMs < this.#intervalMs) return false;
    this.#elapsedMs = 0;
    this.#intervalMs = Math.min(2 * this.#intervalMs, MAX_RECONCILE_INTERVAL_MS);
    return true;
  }

  /** Something was told in the room. */
  reset(): void {
    this.#intervalMs = MIN_RECONCILE_INTERVAL_MS;
  }
}
