import { columnsOf, type Grapheme, graphemes } from './columns.ts';
import { REPLACEMENT } from './safe.ts';
import type { Row, Span } from './span.ts';

/** What stands in for a character that is wider than a row. */
const TOO_WIDE: Grapheme = { text: REPLACEMENT, columns: 1 };

/** Marks that no row begins or ends with, as Japanese is set. */
const NEVER_FIRST = new Set('、。，．・：；？！」』）］｝〉》】〕〟’”…‥ーゝゞ々｡､｣ｰ,.!?:;)]}%');
const NEVER_LAST = new Set('「『（［｛〈《【〔〝‘“｢([{');
/** Written with spaces between the words. */
const HANGUL = /\p{Script=Hangul}/u;

/** A grapheme of a text that is laid out, and what it belongs to: no row ends inside of one whole. */
export interface Piece extends Grapheme {
  whole?: unknown;
}

/** The row in rows of so many columns, those after the first indented by `indent`. Spaces where a row ends are left out. */
export function wrapped(row: Row, columns: number, { indent = 0 }: { indent?: number } = {}): Row[] {
  if (row.reduce((sum, { text }) => sum + columnsOf(text), 0) <= columns) return [row];
  const margin = Math.max(0, Math.min(indent, columns - 2));
  const pieces = row.flatMap((span) => piecesOf(span, columns - margin));
  const starts = rowStarts(pieces, columns, columns - margin);
  return starts.map((start, at) => {
    const end = starts[at + 1];
    const spans = spansOf(withoutEndSpaces(pieces.slice(start, end), end === undefined ? columns - margin : 0));
    return at > 0 && margin > 0 ? [{ text: ' '.repeat(margin) }, ...spans] : spans;
  });
}

/** Where rows begin, the first at 0: after spaces, beside characters of East Asia, else, where it must be, anywhere. */
export function rowStarts(pieces: readonly Piece[], first: number, others = first): number[] {
  const starts = [0];
  let start = 0;
  let chance = 0;
  let used = 0;
  for (let at = 0; at < pieces.length; at += 1) {
    const piece = pieces[at] as Piece;
    if (at > start && mayBreak(pieces[at - 1] as Piece, piece)) chance = at;
    used += piece.columns;
    const width = start === 0 ? first : others;
    // Spaces at the end of a row take no room.
    if (used <= width || piece.text === ' ' || at === start) continue;
    start = chance > start ? chance : at;
    starts.push(start);
    at = start;
    used = (pieces[at] as Piece).columns;
  }
  return starts;
}

function mayBreak(before: Piece, after: Piece): boolean {
  if (after.text === ' ') return false;
  if (before.text === ' ') return true;
  if (before.whole !== undefined && before.whole === after.whole) return false;
  if (!isIdeographic(before) && !isIdeographic(after)) return false;
  return !NEVER_FIRST.has(after.text) && !NEVER_LAST.has(before.text);
}

const isIdeographic = ({ text, columns }: Grapheme): boolean => columns > 1 && !HANGUL.test(text);

interface SpanPiece extends Piece {
  span: Span;
}

const piecesOf = (span: Span, columns: number): SpanPiece[] =>
  graphemes(span.text).map((each) => ({ ...(each.columns > columns ? TOO_WIDE : each), span, ...(span.link && { whole: span }) }));

/** Spaces beyond these columns. */
function withoutEndSpaces(pieces: SpanPiece[], columns: number): SpanPiece[] {
  let used = pieces.reduce((sum, piece) => sum + piece.columns, 0);
  let end = pieces.length;
  for (; used > columns && pieces[end - 1]?.text === ' '; end -= 1) used -= 1;
  return pieces.slice(0, end);
}

function spansOf(pieces: readonly SpanPiece[]): Span[] {
  const spans: Span[] = [];
  let last: Span | undefined;
  for (const { text, span } of pieces) {
    if (span === last) (spans.at(-1) as Span).text += text;
    else spans.push({ ...span, text });
    last = span;
  }
  return spans;
}
