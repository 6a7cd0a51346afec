// Counts the code points of a text.
/** Limits in messages are in code points, which is closest to what users count. */
export function codePointLength(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
