import { ChatError, type EntryFields, type Missed } from '@engawa/protocol';
import type { Entry, Facts, Json, Store } from '../store/store.ts';
import { type ChatValue, chatKey } from './keys.ts';

/** Where an entry was appended. */
interface Life {
  roomId: string;
  epoch: string;
}

/** An entry as the room hears it. Whatever its body says, its place is what the log says. */
export const heard = ({ roomId, epoch }: Life, { seq, id, prev, at, by, body, quiet }: Entry): EntryFields => ({
  username: by,
  ...body,
  roomId,
  epoch,
  seq,
  id,
  prev,
  at,
  by,
  ...(quiet && { quiet }),
});

/** Entries as they are told to somebody who was away. */
export async function missed(store: Store, life: Life, entries: Entry[]): Promise<Missed[]> {
  const told = await refilled(store, life.roomId, entries);
  return told.filter(({ quiet }) => !quiet).map((entry) => ({ ...heard(life, entry), kind: entry.kind }) as Missed);
}

/**
 * Entries that were read from the log, fit to be told. A chat whose text was replaced since has the text that it has now:
 * the edit comes later and says so, but nobody shall see an empty chat until then. Costs one more read, and only if
 * something was erased.
 */
export async function refilled(store: Store, roomId: string, entries: Entry[]): Promise<Entry[]> {
  const shells = entries.filter(({ body }) => body === null);
  if (shells.length === 0) return entries;
  const seqs = shells.map(({ seq }) => seq);
  const facts = await store.read(roomId, { keys: seqs.map(chatKey), seqs });
  return entries.map((entry) => (entry.body === null ? { ...entry, body: instead(entry, facts) } : entry));
}

function instead({ kind, seq, id }: Entry, facts: Facts): Record<string, Json> {
  const now = facts.entries.get(seq);
  // The log was forked between both reads, and is to be read again.
  if (now?.id !== id || now.body !== null) throw new ChatError('busy');
  if (kind !== 'create:chat') return { erased: true };
  const became = facts.keys.get(chatKey(seq));
  const value = became?.value as ChatValue | undefined;
  return value && 'message' in value ? { ...value, edited: became?.seq ?? seq } : { message: '', deleted: true };
}
