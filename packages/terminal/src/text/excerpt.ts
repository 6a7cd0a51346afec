import { truncate } from './display-width.ts';
import { sanitizeLine } from './sanitize.ts';

/** Code units of a text that are looked at: of most a column shows one or none. */
const UNITS_PER_COLUMN = 4;

/** The beginning of somebody's text, to name it by: one line that is safe to show. */
export const excerpt = (text: string, columns = 40): string => truncate(sanitizeLine(text.slice(0, UNITS_PER_COLUMN * columns)), columns);
