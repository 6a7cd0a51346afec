/** Counts what somebody has yet to read of a room. */
import { LIMITS, mentions } from '@engawa/protocol';
import type { Entry, Store } from '../store/store.ts';
import { type AnswerBudget, jsonBytes } from './budget.ts';
import { chatKey } from './keys.ts';

/** Chats that are looked at, own ones and deleted ones among them: the oldest that are unread. */
const LOOKED_AT = 2 * LIMITS.unreadMax;
const PAGE_BYTES = 256 * 1024;

interface Reader {
  author: string;
  /** The name that mentions them. */
  username: string;
  read: number;
  /** The newest entry of the room. */
  head: number;
  /** Of an answer about many rooms: what is read for it counts as if it were said. */
  budget?: AnswerBudget | undefined;
}

export interface Unread {
  unread: number;
  mentions: number;
}

/** Costs nothing where all is read, else the chats after that, as far as they are counted. */
export async function countUnread(store: Store, roomId: string, { author, username, read, head, budget }: Reader): Promise<Unread> {
  const counted: Unread = { unread: 0, mentions: 0 };
  let after = read;
  for (let left = LOOKED_AT; left > 0 && after < head; ) {
    const page = await store.page(roomId, { after, listed: true, limit: Math.min(left, LIMITS.unreadMax), bytes: PAGE_BYTES });
    budget?.take(page.entries.reduce((sum, { body }) => sum + jsonBytes(body), 0));
    for (const text of await textsOf(
      store,
      roomId,
      page.entries.filter((entry) => entry.author !== author),
    )) {
      counted.unread += 1;
      if (mentions(text, username)) counted.mentions += 1;
      if (counted.unread === LIMITS.unreadMax) return counted;
    }
    if (!page.more) break;
    left -= page.entries.length;
    after = page.entries.at(-1)?.seq ?? head;
  }
  return counted;
}

/** As they are now, without those that were deleted. */
async function textsOf(store: Store, roomId: string, entries: Entry[]): Promise<string[]> {
  const erased = entries.filter(({ body }) => body === null).map(({ seq }) => chatKey(seq));
  const became = erased.length > 0 ? (await store.read(roomId, { keys: erased })).keys : undefined;
  return entries.flatMap(({ seq, body }) => {
    const { message } = (body ?? became?.get(chatKey(seq))?.value ?? {}) as { message?: string };
    return message === undefined ? [] : [message];
  });
}
