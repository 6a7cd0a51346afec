/** Text formatting that the commands share. */

export const pluralize = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;

/** The first lines of more. */
export const withRemainder = (lines: string[], count: number): string[] =>
  count > lines.length ? [...lines, `  and ${(count - lines.length).toLocaleString('en')} more`] : lines;

/** A name that came from outside, for a terminal: what cannot be seen is written out, and controls nothing. */
export const quoteForTerminal = (name: string): string =>
  JSON.stringify(name).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
