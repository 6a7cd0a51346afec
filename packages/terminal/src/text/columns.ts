import stringWidth from 'string-width';

/** What people see as one character, and how many columns of a terminal it takes. */
export interface Grapheme {
  text: string;
  columns: number;
}

/** Graphemes whose columns are remembered; when there are more, all are forgotten. */
const MOST_KNOWN = 4_096;
/** Longer ones are measured each time: nobody writes them, and they would fill the memory. */
const LONGEST_KNOWN = 32;

const ASCII = /^[ -~]*$/;
/** Characters that stand alone and are always seen: each code unit is one grapheme. */
const PLAIN =
  /^[ -~\u00a1-\u00ac\u00ae-\u02ff\u0391-\u03a1\u03a3-\u0482\u048a-\u052f\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u23ce\u2500-\u25fc\u2713-\u2718\u3000-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9d]*$/;

/** Of plain text what is neither ASCII nor East Asian: some of it is of ambiguous width. */
const MAYBE_AMBIGUOUS = /[\u0080-\u2fff]/;
/**
 * What stands for our own marks where they would take two columns, so that all that is laid out with them is as anywhere.
 */
const NARROW = new Map(
  Object.entries({ '│': '|', '─': '-', '…': '.', '●': '*', '○': 'o', '↑': '^', '↓': 'v', '·': '-', '≈': '~', '—': '-', '\ufffd': '?' }),
);

let isAmbiguousWide = false;

/** How wide the terminal takes a character of ambiguous width to be: narrow, if it is not told. What was measured before is void. */
export function takeAmbiguousAsWide(isWide: boolean): void {
  if (isWide !== isAmbiguousWide) known.clear();
  isAmbiguousWide = isWide;
}

/** Differs when texts are of another width than before. */
export const measure = (): string => (isAmbiguousWide ? 'wide' : 'narrow');

/** What the terminal has to be told for a character of safe text. */
export const narrowed = (text: string): string => (isAmbiguousWide ? (NARROW.get(text) ?? text) : text);

/** Code units that are segmented at once: of much longer texts the time grows with the square of the length. */
const SEGMENTED_UNITS = 8_192;
const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const known = new Map<string, number>();

/** Whether it needs no cleaning and no segmentation. */
export const isPlain = (text: string): boolean =>
  ASCII.test(text) || (PLAIN.test(text) && !(isAmbiguousWide && MAYBE_AMBIGUOUS.test(text)));

/** The graphemes of any text, from left to right. */
export function* segments(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = start + SEGMENTED_UNITS;
    if (isLowSurrogate(text.charCodeAt(end))) end += 1;
    for (const { segment } of segmenter.segment(text.slice(start, end))) yield segment;
    start = end;
  }
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** The graphemes of safe text, from left to right. */
export function graphemes(text: string): Grapheme[] {
  const parts: Grapheme[] = [];
  if (isPlain(text)) for (const each of text) parts.push({ text: each, columns: columnsOfPlain(each.charCodeAt(0)) });
  else for (const each of segments(text)) parts.push({ text: each, columns: columnsOfGrapheme(each) });
  return parts;
}

/** How many columns safe text takes; characters of ambiguous width as the terminal has them. */
export function columnsOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let columns = 0;
  if (isPlain(text)) for (let each = 0; each < text.length; each += 1) columns += columnsOfPlain(text.charCodeAt(each));
  else for (const each of segments(text)) columns += columnsOfGrapheme(each);
  return columns;
}

/** As much of safe text as these columns hold, with `…` where it was cut; never half a character. */
export function fitted(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let left = columns - 1;
  if (left < 0) return '';
  let cut = '';
  for (const each of graphemes(text)) {
    left -= each.columns;
    if (left < 0) break;
    cut += each.text;
  }
  return `${cut}…`;
}

/** Of one code unit of plain text. */
export const columnsOfPlain = (unit: number): number => (unit < 0x3000 || unit === 0x303f || unit > 0xff60 ? 1 : 2);

function columnsOfGrapheme(grapheme: string): number {
  const columns = known.get(grapheme) ?? stringWidth(narrowed(grapheme), { ambiguousIsNarrow: !isAmbiguousWide });
  if (grapheme.length > LONGEST_KNOWN) return columns;
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(grapheme, columns);
  return columns;
}
