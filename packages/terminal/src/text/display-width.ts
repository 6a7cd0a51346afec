// Measures how many terminal columns text takes, grapheme by grapheme.
import stringWidth from 'string-width';

/** A grapheme and its width in columns. */
export interface Grapheme {
  text: string;
  columns: number;
}

/** Limit of the cache. When it is full, it is cleared. */
const MAX_CACHED_GRAPHEMES = 4_096;
/** Longer graphemes are not cached: they are rare and would fill the memory. */
const MAX_CACHED_LENGTH = 32;

const ASCII = /^[ -~]*$/;
/** Characters that never combine and are always visible: each code unit is one grapheme. */
const SIMPLE_TEXT =
  /^[ -~\u00a1-\u00ac\u00ae-\u02ff\u0391-\u03a1\u03a3-\u0482\u048a-\u052f\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u23ce\u2500-\u25fc\u2713-\u2718\u3000-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9d]*$/;

/** Simple text that is neither ASCII nor East Asian: some of it has ambiguous width. */
const MAYBE_AMBIGUOUS = /[\u0080-\u2fff]/;
/** Substitutes for symbols of this program where these would take two columns, so that the layout stays the same. */
const NARROW_SYMBOLS = new Map(
  Object.entries({ '│': '|', '─': '-', '…': '.', '●': '*', '○': 'o', '↑': '^', '↓': 'v', '·': '-', '≈': '~', '—': '-', '\ufffd': '?' }),
);

let isAmbiguousWide = false;

/** Sets the width of ambiguous characters in this terminal; narrow by default. Clears the cache. */
export function setAmbiguousWide(isWide: boolean): void {
  if (isWide !== isAmbiguousWide) widthCache.clear();
  isAmbiguousWide = isWide;
}

/** Changes when widths change; part of the keys of layout caches. */
export const widthMode = (): string => (isAmbiguousWide ? 'wide' : 'narrow');

/** The character to write to the terminal for a character of safe text. */
export const toNarrowSymbol = (text: string): string => (isAmbiguousWide ? (NARROW_SYMBOLS.get(text) ?? text) : text);

/** Code units that are segmented at once: the time of the segmenter grows with the square of the length. */
const SEGMENT_CHUNK_UNITS = 8_192;
const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const widthCache = new Map<string, number>();

/** Whether the text needs no sanitizing and no segmentation. */
export const isSimpleText = (text: string): boolean =>
  ASCII.test(text) || (SIMPLE_TEXT.test(text) && !(isAmbiguousWide && MAYBE_AMBIGUOUS.test(text)));

/** The graphemes of any text, in order. */
export function* graphemesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = start + SEGMENT_CHUNK_UNITS;
    if (isLowSurrogate(text.charCodeAt(end))) end += 1;
    for (const { segment } of segmenter.segment(text.slice(start, end))) yield segment;
    start = end;
  }
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** The graphemes of safe text with their widths, in order. */
export function measureGraphemes(text: string): Grapheme[] {
  const parts: Grapheme[] = [];
  if (isSimpleText(text)) for (const each of text) parts.push({ text: each, columns: simpleCharWidth(each.charCodeAt(0)) });
  else for (const each of graphemesOf(text)) parts.push({ text: each, columns: graphemeWidth(each) });
  return parts;
}

/** Columns of safe text; ambiguous characters have the width that the terminal gives them. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let columns = 0;
  if (isSimpleText(text)) for (let each = 0; each < text.length; each += 1) columns += simpleCharWidth(text.charCodeAt(each));
  else for (const each of graphemesOf(text)) columns += graphemeWidth(each);
  return columns;
}

/** Cuts safe text to a number of columns and marks the cut with `…`; never splits a grapheme. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let left = columns - 1;
  if (left < 0) return '';
  let cut = '';
  for (const each of measureGraphemes(text)) {
    left -= each.columns;
    if (left < 0) break;
    cut += each.text;
  }
  return `${cut}…`;
}

/** Columns of one code unit of simple text. */
export const simpleCharWidth = (unit: number): number => (unit < 0x3000 || unit === 0x303f || unit > 0xff60 ? 1 : 2);

function graphemeWidth(grapheme: string): number {
  const columns = widthCache.get(grapheme) ?? stringWidth(toNarrowSymbol(grapheme), { ambiguousIsNarrow: !isAmbiguousWide });
  if (grapheme.length > MAX_CACHED_LENGTH) return columns;
  if (widthCache.size >= MAX_CACHED_GRAPHEMES) widthCache.clear();
  widthCache.set(grapheme, columns);
  return columns;
}
