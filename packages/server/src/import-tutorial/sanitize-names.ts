/** What the tutorial's server put together with `::`, taken apart; both sides may have a `::` of their own. */
import { CHAT_TEXT, fittingLength, LIMITS, newRoomId, newUsername } from '@engawa/protocol';

const SEPARATOR = '::';
/** A name that is longer, or has more dividers in it, is not looked for. */
const MAX_NAME_LENGTH = 500;
const MAX_SPLITS = 20;

/** Shown as the author where nothing of a name could be shown. */
const FALLBACK_USERNAME = 'nobody';

export interface NameSplit {
  name: string;
  rest: string;
}

/** Every way in which a text may have been put together, the shortest name first. */
export function findSplits(text: string): NameSplit[] {
  const splits: NameSplit[] = [];
  for (let at = text.indexOf(SEPARATOR); at >= 0 && splits.length < MAX_SPLITS; at = text.indexOf(SEPARATOR, at + 1)) {
    if (at > MAX_NAME_LENGTH && splits.length > 0) break;
    splits.push({ name: text.slice(0, at), rest: text.slice(at + SEPARATOR.length) });
  }
  return splits;
}

/** The text that bytes are; what is not UTF-8 in them becomes U+FFFD. */
export function decodeUtf8(bytes: Buffer): { text: string; isRepaired: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), isRepaired: false };
  } catch {
    return { text: bytes.toString('utf8'), isRepaired: true };
  }
}

/** The name as the protocol takes it; undefined when it takes nothing like it. */
export function sanitizeRoomId(name: string): string | undefined {
  if (name.length > MAX_NAME_LENGTH) return undefined;
  return newRoomId.safeParse(name).data ?? newRoomId.safeParse(truncateName(stripDisallowed(name))).data;
}

/** The same for somebody's name, who is shown as nobody rather than not at all. */
export function sanitizeUsername(name: string): string {
  return newUsername.safeParse(name).data ?? newUsername.safeParse(truncateName(stripDisallowed(name))).data ?? FALLBACK_USERNAME;
}

/** Texts of a length that the protocol takes, which are the text when put together. */
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

/** Without the characters that no name may have, and without marks that have no base or too many on it. */
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
