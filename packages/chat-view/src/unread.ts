// Counts the unread chats and mentions of a room.
import type { TimelineChat } from '@engawa/client';
import { mentions } from '@engawa/protocol/mentions';
import { isConfirmed } from './history-window.ts';

/** Unread chats of other members; system notes do not count. */
export interface Unread {
  count: number;
  /** Whether there are more than the counted ones. */
  hasMore: boolean;
  mentions: number;
}

/** A larger count is displayed as `999+`. */
const MAX_COUNT = 999;

const mentionCache = new WeakMap<TimelineChat, boolean>();

/** Counts from the newest chat back to the last read one, at most {@link MAX_COUNT}. */
export function countUnread(
  chats: readonly TimelineChat[],
  { readSeq, me, hasOlder }: { readSeq: number; me: string; hasOlder: boolean },
): Unread {
  const unread: Unread = { count: 0, hasMore: false, mentions: 0 };
  for (let at = chats.length - 1; at >= 0; at -= 1) {
    const chat = chats[at] as TimelineChat;
    if (!isConfirmed(chat) || chat.username === me || chat.deleted) continue;
    if (chat.seq <= readSeq) return unread;
    if (unread.count >= MAX_COUNT) return { ...unread, hasMore: true };
    unread.count += 1;
    if (mentionsMe(chat, me)) unread.mentions += 1;
  }
  return { ...unread, hasMore: hasOlder && unread.count > 0 };
}

export const formatUnread = ({ count, hasMore }: Unread): string => `${count}${hasMore ? '+' : ''}`;

function mentionsMe(chat: TimelineChat, me: string): boolean {
  const known = mentionCache.get(chat);
  if (known !== undefined) return known;
  const found = chat.message !== null && mentions(chat.message, me);
  mentionCache.set(chat, found);
  return found;
}
