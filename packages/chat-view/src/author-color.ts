// Assigns each username a stable color.
/** The number of colors that a front end needs, all distinguishable. */
export const AUTHOR_COLOR_COUNT = 12;

/** The color index of a name, the same everywhere: FNV-1a hash. */
export function authorColorIndex(username: string): number {
  let hash = 0x811c9dc5;
  for (const each of username.normalize('NFKC').toLowerCase()) hash = Math.imul(hash ^ (each.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash % AUTHOR_COLOR_COUNT;
}
