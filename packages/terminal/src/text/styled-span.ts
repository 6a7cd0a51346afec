// Types of styled text: a row of spans with semantic colors.
/** The meaning of a text; the theme maps it to a color. */
export type Color = 'muted' | 'accent' | 'good' | 'warning' | 'bad' | 'mention' | AuthorColor;
/** Colors that distinguish authors. The theme takes the number modulo the count of its colors. */
export type AuthorColor = `author${number}`;

/** The meaning of a background. */
export type Background = 'bar' | 'selected' | 'mention';

/** A part of a row in one style. Its text must be sanitized: see `sanitize.ts`. */
export interface Span {
  text: string;
  color?: Color | undefined;
  background?: Background | undefined;
  bold?: boolean | undefined;
  underline?: boolean | undefined;
  /** A URL that the terminal may open. */
  link?: string | undefined;
}

/** One row of the screen, from the left edge. It is cut if it is wider than the screen. */
export type Row = readonly Span[];
