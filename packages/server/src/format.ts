/** Text formatting that the commands share. */

export const pluralize = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`;

/** The first items of a list, and how many more there are. */
export const withRemainder = (lines: string[], count: number): string[] =>
  count > lines.length ? [...lines, `  and ${(count - lines.length).toLocaleString('en')} more`] : lines;

/** Formats untrusted text for a terminal: invisible and control characters are escaped. */
export const quoteForTerminal = (name: string): string =>
  JSON.stringify(name).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
