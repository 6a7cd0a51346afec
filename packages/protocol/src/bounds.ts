/** Limits that every client needs, in a file of their own so that the SDK's bundle contains nothing else. */

export const MAX_FRAME_BYTES = 64 * 1024;
/** Items of a page. */
export const MAX_PAGE_ITEMS = 500;
export const MAX_ROOMS_PER_RESUME = 200;
