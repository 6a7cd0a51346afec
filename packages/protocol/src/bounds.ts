/** The limits that every client keeps to by itself, apart from the others: a bundle of the SDK has these alone. */

export const FRAME_BYTES = 64 * 1024;
/** Items of a page. */
export const PAGE_MAX = 500;
export const ROOMS_PER_RESUME = 200;
