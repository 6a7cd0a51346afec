/** The limits that every client keeps to by itself, apart from the others: a bundle of the SDK has these alone. */

export const MAX_FRAME_BYTES = 64 * 1024;
/** Items of a page. */
export const MAX_PAGE_ITEMS = 500;
export const MAX_ROOMS_PER_RESUME = 200;
