/** Limits of a text: in code points, which people count, and in bytes, which it costs on the wire and on the disk. */
import { LIMITS } from './limits.ts';

export interface TextLimit {
  codePoints: number;
  /** Of the text as JSON in UTF-8, without the quotes. */
  bytes: number;
}

/** Of one chat. */
export const CHAT_TEXT: TextLimit = { codePoints: LIMITS.textCodePoints, bytes: LIMITS.textBytes };
export const TOPIC_TEXT: TextLimit = { codePoints: LIMITS.topicCodePoints, bytes: LIMITS.topicBytes };

/** JSON writes a control character as `\u0001`. */
const CONTROL_CHARACTER = /[\0-\x1f]/;
const CONTROL_BYTES = 6;
/** Of a code unit that is no control character, at most. */
const MAX_CODE_UNIT_BYTES = 3;
/** What JSON writes in two characters. */
const SHORT_ESCAPES = new Set('\b\t\n\f\r"\\');

export const fitsLimit = (text: string, limit: TextLimit): boolean => fittingLength(text, limit) === text.length;

/** The index up to which a text fits, its length when all of it does. It is never inside a character of well-formed text. */
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

/** Of one code point. */
function jsonByteLength(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (SHORT_ESCAPES.has(character)) return 2;
  if (code < 0x20) return CONTROL_BYTES;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code > 0xffff ? 4 : MAX_CODE_UNIT_BYTES;
}
