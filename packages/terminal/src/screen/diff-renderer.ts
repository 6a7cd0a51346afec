// Computes the escape codes that turn the previous frame into the next one.
import { displayWidth, isSimpleText, measureGraphemes, simpleCharWidth, toNarrowSymbol } from '../text/display-width.ts';
import { REPLACEMENT } from '../text/sanitize.ts';
import type { Row, Span } from '../text/styled-span.ts';
import type { Frame, ScreenPosition, Size } from './frame.ts';
import type { Theme } from './theme.ts';

const CSI = '\u001b[';
const HIDE_CURSOR = `${CSI}?25l`;
const SHOW_CURSOR = `${CSI}?25h`;
/** Synchronized output: the terminal shows the update at once, if it supports that. */
const BEGIN_SYNCHRONIZED_UPDATE = `${CSI}?2026h`;
const END_SYNCHRONIZED_UPDATE = `${CSI}?2026l`;
const CLEAR_SCREEN = `${CSI}0m${CSI}2J`;
const CLEAR_TO_END = `${CSI}K`;

const LINK_CHARACTERS = /^[!-~]+$/;
const CONTROL = /\p{Cc}/u;

/** The terminal to render for. */
export interface RenderTarget {
  size: Size;
  theme: Theme;
}

/**
 * The bytes that turn the previous frame into the next one of the same size; empty if nothing changed. Without a previous frame,
 * the whole screen is written. Line wrapping must be off in the terminal.
 */
export function renderDiff(previous: Frame | undefined, next: Frame, target: RenderTarget): string {
  const { size } = target;
  const cursor = cursorCode(next.cursor, size);
  let rows = previous ? '' : CLEAR_SCREEN;
  for (let at = 0; at < size.rows; at += 1) {
    const before = previous?.rows[at] ?? [];
    const after = next.rows[at] ?? [];
    if (areRowsEqual(before, after)) continue;
    const { column, rest } = skipCommonPrefix(before, after, target);
    rows += moveTo(at, column) + renderSpans(rest, column, target);
  }
  if (rows !== '') return BEGIN_SYNCHRONIZED_UPDATE + HIDE_CURSOR + rows + cursor + END_SYNCHRONIZED_UPDATE;
  return previous && cursorCode(previous.cursor, size) === cursor ? '' : cursor;
}

function cursorCode(cursor: ScreenPosition | undefined, size: Size): string {
  if (!cursor) return HIDE_CURSOR;
  const row = Math.max(0, Math.min(cursor.row, size.rows - 1));
  const column = Math.max(0, Math.min(cursor.column, size.columns - 1));
  return moveTo(row, column) + SHOW_CURSOR;
}

const moveTo = (row: number, column: number): string => `${CSI}${row + 1};${column + 1}H`;

const areRowsEqual = (one: Row, other: Row): boolean =>
  one === other || (one.length === other.length && one.every((span, at) => areSpansEqual(span, other[at] as Span)));

const areSpansEqual = (one: Span, other: Span): boolean => one === other || (one.text === other.text && hasSameStyle(one, other));

const hasSameStyle = (one: Span, other: Span): boolean =>
  one.color === other.color &&
  one.background === other.background &&
  one.bold === other.bold &&
  one.underline === other.underline &&
  one.link === other.link;

/**
 * The width of the common prefix of two rows, and the rest of the second row. If a row has characters of ambiguous width, the
 * whole row is written, because terminals disagree about the columns.
 */
function skipCommonPrefix(before: Row, after: Row, target: RenderTarget): { column: number; rest: Row } {
  if (![...before, ...after].every(({ text }) => isSimpleText(text))) return { column: 0, rest: after };
  const { columns } = target.size;
  // Near the right edge one of the rows may be cut.
  let remainingColumns = Math.max(0, columns - 2);
  for (const [at, span] of after.entries()) {
    const other = before[at];
    const common = other && hasSameStyle(span, other) ? commonPrefix(span.text, other.text, remainingColumns) : '';
    remainingColumns -= displayWidth(common);
    if (common === span.text && common === other?.text) continue;
    return {
      column: Math.max(0, columns - 2) - remainingColumns,
      rest: [{ ...span, text: span.text.slice(common.length) }, ...after.slice(at + 1)],
    };
  }
  return { column: Math.max(0, columns - 2) - remainingColumns, rest: [] };
}

/** Common prefix of two simple texts, up to a number of columns. */
function commonPrefix(one: string, other: string, columns: number): string {
  let end = 0;
  for (let left = columns; end < one.length && one[end] === other[end]; end += 1) {
    left -= simpleCharWidth(one.charCodeAt(end));
    if (left < 0) break;
  }
  return one.slice(0, end);
}

/** Renders a row from a column on, cut with `…` if it is too long. Starts and ends in the default style. */
function renderSpans(spans: Row, from: number, target: RenderTarget): string {
  const { columns } = target.size;
  const widths = spans.map(({ text }) => displayWidth(text));
  const isCut = widths.reduce((sum, width) => sum + width, from) > columns;
  const end = isCut ? columns - 1 : columns;
  let code = '';
  let column = from;
  for (const [at, span] of spans.entries()) {
    const width = widths[at] as number;
    if (column + width <= end) {
      code += renderText(span, alignGraphemes(span.text, column), target);
      column += width;
      continue;
    }
    const visible = prefixOfWidth(span.text, end - column);
    return (
      code +
      renderText(span, alignGraphemes(`${visible}…`, column), target) +
      (column + displayWidth(visible) + 1 < columns ? CLEAR_TO_END : '')
    );
  }
  return column < columns ? code + CLEAR_TO_END : code;
}

function renderText(span: Span, text: string, { theme }: RenderTarget): string {
  if (text === '') return '';
  const sgr = theme.sgr(span);
  const styledText = sgr === '' ? text : `${CSI}${sgr}m${text}${CSI}0m`;
  return span.link !== undefined && LINK_CHARACTERS.test(span.link) ? linkCode(span.link) + styledText + linkCode(undefined) : styledText;
}

/** Clears the columns of characters whose width terminals disagree about, and places the following text at its exact column. */
function alignGraphemes(text: string, from: number): string {
  if (isSimpleText(text)) return text;
  let code = '';
  let column = from;
  for (const each of measureGraphemes(text)) {
    // Safe text has no control characters. If one is left, it ends here.
    const character = toNarrowSymbol(CONTROL.test(each.text) ? REPLACEMENT : each.text);
    column += each.columns;
    code += isSimpleText(character) ? character : `${CSI}${Math.max(1, each.columns)}X${character}${CSI}${column + 1}G`;
  }
  return code;
}

/** The longest prefix that fits the columns. */
function prefixOfWidth(text: string, columns: number): string {
  let left = columns;
  let part = '';
  for (const each of measureGraphemes(isSimpleText(text) ? text.slice(0, columns) : text)) {
    left -= each.columns;
    if (left < 0) break;
    part += each.text;
  }
  return part;
}

/** The id connects the parts of a link that is wrapped over several rows. */
const linkCode = (link: string | undefined): string =>
  link === undefined ? '\u001b]8;;\u001b\\' : `\u001b]8;id=${checksum(link)};${link}\u001b\\`;

function checksum(text: string): string {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(36);
}
