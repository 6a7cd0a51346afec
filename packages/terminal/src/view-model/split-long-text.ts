// Splits a text that is too long for one chat into several chats.
import { CHAT_TEXT, fitsLimit, fittingLength } from '@engawa/protocol/text';
import { graphemesOf } from '../text/display-width.ts';

/** Code units before the limit that are searched for a grapheme boundary: most graphemes have one or two. */
const GRAPHEME_SEARCH_UNITS = 256;

/** Splits only if necessary: at line breaks or spaces if possible. */
export function splitIntoChats(text: string): string[] {
  const chats: string[] = [];
  let rest = text;
  while (!fitsLimit(rest, CHAT_TEXT)) {
    const end = findSplitPoint(rest);
    chats.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...chats, rest].filter((chat) => chat.trim() !== '');
}

/** A break in the second half of the part, or else a grapheme boundary. */
function findSplitPoint(text: string): number {
  const limit = fittingLength(text, CHAT_TEXT);
  for (const separator of ['\n', ' ']) {
    const end = text.lastIndexOf(separator, limit - 1) + 1;
    if (end > limit / 2) return end;
  }
  let end = Math.max(0, limit - GRAPHEME_SEARCH_UNITS);
  for (const grapheme of graphemesOf(text.slice(end, limit + GRAPHEME_SEARCH_UNITS))) {
    if (end + grapheme.length > limit) break;
    end += grapheme.length;
  }
  return end > 0 ? end : limit;
}
