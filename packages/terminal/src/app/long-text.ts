/** A text that may be longer than one chat. */
import { CHAT_TEXT, fits, fittingLength } from '@engawa/protocol/text';
import { segments } from '../text/columns.ts';

/** Code units before the limit in which the end of a grapheme is looked for: most have one or two. */
const NEAR_UNITS = 256;

/** The chats that it takes: more than one only where it must be, cut after a line or a word where there is one. */
export function chatsOf(text: string): string[] {
  const chats: string[] = [];
  let rest = text;
  while (!fits(rest, CHAT_TEXT)) {
    const end = endOfChat(rest);
    chats.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...chats, rest].filter((chat) => chat.trim() !== '');
}

/** In the second half of what fits, or else between two graphemes. */
function endOfChat(text: string): number {
  const most = fittingLength(text, CHAT_TEXT);
  for (const mark of ['\n', ' ']) {
    const end = text.lastIndexOf(mark, most - 1) + 1;
    if (end > most / 2) return end;
  }
  let end = Math.max(0, most - NEAR_UNITS);
  for (const grapheme of segments(text.slice(end, most + NEAR_UNITS))) {
    if (end + grapheme.length > most) break;
    end += grapheme.length;
  }
  return end > 0 ? end : most;
}
