/** Whether a text names somebody: the one rule of servers and clients. */

/** Written without spaces between the words: a name may stand anywhere in it. */
export const UNSPACED = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}ー';
/** What a name must not go on with, for it to be that name. */
const NAME_CONTINUATION = `(?:(?![${UNSPACED}])[\\p{L}\\p{M}\\p{N}_])`;

/** `@` before the name or not, whatever the case and the width of its letters; not within another word. */
export function mentions(text: string, username: string): boolean {
  const name = foldText(username);
  const literal = name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  // One character of a language without spaces is in many words.
  const needsAt = [...name].length === 1 && new RegExp(`[${UNSPACED}]`, 'u').test(name);
  const beforeName = needsAt ? '@' : `(?<!${NAME_CONTINUATION})`;
  return new RegExp(`${beforeName}${literal}(?!${NAME_CONTINUATION})`, 'u').test(foldText(text));
}

const foldText = (text: string): string => text.normalize('NFKC').toLowerCase();
