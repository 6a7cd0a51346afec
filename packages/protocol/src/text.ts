/** Length limits of a text, in code points and in bytes of its JSON form. */
import { LIMITS } from './limits.ts';

export interface TextLimit {
  codePoints: number;
  /** Size of the text as JSON in UTF-8, without the quotes. */
  bytes: number;
}

/** The limit of one chat. */
export const CHAT_TEXT: TextLimit = { codePoints: LIMITS.textCodePoints, bytes: LIMITS.textBytes };
export const TOPIC_TEXT: TextLimit = { codePoints: LIMITS.topicCodePoints, bytes: LIMITS.topicBytes };

/** JSON writes a control character as `\u0001`. */
const CONTROL_CHARACTER = /[\0-\x1f]/;
const CONTROL_BYTES = 6;
/** Largest size of a code unit that is not a control character. */
const MAX_CODE_UNIT_BYTES = 3;
/** Characters for which JSON has an escape of two characters. */
const SHORT_ESCAPES = new Set('\b\t\n\f\r"\\');

export const fitsLimit = (text: string, limit: TextLimit): boolean => fittingLength(text, limit) === text.length;

/** The length of the longest prefix that fits. It never splits a character of well-formed text. */
export function fittingLength(text: string, { codePoints, bytes }: TextLimit): number {
  const maxUnitBytes = MAX_CODE_UNIT_BYTES * text.length <= bytes && CONTROL_CHARACTER.test(text) ? CONTROL_BYTES : MAX_CODE_UNIT_BYTES;
  if (text.length <= codePoints && maxUnitBytes * text.length <= bytes) return text.length;
  let index = 0;
  let [pointsLeft, bytesLeft] = [codePoints, bytes];
  for (const character of text) {
    pointsLeft -= 1;
    bytesLeft -= jsonByteLength(character);
    if (pointsLeft < 0 || bytesLeft < 0) return index;
    index += character.length;
  }
  return index;
}

/** Size of one code point. */
function jsonByteLength(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (SHORT_ESCAPES.has(character)) return 2;
  if (code < 0x20) return CONTROL_BYTES;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code > 0xffff ? 4 : MAX_CODE_UNIT_BYTES;
}
