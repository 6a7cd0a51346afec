/** What a piece of text means to whoever looks; a theme says how that looks. */
export type Color = 'muted' | 'accent' | 'good' | 'warning' | 'bad' | 'mention' | AuthorColor;
/** Colours that tell people apart; how many there are, a theme decides by the remainder. */
export type AuthorColor = `author${number}`;

/** What a piece of text stands on. */
export type Background = 'bar' | 'selected' | 'mention';

/** A piece of one row, in one style. Its text is safe to show: see `safe.ts`. */
export interface Span {
  text: string;
  color?: Color | undefined;
  background?: Background | undefined;
  bold?: boolean | undefined;
  underline?: boolean | undefined;
  /** A URL that the terminal may open. */
  link?: string | undefined;
}

/** One row of the screen, from its left edge. What is longer than the screen is cut off. */
export type Row = readonly Span[];
