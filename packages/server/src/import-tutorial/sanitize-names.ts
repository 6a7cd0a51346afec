/** Splits the `room::user` and `user::text` values of the tutorial, and sanitizes their names. Either part may contain `::`. */
import { CHAT_TEXT, fittingLength, LIMITS, newRoomId, newUsername } from '@engawa/protocol';

const SEPARATOR = '::';
/** Longer names, and names with more separators, are not considered. */
const MAX_NAME_LENGTH = 500;
const MAX_SPLITS = 20;

/** The author that is shown if nothing of a name can be shown. */
const FALLBACK_USERNAME = 'nobody';

export interface NameSplit {
  name: string;
  rest: string;
}

/** All possible splits of a text, shortest name first. */
export function findSplits(text: string): NameSplit[] {
  const splits: NameSplit[] = [];
  for (let at = text.indexOf(SEPARATOR); at >= 0 && splits.length < MAX_SPLITS; at = text.indexOf(SEPARATOR, at + 1)) {
    if (at > MAX_NAME_LENGTH && splits.length > 0) break;
    splits.push({ name: text.slice(0, at), rest: text.slice(at + SEPARATOR.length) });
  }
  return splits;
}

/** Decodes UTF-8. Invalid bytes become U+FFFD. */
export function decodeUtf8(bytes: Buffer): { text: string; isRepaired: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), isRepaired: false };
  } catch {
    return { text: bytes.toString('utf8'), isRepaired: true };
  }
}

/** Returns a name that the protocol accepts; undefined if nothing acceptable remains. */
export function sanitizeRoomId(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return undefined;
  return newRoomId.safeParse(name).data ?? newRoomId.safeParse(truncateName(stripDisallowed(name))).data;
}

/** The same for a username, with a fallback name. */
export function sanitizeUsername(name: string): string {
  return newUsername.safeParse(name).data ?? newUsername.safeParse(truncateName(stripDisallowed(name))).data ?? FALLBACK_USERNAME;
}

/** Splits a text into parts of a length that the protocol accepts. Joined, they are the original text. */
export function splitText(text: string): string[] {
  const texts: string[] = [];
  let rest = text;
  while (rest !== '') {
    const length = fittingLength(rest, CHAT_TEXT);
    texts.push(rest.slice(0, length));
    rest = rest.slice(length);
  }
  return texts;
}

/** Removes characters that are not allowed in names, and combining marks without a base or beyond the limit. */
const stripDisallowed = (name: string): string =>
  [...name.slice(0, MAX_NAME_LENGTH).normalize('NFC')]
    .filter((each) => newUsername.safeParse(`a${each}a`).success)
    .join('')
    .replace(/^[\p{M}\p{Emoji_Modifier}]+/u, '')
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .trim();

function truncateName(name: string): string {
  let truncated = '';
  for (const each of name) {
    if (Buffer.byteLength(truncated + each) > LIMITS.idBytes) break;
    truncated += each;
  }
  return truncated.trim();
}
