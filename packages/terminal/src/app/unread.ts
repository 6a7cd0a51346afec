import type { ShownChat } from '@engawa/client';
import { mentions } from '@engawa/protocol/mentions';
import { isTold } from './history-window.ts';

/** What somebody has yet to read of a room: chats of others, not who came and went. */
export interface Unread {
  count: number;
  /** There are more than were counted. */
  more: boolean;
  mentions: number;
}

/** As many are told apart; beyond it is `999+`. */
const MOST = 999;

const mentioned = new WeakMap<ShownChat, boolean>();

/** Counted from the newest back to the last that was read, at most {@link MOST}. */
export function unreadOf(chats: readonly ShownChat[], { readTo, me, hasOlder }: { readTo: number; me: string; hasOlder: boolean }): Unread {
  const unread: Unread = { count: 0, more: false, mentions: 0 };
  for (let at = chats.length - 1; at >= 0; at -= 1) {
    const chat = chats[at] as ShownChat;
    if (!isTold(chat) || chat.username === me || chat.deleted) continue;
    if (chat.seq <= readTo) return unread;
    if (unread.count >= MOST) return { ...unread, more: true };
    unread.count += 1;
    if (mentionsMe(chat, me)) unread.mentions += 1;
  }
  return { ...unread, more: hasOlder && unread.count > 0 };
}

export const countOf = ({ count, more }: Unread): string => `${count}${more ? '+' : ''}`;

function mentionsMe(chat: ShownChat, me: string): boolean {
  const known = mentioned.get(chat);
  if (known !== undefined) return known;
  const found = chat.message !== null && mentions(chat.message, me);
  mentioned.set(chat, found);
  return found;
}
