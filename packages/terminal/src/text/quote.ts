import { fitted } from './columns.ts';
import { safeLine } from './safe.ts';

/** Code units of a text that are looked at: of most a column shows one or none. */
const UNITS_A_COLUMN = 4;

/** The beginning of somebody's text, to name it by: one line that is safe to show. */
export const quoteOf = (text: string, columns = 40): string => fitted(safeLine(text.slice(0, UNITS_A_COLUMN * columns)), columns);
