/** Read marks: how far each author has read, stored as long as the room exists. */
import type { Json, KeyState, RoomFacts, Store } from '../store/contract.ts';
import { type MemberValue, memberKey, type ReaderValue, readerFamily, readerKey } from './room-keys.ts';

/**
 * Readers of one room whose marks outlive their membership. Once there are this many, the marks of new members end with the
 * membership.
 */
const MAX_READERS = 20_000;

/** The keys that a join sets. The facts must include the `reader` key and the top-level counts. */
export function readerKeyValues(facts: RoomFacts, { username, author }: MemberValue): [key: string, value: Json][] {
  const key = readerKey(author);
  const reader = facts.keys.get(key)?.value as ReaderValue | undefined;
  const isFull = (facts.counts.get('')?.get(readerFamily) ?? 0) >= MAX_READERS;
  if (reader ? reader.username === username : isFull) return [];
  return [[key, { username } satisfies ReaderValue]];
}

/** Without a read mark, everything before the first join counts as read. */
export const readSeqOf = (reader: KeyState | undefined, member?: KeyState): number =>
  reader?.mark ?? member?.mark ?? reader?.seq ?? member?.seq ?? 1;

/** Returns the resulting mark; null if the author is neither a reader nor a member. */
export async function markRead(
  store: Store,
  { roomId, username, seq }: { roomId: string; username: string; seq: number },
  author: string,
): Promise<number | null> {
  return (await store.advanceMark(roomId, readerKey(author), seq)) ?? store.advanceMark(roomId, memberKey(username), seq);
}
