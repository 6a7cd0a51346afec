/** How far people have read: a mark for each author, as long as the room is there. */
import type { Facts, Json, Key, Store } from '../store/store.ts';
import { type MemberValue, memberKey, type ReaderValue, readerFamily, readerKey } from './keys.ts';

/** Readers of one room whose marks outlive their membership. Those who come when there are so many have theirs while they are members. */
const READERS = 20_000;

/** What somebody sets by joining, of facts with their `reader` key and the counts of the families at the top. */
export function reading(facts: Facts, { username, author }: MemberValue): [key: string, value: Json][] {
  const key = readerKey(author);
  const known = facts.keys.get(key)?.value as ReaderValue | undefined;
  const isFull = (facts.counts.get('')?.get(readerFamily) ?? 0) >= READERS;
  if (known ? known.username === username : isFull) return [];
  return [[key, { username } satisfies ReaderValue]];
}

/** Who told nothing has read what was there before they first came. */
export const readBy = (reader: Key | undefined, member?: Key): number => reader?.mark ?? member?.mark ?? reader?.seq ?? member?.seq ?? 1;

/** Answers where the mark is then; null when they are neither a reader nor a member. */
export async function markRead(
  store: Store,
  { roomId, username, seq }: { roomId: string; username: string; seq: number },
  author: string,
): Promise<number | null> {
  return (await store.mark(roomId, readerKey(author), seq)) ?? store.mark(roomId, memberKey(username), seq);
}
