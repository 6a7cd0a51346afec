import { columnsOf, columnsOfPlain, graphemes, isPlain, narrowed } from '../text/columns.ts';
import { REPLACEMENT } from '../text/safe.ts';
import type { Row, Span } from '../text/span.ts';
import type { Frame, Place, Size } from './frame.ts';
import type { Theme } from './theme.ts';

const CSI = '\u001b[';
const HIDE_CURSOR = `${CSI}?25l`;
const SHOW_CURSOR = `${CSI}?25h`;
/** The terminal shows what is between at once, if it knows how. */
const BEGIN = `${CSI}?2026h`;
const END = `${CSI}?2026l`;
const CLEAR_SCREEN = `${CSI}0m${CSI}2J`;
const CLEAR_TO_END = `${CSI}K`;

const LINK = /^[!-~]+$/;
const CONTROL = /\p{Cc}/u;

/** For whom it is painted. */
export interface Canvas {
  size: Size;
  theme: Theme;
}

/**
 * What to write to a terminal that shows the previous frame, of the same size, so that it shows the next: empty when nothing
 * changed. Without a previous frame all of the screen is written. The terminal must not wrap.
 */
export function painted(previous: Frame | undefined, next: Frame, canvas: Canvas): string {
  const { size } = canvas;
  const cursor = cursorCode(next.cursor, size);
  let rows = previous ? '' : CLEAR_SCREEN;
  for (let at = 0; at < size.rows; at += 1) {
    const before = previous?.rows[at] ?? [];
    const after = next.rows[at] ?? [];
    if (areSame(before, after)) continue;
    const { column, rest } = begunAlike(before, after, canvas);
    rows += moveTo(at, column) + paintedSpans(rest, column, canvas);
  }
  if (rows !== '') return BEGIN + HIDE_CURSOR + rows + cursor + END;
  return previous && cursorCode(previous.cursor, size) === cursor ? '' : cursor;
}

function cursorCode(cursor: Place | undefined, size: Size): string {
  if (!cursor) return HIDE_CURSOR;
  const row = Math.max(0, Math.min(cursor.row, size.rows - 1));
  const column = Math.max(0, Math.min(cursor.column, size.columns - 1));
  return moveTo(row, column) + SHOW_CURSOR;
}

const moveTo = (row: number, column: number): string => `${CSI}${row + 1};${column + 1}H`;

const areSame = (one: Row, other: Row): boolean =>
  one === other || (one.length === other.length && one.every((span, at) => isSame(span, other[at] as Span)));

const isSame = (one: Span, other: Span): boolean => one === other || (one.text === other.text && looksSame(one, other));

const looksSame = (one: Span, other: Span): boolean =>
  one.ink === other.ink && one.on === other.on && one.bold === other.bold && one.underline === other.underline && one.link === other.link;

/**
 * Up to which column both rows look the same, and what of the second is beyond. Where terminals do not agree how wide a
 * character is, only all of a row is known to be right.
 */
function begunAlike(before: Row, after: Row, canvas: Canvas): { column: number; rest: Row } {
  if (![...before, ...after].every(({ text }) => isPlain(text))) return { column: 0, rest: after };
  const { columns } = canvas.size;
  // Further to the right one of them may be cut.
  let room = Math.max(0, columns - 2);
  for (const [at, span] of after.entries()) {
    const other = before[at];
    const alike = other && looksSame(span, other) ? commonBegin(span.text, other.text, room) : '';
    room -= columnsOf(alike);
    if (alike === span.text && alike === other?.text) continue;
    return { column: Math.max(0, columns - 2) - room, rest: [{ ...span, text: span.text.slice(alike.length) }, ...after.slice(at + 1)] };
  }
  return { column: Math.max(0, columns - 2) - room, rest: [] };
}

/** What two plain texts have in common from their begin, in so many columns. */
function commonBegin(one: string, other: string, columns: number): string {
  let end = 0;
  for (let left = columns; end < one.length && one[end] === other[end]; end += 1) {
    left -= columnsOfPlain(one.charCodeAt(end));
    if (left < 0) break;
  }
  return one.slice(0, end);
}

/** From a column to the end of the row, cut with `…` where it is longer. Begins and ends in plain style. */
function paintedSpans(spans: Row, from: number, canvas: Canvas): string {
  const { columns } = canvas.size;
  const widths = spans.map(({ text }) => columnsOf(text));
  const isCut = widths.reduce((sum, width) => sum + width, from) > columns;
  const end = isCut ? columns - 1 : columns;
  let code = '';
  let column = from;
  for (const [at, span] of spans.entries()) {
    const width = widths[at] as number;
    if (column + width <= end) {
      code += styled(span, placed(span.text, column), canvas);
      column += width;
      continue;
    }
    const begin = begun(span.text, end - column);
    return code + styled(span, placed(`${begin}…`, column), canvas) + (column + columnsOf(begin) + 1 < columns ? CLEAR_TO_END : '');
  }
  return column < columns ? code + CLEAR_TO_END : code;
}

function styled(span: Span, text: string, { theme }: Canvas): string {
  if (text === '') return '';
  const sgr = theme.sgr(span);
  const look = sgr === '' ? text : `${CSI}${sgr}m${text}${CSI}0m`;
  return span.link !== undefined && LINK.test(span.link) ? linkCode(span.link) + look + linkCode(undefined) : look;
}

/** Columns of what a terminal may take to be wider or not as wide are emptied, and what follows begins where it should. */
function placed(text: string, from: number): string {
  if (isPlain(text)) return text;
  let code = '';
  let column = from;
  for (const each of graphemes(text)) {
    // Safe text has no control characters; if it had, here they would end.
    const shown = narrowed(CONTROL.test(each.text) ? REPLACEMENT : each.text);
    column += each.columns;
    code += isPlain(shown) ? shown : `${CSI}${Math.max(1, each.columns)}X${shown}${CSI}${column + 1}G`;
  }
  return code;
}

/** As much of a text as has so many columns. */
function begun(text: string, columns: number): string {
  let left = columns;
  let part = '';
  for (const each of graphemes(isPlain(text) ? text.slice(0, columns) : text)) {
    left -= each.columns;
    if (left < 0) break;
    part += each.text;
  }
  return part;
}

/** The id joins the pieces of one link on several rows. */
const linkCode = (link: string | undefined): string =>
  link === undefined ? '\u001b]8;;\u001b\\' : `\u001b]8;id=${checksum(link)};${link}\u001b\\`;

function checksum(text: string): string {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(36);
}
