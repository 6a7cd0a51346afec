/** Counts the chats and mentions that a member has not read in a room. */
import { LIMITS, mentions } from '@engawa/protocol';
import type { Entry, Store } from '../store/contract.ts';
import { jsonByteLength, type ResponseBudget } from './response-budget.ts';
import { chatKey } from './room-keys.ts';

/** Chats that are read for a count, oldest unread ones first; including own and deleted ones. */
const MAX_SCANNED_CHATS = 2 * LIMITS.unreadMax;
const PAGE_BYTES = 256 * 1024;

interface UnreadQuery {
  author: string;
  /** The name whose mentions are counted. */
  username: string;
  read: number;
  /** The newest entry of the room. */
  head: number;
  /** The budget of a response about many rooms: bytes that are read for the count are taken from it. */
  budget?: ResponseBudget | undefined;
}

export interface UnreadCounts {
  unread: number;
  mentions: number;
}

/** Reads nothing if everything is read; otherwise the unread chats, up to the limit. */
export async function countUnread(
  store: Store,
  roomId: string,
  { author, username, read, head, budget }: UnreadQuery,
): Promise<UnreadCounts> {
  const counts: UnreadCounts = { unread: 0, mentions: 0 };
  let after = read;
  for (let remaining = MAX_SCANNED_CHATS; remaining > 0 && after < head; ) {
    const page = await store.readPage(roomId, { after, listed: true, limit: Math.min(remaining, LIMITS.unreadMax), bytes: PAGE_BYTES });
    budget?.take(page.entries.reduce((sum, { body }) => sum + jsonByteLength(body), 0));
    for (const text of await readCurrentTexts(
      store,
      roomId,
      page.entries.filter((entry) => entry.author !== author),
    )) {
      counts.unread += 1;
      if (mentions(text, username)) counts.mentions += 1;
      if (counts.unread === LIMITS.unreadMax) return counts;
    }
    if (!page.hasMore) break;
    remaining -= page.entries.length;
    after = page.entries.at(-1)?.seq ?? head;
  }
  return counts;
}

/** The current texts, without deleted chats. */
async function readCurrentTexts(store: Store, roomId: string, entries: Entry[]): Promise<string[]> {
  const erased = entries.filter(({ body }) => body === null).map(({ seq }) => chatKey(seq));
  const states = erased.length > 0 ? (await store.read(roomId, { keys: erased })).keys : undefined;
  return entries.flatMap(({ seq, body }) => {
    const { message } = (body ?? states?.get(chatKey(seq))?.value ?? {}) as { message?: string };
    return message === undefined ? [] : [message];
  });
}
