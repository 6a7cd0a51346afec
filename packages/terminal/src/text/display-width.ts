import stringWidth from 'string-width';

/** What people see as one character, and how many columns of a terminal it takes. */
export interface Grapheme {
  text: string;
  columns: number;
}

/** Graphemes whose columns are remembered; when there are more, all are forgotten. */
const MAX_CACHED_GRAPHEMES = 4_096;
/** Longer ones are measured each time: nobody writes them, and they would fill the memory. */
const MAX_CACHED_LENGTH = 32;

const ASCII = /^[ -~]*$/;
/** Characters that stand alone and are always seen: each code unit is one grapheme. */
const SIMPLE_TEXT =
  /^[ -~\u00a1-\u00ac\u00ae-\u02ff\u0391-\u03a1\u03a3-\u0482\u048a-\u052f\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u23ce\u2500-\u25fc\u2713-\u2718\u3000-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9d]*$/;

/** Of plain text what is neither ASCII nor East Asian: some of it is of ambiguous width. */
const MAYBE_AMBIGUOUS = /[\u0080-\u2fff]/;
/**
 * What stands for our own marks where they would take two columns, so that all that is laid out with them is as anywhere.
 */
const NARROW_SYMBOLS = new Map(
  Object.entries({ '│': '|', '─': '-', '…': '.', '●': '*', '○': 'o', '↑': '^', '↓': 'v', '·': '-', '≈': '~', '—': '-', '\ufffd': '?' }),
);

let isAmbiguousWide = false;

/** How wide the terminal takes a character of ambiguous width to be: narrow, if it is not told. What was measured before is void. */
export function setAmbiguousWide(isWide: boolean): void {
  if (isWide !== isAmbiguousWide) widthCache.clear();
  isAmbiguousWide = isWide;
}

/** Differs when texts are of another width than before. */
export const widthMode = (): string => (isAmbiguousWide ? 'wide' : 'narrow');

/** What the terminal has to be told for a character of safe text. */
export const toNarrowSymbol = (text: string): string => (isAmbiguousWide ? (NARROW_SYMBOLS.get(text) ?? text) : text);

/** Code units that are segmented at once: of much longer texts the time grows with the square of the length. */
const SEGMENT_CHUNK_UNITS = 8_192;
const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const widthCache = new Map<string, number>();

/** Whether it needs no cleaning and no segmentation. */
export const isSimpleText = (text: string): boolean =>
  ASCII.test(text) || (SIMPLE_TEXT.test(text) && !(isAmbiguousWide && MAYBE_AMBIGUOUS.test(text)));

/** The graphemes of any text, from left to right. */
export function* graphemesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = start + SEGMENT_CHUNK_UNITS;
    if (isLowSurrogate(text.charCodeAt(end))) end += 1;
    for (const { segment } of segmenter.segment(text.slice(start, end))) yield segment;
    start = end;
  }
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** The graphemes of safe text, from left to right. */
export function measureGraphemes(text: string): Grapheme[] {
  const parts: Grapheme[] = [];
  if (isSimpleText(text)) for (const each of text) parts.push({ text: each, columns: simpleCharWidth(each.charCodeAt(0)) });
  else for (const each of graphemesOf(text)) parts.push({ text: each, columns: graphemeWidth(each) });
  return parts;
}

/** How many columns safe text takes; characters of ambiguous width as the terminal has them. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let columns = 0;
  if (isSimpleText(text)) for (let each = 0; each < text.length; each += 1) columns += simpleCharWidth(text.charCodeAt(each));
  else for (const each of graphemesOf(text)) columns += graphemeWidth(each);
  return columns;
}

/** As much of safe text as these columns hold, with `…` where it was cut; never half a character. */
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

/** Of one code unit of plain text. */
export const simpleCharWidth = (unit: number): number => (unit < 0x3000 || unit === 0x303f || unit > 0xff60 ? 1 : 2);

function graphemeWidth(grapheme: string): number {
  const columns = widthCache.get(grapheme) ?? stringWidth(toNarrowSymbol(grapheme), { ambiguousIsNarrow: !isAmbiguousWide });
  if (grapheme.length > MAX_CACHED_LENGTH) return columns;
  if (widthCache.size >= MAX_CACHED_GRAPHEMES) widthCache.clear();
  widthCache.set(grapheme, columns);
  return columns;
}
