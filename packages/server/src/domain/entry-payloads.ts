/** Converts log entries to broadcast payloads, and reads pages of entries that a client missed. */
import { ChatError, type EntryFields, type MissedEntry } from '@engawa/protocol';
import type { Entry, Json, Page, PageQuery, RoomFacts, Store } from '../store/contract.ts';
import { jsonByteLength, MAX_CHAT_BYTES, ResponseBudget } from './response-budget.ts';
import { type ChatValue, chatKey } from './room-keys.ts';

/** The log that an entry belongs to. */
interface RoomEpoch {
  roomId: string;
  epoch: string;
}

/** The broadcast payload of an entry. The position fields come last, so that the body cannot override them. */
export const toBroadcast = ({ roomId, epoch }: RoomEpoch, { seq, id, prev, at, by, kind, body, quiet }: Entry): EntryFields => ({
  username: by,
  ...body,
  // Entries of earlier versions have the reason `gone`.
  ...(kind === 'remove:member' && body?.reason === 'gone' && { reason: 'timed_out' }),
  roomId,
  epoch,
  seq,
  id,
  prev,
  at,
  by,
  ...(quiet && { quiet }),
});

/** An entry as it is replayed to a client that missed it. */
export interface ReplayEntry {
  entry: Entry;
  /** Undefined if the entry is not broadcast. */
  payload: MissedEntry | undefined;
  /** Size of the payload as JSON. */
  bytes: number;
}

/**
 * The `id` of a position at this entry. For an entry that is not broadcast it is the id of the last broadcast entry before it.
 */
export const broadcastIdOf = ({ id, prev, quiet }: Entry, knownId: string): string | null => (quiet && knownId === id ? prev : knownId);

/** A page of the log as it is replayed to a client that missed it. */
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
 * Reads a page of the log with all bodies restored. A chat whose text was replaced gets its current text: the edit follows later
 * in the log, but the client must not show an empty chat until then. This costs another read only if bodies were erased.
 */
export async function readRestoredPage(store: Store, roomId: string, query: ReplayQuery): Promise<Page> {
  const page = await store.readPage(roomId, query);
  const entries = await restoreErasedBodies(store, roomId, page.entries, query.bytes);
  return { ...page, entries, hasMore: page.hasMore || entries.length < page.entries.length };
}

/**
 * The current texts are not part of the page's byte limit. They have a budget of the same size, and each read asks only for as
 * many as fit if all of them have the maximum size. The page ends before the first entry that does not fit.
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
  // The log got a new epoch between the two reads; the client must read again.
  if (current?.id !== id || current.body !== null) throw new ChatError('busy');
  if (kind !== 'create:chat') return { erased: true };
  const state = facts.keys.get(chatKey(seq));
  const value = state?.value as ChatValue | undefined;
  return value && 'message' in value ? { ...value, edited: state?.seq ?? seq } : { message: '', deleted: true };
}
