/** A room is compared with its log after so long. */
export const LEAST_SILENCE_MS = 5_000;
/** And after twice as long each time, as long as nothing is told there; but after so long at the latest. */
export const MOST_SILENCE_MS = 60_000;

/**
 * How often a room is compared with its log, whatever its subscription says: a subscription that died says nothing. What
 * was missed is found after about as long as it was silent before, and a room where nobody speaks costs next to nothing.
 */
export class Pace {
  #wait = LEAST_SILENCE_MS;
  #waited = 0;

  /** Whether it is time; asked every `LEAST_SILENCE_MS`. */
  isDue(): boolean {
    this.#waited += LEAST_SILENCE_MS;
    if (this.#waited < this.#wait) return false;
    this.#waited = 0;
    this.#wait = Math.min(2 * this.#wait, MOST_SILENCE_MS);
    return true;
  }

  /** Something was told in the room. */
  hasten(): void {
    this.#wait = LEAST_SILENCE_MS;
  }
}
