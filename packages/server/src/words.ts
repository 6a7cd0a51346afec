/** What commands say in the same way. */

export const several = (count: number, noun: string, nouns = `${noun}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : nouns}`;

/** The first lines of more. */
export const withRest = (lines: string[], count: number): string[] =>
  count > lines.length ? [...lines, `  and ${(count - lines.length).toLocaleString('en')} more`] : lines;

/** A name that came from outside, for a terminal: what cannot be seen is written out, and controls nothing. */
export const quoted = (name: string): string =>
  JSON.stringify(name).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
