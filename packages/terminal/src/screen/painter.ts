import { graphemes, isPlain } from '../text/columns.ts';
import { REPLACEMENT } from '../text/safe.ts';
import type { Row, Span } from '../text/span.ts';
import type { Frame, Place, Size } from './frame.ts';
import type { Theme } from './theme.ts';

/** One grapheme on the screen. */
interface Cell {
  text: string;
  columns: number;
  /** SGR parameters. */
  sgr: string;
  link: string | undefined;
  /** Terminals do not agree how wide it is. */
  isUnsure: boolean;
}

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
const ASCII = /^[ -~]*$/;

/**
 * What to write to a terminal that shows the previous frame, of the same size, so that it shows the next: empty when nothing
 * changed. Without a previous frame all of the screen is written. The terminal must not wrap.
 */
export function painted(previous: Frame | undefined, next: Frame, { size, theme }: { size: Size; theme: Theme }): string {
  const cursor = cursorCode(next.cursor, size);
  let rows = previous ? '' : CLEAR_SCREEN;
  for (let at = 0; at < size.rows; at += 1) {
    const before = previous?.rows[at] ?? [];
    const after = next.rows[at] ?? [];
    if (areSame(before, after)) continue;
    rows += paintedRow(at, cellsOf(before, size.columns, theme), cellsOf(after, size.columns, theme));
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

const isSame = (one: Span, other: Span): boolean =>
  one === other ||
  (one.text === other.text &&
    one.ink === other.ink &&
    one.on === other.on &&
    one.bold === other.bold &&
    one.underline === other.underline &&
    one.link === other.link);

/** From the first cell that changed to the last. */
function paintedRow(row: number, before: readonly Cell[], after: readonly Cell[]): string {
  // Where the terminal may have drawn it wider, or not as wide, only all of it is known to be right.
  if (before.some(({ isUnsure }) => isUnsure) || after.some(({ isUnsure }) => isUnsure))
    return moveTo(row, 0) + CLEAR_TO_END + paintedCells(after, 0);
  let first = 0;
  while (first < after.length && first < before.length && isSameCell(before[first], after[first])) first += 1;
  const column = widthOf(after.slice(0, first));
  const widthBefore = widthOf(before);
  const widthAfter = widthOf(after);
  let kept = 0;
  if (widthBefore === widthAfter)
    while (first + kept < Math.min(before.length, after.length) && isSameCell(before.at(-1 - kept), after.at(-1 - kept))) kept += 1;
  const changed = after.slice(first, after.length - kept);
  return moveTo(row, column) + paintedCells(changed, column) + (widthAfter < widthBefore ? CLEAR_TO_END : '');
}

const isSameCell = (one: Cell | undefined, other: Cell | undefined): boolean =>
  one?.text === other?.text && one?.sgr === other?.sgr && one?.link === other?.link;

const widthOf = (cells: readonly Cell[]): number => cells.reduce((sum, { columns }) => sum + columns, 0);

/** Begins and ends in plain style. */
function paintedCells(cells: readonly Cell[], from: number): string {
  let code = '';
  let sgr = '';
  let link: string | undefined;
  let column = from;
  for (const cell of cells) {
    if (cell.link !== link) code += linkCode(cell.link);
    if (cell.sgr !== sgr) code += `${CSI}${cell.sgr === '' ? '0' : sgr === '' ? cell.sgr : `0;${cell.sgr}`}m`;
    ({ link, sgr } = cell);
    column += cell.columns;
    // Its columns are emptied, and whatever it takes, what follows begins where it should.
    code += cell.isUnsure ? `${CSI}${Math.max(1, cell.columns)}X${cell.text}${CSI}${column + 1}G` : cell.text;
  }
  if (link !== undefined) code += linkCode(undefined);
  return sgr === '' ? code : `${code}${CSI}0m`;
}

/** The id joins the pieces of one link on several rows. */
const linkCode = (link: string | undefined): string =>
  link === undefined ? '\u001b]8;;\u001b\\' : `\u001b]8;id=${checksum(link)};${link}\u001b\\`;

function checksum(text: string): string {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(36);
}

/** The cells of a row, cut with `…` where it is longer. */
function cellsOf(row: Row, columns: number, theme: Theme): Cell[] {
  const cells: Cell[] = [];
  let left = columns;
  for (const span of row) {
    const sgr = theme.sgr(span);
    const link = span.link !== undefined && LINK.test(span.link) ? span.link : undefined;
    const isSafe = isPlain(span.text);
    // More than the row can hold need not be looked at.
    const text = ASCII.test(span.text) ? span.text.slice(0, left + 1) : span.text;
    for (const each of graphemes(text)) {
      const cell = { ...(isSafe ? each : shown(each)), sgr, link, isUnsure: !isSafe && !isPlain(each.text) };
      if (cell.columns > left) return cut(cells, { ...cell, text: '…', columns: 1, isUnsure: false }, left);
      left -= cell.columns;
      cells.push(cell);
    }
  }
  return cells;
}

/** Safe text has no control characters; if it had, here they would end. */
const shown = (each: { text: string; columns: number }) => (CONTROL.test(each.text) ? { text: REPLACEMENT, columns: 1 } : each);

function cut(cells: Cell[], end: Cell, left: number): Cell[] {
  let room = left;
  while (room < 1 && cells.length > 0) room += (cells.pop() as Cell).columns;
  return room < 1 ? cells : [...cells, end];
}
