const BASE_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/** How long to wait before asking again: anything up to a time that doubles, so that many do not ask at once. */
export const backoff = (attempt: number): number => Math.random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(attempt, 10));
