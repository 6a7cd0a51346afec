// Wraps rows of styled text at word boundaries, also for Japanese and Chinese text.
import { displayWidth, type Grapheme, measureGraphemes } from './display-width.ts';
import { REPLACEMENT } from './sanitize.ts';
import type { Row, Span } from './styled-span.ts';

/** Replaces a character that is wider than a row. */
const TOO_WIDE_REPLACEMENT: Grapheme = { text: REPLACEMENT, columns: 1 };

/** Characters that must not begin or end a row, by the Japanese line breaking rules (kinsoku). */
const NO_LINE_START = new Set('、。，．・：；？！」』）］｝〉》】〕〟’”…‥ーゝゞ々｡､｣ｰ,.!?:;)]}%');
const NO_LINE_END = new Set('「『（［｛〈《【〔〝‘“｢([{');
/** Korean is written with spaces between words. */
const HANGUL = /\p{Script=Hangul}/u;

/** A grapheme to lay out. No row ends inside an unbreakable group. */
export interface WrapUnit extends Grapheme {
  unbreakableGroup?: unknown;
}

/** Wraps a row. Rows after the first are indented. Trailing spaces of each row are dropped. */
export function wrapRow(row: Row, columns: number, { indent = 0 }: { indent?: number } = {}): Row[] {
  if (row.reduce((sum, { text }) => sum + displayWidth(text), 0) <= columns) return [row];
  const indentWidth = Math.max(0, Math.min(indent, columns - 2));
  const pieces = row.flatMap((span) => toWrapUnits(span, columns - indentWidth));
  const starts = findRowStarts(pieces, columns, columns - indentWidth);
  return starts.map((start, at) => {
    const end = starts[at + 1];
    const spans = toSpans(trimEndSpaces(pieces.slice(start, end), end === undefined ? columns - indentWidth : 0));
    return at > 0 && indentWidth > 0 ? [{ text: ' '.repeat(indentWidth) }, ...spans] : spans;
  });
}

/** Start indexes of the rows, the first one 0. Breaks after spaces and beside East Asian characters, or anywhere if necessary. */
export function findRowStarts(pieces: readonly WrapUnit[], firstWidth: number, otherWidth = firstWidth): number[] {
  const starts = [0];
  let start = 0;
  let lastBreak = 0;
  let used = 0;
  for (let at = 0; at < pieces.length; at += 1) {
    const piece = pieces[at] as WrapUnit;
    if (at > start && canBreakBetween(pieces[at - 1] as WrapUnit, piece)) lastBreak = at;
    used += piece.columns;
    const width = start === 0 ? firstWidth : otherWidth;
    // Trailing spaces take no columns.
    if (used <= width || piece.text === ' ' || at === start) continue;
    start = lastBreak > start ? lastBreak : at;
    starts.push(start);
    at = start;
    used = (pieces[at] as WrapUnit).columns;
  }
  return starts;
}

function canBreakBetween(before: WrapUnit, after: WrapUnit): boolean {
  if (after.text === ' ') return false;
  if (before.text === ' ') return true;
  if (before.unbreakableGroup !== undefined && before.unbreakableGroup === after.unbreakableGroup) return false;
  if (!isIdeographic(before) && !isIdeographic(after)) return false;
  return !NO_LINE_START.has(after.text) && !NO_LINE_END.has(before.text);
}

const isIdeographic = ({ text, columns }: Grapheme): boolean => columns > 1 && !HANGUL.test(text);

interface SpanUnit extends WrapUnit {
  span: Span;
}

const toWrapUnits = (span: Span, columns: number): SpanUnit[] =>
  measureGraphemes(span.text).map((each) => ({
    ...(each.columns > columns ? TOO_WIDE_REPLACEMENT : each),
    span,
    ...(span.link && { unbreakableGroup: span }),
  }));

/** Drops trailing spaces beyond the columns. */
function trimEndSpaces(pieces: SpanUnit[], columns: number): SpanUnit[] {
  let used = pieces.reduce((sum, piece) => sum + piece.columns, 0);
  let end = pieces.length;
  for (; used > columns && pieces[end - 1]?.text === ' '; end -= 1) used -= 1;
  return pieces.slice(0, end);
}

function toSpans(pieces: readonly SpanUnit[]): Span[] {
  const spans: Span[] = [];
  let last: Span | undefined;
  for (const { text, span } of pieces) {
    if (span === last) (spans.at(-1) as Span).text += text;
    else spans.push({ ...span, text });
    last = span;
  }
  return spans;
}
