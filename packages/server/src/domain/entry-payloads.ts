import { ChatError, type EntryFields, type MissedEntry } from '@engawa/protocol';
import type { Entry, Json, Page, PageQuery, RoomFacts, Store } from '../store/contract.ts';
import { jsonByteLength, MAX_CHAT_BYTES, ResponseBudget } from './response-budget.ts';
import { type ChatValue, chatKey } from './room-keys.ts';

/** Where an entry was appended. */
interface RoomEpoch {
  roomId: string;
  epoch: string;
}

/** An entry as the room hears it. Whatever its body says, its place is what the log says. */
export const toBroadcast = ({ roomId, epoch }: RoomEpoch, { seq, id, prev, at, by, body, quiet }: Entry): EntryFields => ({
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

/** An entry as it is told to somebody who was away. */
export interface ReplayEntry {
  entry: Entry;
  /** Undefined when it is quiet. */
  payload: MissedEntry | undefined;
  /** What that takes as JSON. */
  bytes: number;
}

/** What a position at this entry has as its `id`: that of a quiet entry stands for the entry that was told before it. */
export const broadcastIdOf = ({ id, prev, quiet }: Entry, knownId: string): string | null => (quiet && knownId === id ? prev : knownId);

/** A page of the log as it is told to somebody who was away. */
export interface ReplayPage extends Omit<Page, 'entries'> {
  entries: ReplayEntry[];
}

export async function readReplayPage(store: Store, roomId: string, query: ReplayQuery): Promise<ReplayPage> {
  const { entries, ...page } = await readRestoredPage(store, roomId, query);
  const roomEpoch = { roomId, epoch: String(page.epoch) };
  return { ...page, entries: entries.map((entry) => toReplayEntry(roomEpoch, entry)) };
}

function toReplayEntry(roomEpoch: RoomEpoch, entry: Entry): ReplayEntry {
  if (entry.quiet) return { entry, payload: undefined, bytes: 0 };
  const payload = { ...toBroadcast(roomEpoch, entry), kind: entry.kind } as MissedEntry;
  return { entry, payload, bytes: jsonByteLength(payload) };
}

export type ReplayQuery = Required<Pick<PageQuery, 'after' | 'limit' | 'bytes'>>;

/**
 * A page of the log, fit to be told. A chat whose text was replaced since has the text that it has now: the edit comes later
 * and says so, but nobody shall see an empty chat until then. Costs one more read, and only if something was erased.
 */
export async function readRestoredPage(store: Store, roomId: string, query: ReplayQuery): Promise<Page> {
  const page = await store.readPage(roomId, query);
  const entries = await restoreErasedBodies(store, roomId, page.entries, query.bytes);
  return { ...page, entries, more: page.more || entries.length < page.entries.length };
}

/**
 * The present texts are not in the bytes of the page: so they have as many of their own, and are read as many at a time as
 * will fit however large they are. The page ends before the first for which there are none left.
 */
async function restoreErasedBodies(store: Store, roomId: string, entries: Entry[], bytes: number): Promise<Entry[]> {
  const erased = entries.filter(({ body }) => body === null);
  const bodies = new Map<number, Record<string, Json>>();
  const budget = new ResponseBudget(bytes);
  while (bodies.size < erased.length && (bodies.size === 0 || budget.remaining >= MAX_CHAT_BYTES)) {
    const batch = erased.slice(bodies.size, bodies.size + Math.max(1, Math.floor(budget.remaining / MAX_CHAT_BYTES)));
    const seqs = batch.map(({ seq }) => seq);
    const facts = await store.read(roomId, { keys: seqs.map(chatKey), seqs });
    for (const entry of batch) bodies.set(entry.seq, replacementBody(entry, facts));
    for (const { seq } of batch) budget.take(jsonByteLength(bodies.get(seq)));
  }
  const end = erased[bodies.size]?.seq ?? Infinity;
  return entries.filter(({ seq }) => seq < end).map((entry) => (entry.body ? entry : { ...entry, body: bodies.get(entry.seq) ?? null }));
}

function replacementBody({ kind, seq, id }: Entry, facts: RoomFacts): Record<string, Json> {
  const current = facts.entries.get(seq);
  // The log was forked between both reads, and is to be read again.
  if (current?.id !== id || current.body !== null) throw new ChatError('busy');
  if (kind !== 'create:chat') return { erased: true };
  const state = facts.keys.get(chatKey(seq));
  const value = state?.value as ChatValue | undefined;
  return value && 'message' in value ? { ...value, edited: state?.seq ?? seq } : { message: '', deleted: true };
}
