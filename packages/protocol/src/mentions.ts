/** Detects whether a text mentions a username; servers and clients share the rule. */

/** Scripts that are written without spaces between words: a name may occur anywhere in a text. */
export const UNSPACED = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}ー';
/** Characters that must not follow a name, because it would be a longer name. */
const NAME_CONTINUATION = `(?:(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}_])`;

/** A mention may have an `@`; case and width of letters are ignored. A name inside another word is not a mention. */
export function mentions(text: string, username: string): boolean {
  const name = foldText(username);
  const literal = name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  // A single character of a script without spaces occurs in many words, so it needs the `@`.
  const needsAt = [...name].length === 1 && new RegExp(`[${UNSPACED}]`, 'u').test(name);
  const beforeName = needsAt ? '@' : `(?<!${NAME_CONTINUATION})`;
  return new RegExp(`${beforeName}${literal}(?!${NAME_CONTINUATION})`, 'u').test(foldText(text));
}

const foldText = (text: string): string => text.normalize('NFKC').toLowerCase();
