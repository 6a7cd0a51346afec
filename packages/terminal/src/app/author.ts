import type { AuthorInk } from '../text/span.ts';

/** The same colour for a name wherever and whenever it is seen: FNV-1a of its letters. */
export function inkOf(username: string): AuthorInk {
  let hash = 0x811c9dc5;
  for (const each of username.normalize('NFKC').toLowerCase()) hash = Math.imul(hash ^ (each.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return `author${hash % 997}`;
}
