/** What the tutorial's server put together with `::`, taken apart; both sides may have a `::` of their own. */
import { CHAT_TEXT, fittingLength, LIMITS, newRoomId, newUsername } from '@engawa/protocol';

const DIVIDER = '::';
/** A name that is longer, or has more dividers in it, is not looked for. */
const NAME_LENGTH = 500;
const DIVISIONS = 20;

/** Shown as the author where nothing of a name could be shown. */
const NOBODY = 'nobody';

export interface Division {
  name: string;
  rest: string;
}

/** Every way in which a text may have been put together, the shortest name first. */
export function divisionsOf(text: string): Division[] {
  const divisions: Division[] = [];
  for (let at = text.indexOf(DIVIDER); at >= 0 && divisions.length < DIVISIONS; at = text.indexOf(DIVIDER, at + 1)) {
    if (at > NAME_LENGTH && divisions.length > 0) break;
    divisions.push({ name: text.slice(0, at), rest: text.slice(at + DIVIDER.length) });
  }
  return divisions;
}

/** The text that bytes are; what is not UTF-8 in them becomes U+FFFD. */
export function textOf(bytes: Buffer): { text: string; isMended: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), isMended: false };
  } catch {
    return { text: bytes.toString('utf8'), isMended: true };
  }
}

/** The name as the protocol takes it; undefined when it takes nothing like it. */
export function fittingRoomId(name: string): string | undefined {
  if (name.length > NAME_LENGTH) return undefined;
  return newRoomId.safeParse(name).data ?? newRoomId.safeParse(cut(visible(name))).data;
}

/** The same for somebody's name, who is shown as nobody rather than not at all. */
export function fittingUsername(name: string): string {
  return newUsername.safeParse(name).data ?? newUsername.safeParse(cut(visible(name))).data ?? NOBODY;
}

/** Texts of a length that the protocol takes, which are the text when put together. */
export function fittingTexts(text: string): string[] {
  const texts: string[] = [];
  let rest = text;
  while (rest !== '') {
    const cut = fittingLength(rest, CHAT_TEXT);
    texts.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return texts;
}

/** Without the characters that no name may have, and without marks that have no base or too many on it. */
const visible = (name: string): string =>
  [...name.slice(0, NAME_LENGTH).normalize('NFC')]
    .filter((each) => newUsername.safeParse(`a${each}a`).success)
    .join('')
    .replace(/^[\p{M}\p{Emoji_Modifier}]+/u, '')
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .trim();

function cut(name: string): string {
  let kept = '';
  for (const each of name) {
    if (Buffer.byteLength(kept + each) > LIMITS.idBytes) break;
    kept += each;
  }
  return kept.trim();
}
