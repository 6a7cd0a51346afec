/** As many as every theme tells apart. */
export const AUTHOR_COLOR_COUNT = 12;

/** The number of an ink that is the same for a name wherever and whenever it is seen: FNV-1a of its letters. */
export function authorColorIndex(username: string): number {
  let hash = 0x811c9dc5;
  for (const each of username.normalize('NFKC').toLowerCase()) hash = Math.imul(hash ^ (each.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash % AUTHOR_COLOR_COUNT;
}
