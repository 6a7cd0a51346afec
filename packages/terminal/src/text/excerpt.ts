// Shortens a text to one safe line, to quote it in messages.
import { truncate } from './display-width.ts';
import { sanitizeLine } from './sanitize.ts';

/** Code units considered for each column: most graphemes have one or two. */
const UNITS_PER_COLUMN = 4;

/** The beginning of a text, sanitized. */
export const excerpt = (text: string, columns = 40): string => truncate(sanitizeLine(text.slice(0, UNITS_PER_COLUMN * columns)), columns);
