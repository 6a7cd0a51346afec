/** Exponential back-off with full jitter. */

const BASE_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/**
 * Milliseconds before the next attempt: random up to a limit that doubles, so that many clients do not retry at the same time.
 */
export const backoff = (attempt: number): number => Math.random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(attempt, 10));
