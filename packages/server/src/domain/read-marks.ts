/** How far people have read: a mark for each author, as long as the room is there. */
import type { Json, KeyState, RoomFacts, Store } from '../store/contract.ts';
import { type MemberValue, memberKey, type ReaderValue, readerFamily, readerKey } from './room-keys.ts';

/** Readers of one room whose marks outlive their membership. Those who come when there are so many have theirs while they are members. */
const MAX_READERS = 20_000;

/** What somebody sets by joining, of facts with their `reader` key and the counts of the families at the top. */
export function readerKeyValues(facts: RoomFacts, { username, author }: MemberValue): [key: string, value: Json][] {
  const key = readerKey(author);
  const reader = facts.keys.get(key)?.value as ReaderValue | undefined;
  const isFull = (facts.counts.get('')?.get(readerFamily) ?? 0) >= MAX_READERS;
  if (reader ? reader.username === username : isFull) return [];
  return [[key, { username } satisfies ReaderValue]];
}

/** Who told nothing has read what was there before they first came. */
export const readSeqOf = (reader: KeyState | undefined, member?: KeyState): number =>
  reader?.mark ?? member?.mark ?? reader?.seq ?? member?.seq ?? 1;

/** Answers where the mark is then; null when they are neither a reader nor a member. */
export async function markRead(
  store: Store,
  { roomId, username, seq }: { roomId: string; username: string; seq: number },
  author: string,
): Promise<number | null> {
  return (await store.advanceMark(roomId, readerKey(author), seq)) ?? store.advanceMark(roomId, memberKey(username), seq);
}
