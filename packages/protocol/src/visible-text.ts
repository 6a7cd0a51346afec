/** Checks that a text is visible: no blank or hidden characters, no stacked marks. Names, reactions and chats use it. */

/** Characters that are blank wherever they stand. */
const BLANK_CHARACTERS = String.raw`\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}`;
const VISIBLE_CHARACTER = new RegExp(`[^${BLANK_CHARACTERS}]`, 'u');

/** Whether nothing in the text is visible, such as only spaces, fillers and the Braille blank. */
export const isBlank = (text: string): boolean => !VISIBLE_CHARACTER.test(text);

/** Letters and marks of scripts in which a joiner changes the shape of the adjacent letters. */
const JOINING_SCRIPTS = 'Arab Syrc Mong Nkoo Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh Khmr Mymr Tibt'.split(' ');
const JOINING_LETTER = `[\\p{L}\\p{M}](?<=[${JOINING_SCRIPTS.map((script) => `\\p{scx=${script}}`).join('')}])`;
/** Signs after which a joiner may also end a word (RFC 5892, appendix A.1 and A.2). */
const VIRAMA = String.raw`[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2]`;
const MONGOLIAN = String.raw`[\u1820-\u18aa]`;

/** Invisible characters where they have a meaning. Elsewhere they count as hidden. */
const MEANINGFUL_INVISIBLES = new RegExp(
  [
    // Emoji joined to one picture; flags that consist of tags; pictographs in text or emoji style.
    String.raw`(?<=\p{Extended_Pictographic}[\ufe0f\p{Emoji_Modifier}]?)\u200d(?=\p{Extended_Pictographic})`,
    String.raw`(?<=\u{1f3f4})\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f}`,
    String.raw`(?<=\p{Emoji})[\ufe0e\ufe0f]`,
    // Variants of ideographs and of Mongolian letters.
    String.raw`(?<=\p{Script=Han})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]`,
    `(?<=${MONGOLIAN})[\\u180b-\\u180d\\u180f]`,
    `(?<=${MONGOLIAN}[\\u180b-\\u180d\\u180f]?)\\u180e(?=${MONGOLIAN})`,
    // Joiners between letters, and after a virama.
    `(?<=${JOINING_LETTER})[\\u200c\\u200d](?=${JOINING_LETTER})`,
    `(?<=${VIRAMA})[\\u200c\\u200d]`,
  ].join('|'),
  'gu',
);

/**
 * Characters without a shape or with only a private meaning. Code points that are reserved for emoji are not among them: a client
 * may support newer emoji than this server.
 */
const HIDDEN_CHARACTER =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{1d159}]|(?!\p{Extended_Pictographic})\p{Cn}/u;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;
/** At most four stacked marks; with marks that stand beside their letter, as in Burmese, at most eight. */
const TOO_MANY_MARKS = /(?:\p{Mc}{0,8}[\p{Mn}\p{Me}]){5}|\p{M}{9}/u;
/** A mark that would change the character before the text. */
const LEADING_MARK = /^[\p{M}\p{Emoji_Modifier}]/u;
const PRINTABLE_ASCII = /^[ -~]*$/;

/** Whether every character is visible or has a meaning where it stands. Spaces between visible characters are allowed. */
export function isVisible(text: string): boolean {
  if (PRINTABLE_ASCII.test(text)) return text.trim() !== '';
  return (
    !isBlank(text) &&
    !HIDDEN_CHARACTER.test(text.replace(MEANINGFUL_INVISIBLES, '')) &&
    !TOO_MANY_MARKS.test(text.replace(IGNORABLE, '')) &&
    !LEADING_MARK.test(text)
  );
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Whether the text is one character as people count them (one grapheme cluster). */
export function isOneGrapheme(text: string): boolean {
  const [first] = segmenter.segment(text);
  return first?.segment.length === text.length;
}
