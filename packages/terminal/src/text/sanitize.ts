// Sanitizes untrusted text, so that it can only print characters and not control the terminal.
import { graphemesOf, isSimpleText } from './display-width.ts';

/** Replaces characters that must not be displayed. */
export const REPLACEMENT = '\ufffd';

/** Limits for combining marks on a character and for UTF-16 code units of a grapheme: no language and no emoji needs more. */
const MAX_COMBINING_MARKS = 4;
const MAX_GRAPHEME_UNITS = 32;

const LINE_BREAK = /\r\n|[\n\r\u0085\u2028\u2029]/;
/** A mark at the start of the text would combine with the character before the text. */
const MARK_WITHOUT_BASE = /^(?=[\p{M}\p{Emoji_Modifier}\uff9e\uff9f])/u;
const DOTTED_CIRCLE = '\u25cc';
/** Variants of an ideograph: the ideograph alone is enough. */
const IDEOGRAPHIC_VARIATION = /(?<=\p{Ideographic})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]/gu;
const TOO_MANY_MARKS = new RegExp(`(\\p{M}{${MAX_COMBINING_MARKS}})\\p{M}+`, 'gu');
/**
 * Control, bidirectional, invisible, unassigned and private-use characters. Joiners, variation selectors and tags are allowed or
 * rejected by their context.
 */
const UNSAFE_CHARACTERS =
  /(?:(?!\u200c|\u200d|\ufe0e|\ufe0f|[\u{e0020}-\u{e007f}])[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}\u2800\p{Default_Ignorable_Code_Point}])+/gu;

/** Emoji and emoji sequences; keycaps; flags of countries; the three flags made of tags. */
const EMOJI = new RegExp(
  [
    String.raw`^\p{Extended_Pictographic}[\ufe0e\ufe0f]?\p{Emoji_Modifier}?(?:\u200d\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?){0,4}$`,
    String.raw`^[0-9#*]\ufe0f?\u20e3$`,
    String.raw`^\p{Regional_Indicator}{2}$`,
    String.raw`^\u{1f3f4}\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f}$`,
  ].join('|'),
  'u',
);
const SELECTOR = /[\ufe0e\ufe0f\u{e0020}-\u{e007f}]+/gu;
/** Letters and marks whose shape changes beside a joiner. */
const JOINING_LETTER =
  '[\\p{L}\\p{M}](?<=[\\p{scx=Arab}\\p{scx=Syrc}\\p{scx=Mong}\\p{scx=Nkoo}\\p{scx=Deva}\\p{scx=Beng}\\p{scx=Guru}\\p{scx=Gujr}\\p{scx=Orya}\\p{scx=Taml}\\p{scx=Telu}\\p{scx=Knda}\\p{scx=Mlym}\\p{scx=Sinh}\\p{scx=Khmr}\\p{scx=Mymr}\\p{scx=Tibt}])';
const USELESS_JOINER = new RegExp(`(?<!${JOINING_LETTER})[\\u200c\\u200d]|[\\u200c\\u200d](?!${JOINING_LETTER})`, 'gu');

/** One line of printable characters; line breaks become `⏎`. */
export const sanitizeLine = (text: string): string => (isSimpleText(text) ? text : sanitizeLines(text).join(' ⏎ '));

/** Like `sanitizeLine`, but returns the lines; at least one. */
export const sanitizeLines = (text: string): string[] => text.toWellFormed().split(LINE_BREAK).map(sanitizeOneLine);

function sanitizeOneLine(line: string): string {
  if (isSimpleText(line)) return line;
  const replaced = line
    .replaceAll('\t', '  ')
    .replace(IDEOGRAPHIC_VARIATION, '')
    .replace(UNSAFE_CHARACTERS, REPLACEMENT)
    .replace(TOO_MANY_MARKS, '$1')
    .replace(MARK_WITHOUT_BASE, DOTTED_CIRCLE);
  if (isSimpleText(replaced)) return replaced;
  let clean = '';
  let end = 0;
  for (const grapheme of graphemesOf(replaced)) {
    end += grapheme.length;
    clean += isSimpleText(grapheme) ? grapheme : sanitizeGrapheme(grapheme, replaced.codePointAt(end));
  }
  return clean;
}

function sanitizeGrapheme(grapheme: string, follower: number | undefined): string {
  if (grapheme.length <= MAX_GRAPHEME_UNITS && EMOJI.test(grapheme)) return grapheme;
  const after = follower === undefined ? '' : String.fromCodePoint(follower);
  const bounded = grapheme.replace(SELECTOR, REPLACEMENT);
  const joined = (bounded.length > MAX_GRAPHEME_UNITS ? truncateGrapheme(bounded) : bounded) + after;
  return joined.replace(USELESS_JOINER, REPLACEMENT).slice(0, joined.length - after.length);
}

/** Cuts between code points. */
function truncateGrapheme(grapheme: string): string {
  return grapheme.slice(0, MAX_GRAPHEME_UNITS).replace(/[\ud800-\udbff]$/, '') + REPLACEMENT;
}
