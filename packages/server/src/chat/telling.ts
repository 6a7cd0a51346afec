import { ChatError, type EntryFields, type Missed } from '@engawa/protocol';
import type { Entry, Facts, Json, Page, PageAsk, Store } from '../store/store.ts';
import { AnswerBudget, CHAT_BYTES, jsonBytes } from './budget.ts';
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

/** An entry as it is told to somebody who was away. */
export interface ToldEntry {
  entry: Entry;
  /** Undefined when it is quiet. */
  told: Missed | undefined;
  /** What that takes as JSON. */
  bytes: number;
}

/** What a position at this entry has as its `id`: that of a quiet entry stands for the entry that was told before it. */
export const toldId = ({ id, prev, quiet }: Entry, shown: string): string | null => (quiet && shown === id ? prev : shown);

/** A page of the log as it is told to somebody who was away. */
export interface ToldPage extends Omit<Page, 'entries'> {
  entries: ToldEntry[];
}

export async function toldPage(store: Store, roomId: string, ask: AskAfter): Promise<ToldPage> {
  const { entries, ...page } = await pageToTell(store, roomId, ask);
  const life = { roomId, epoch: String(page.epoch) };
  return { ...page, entries: entries.map((entry) => toldIn(life, entry)) };
}

function toldIn(life: Life, entry: Entry): ToldEntry {
  if (entry.quiet) return { entry, told: undefined, bytes: 0 };
  const told = { ...heard(life, entry), kind: entry.kind } as Missed;
  return { entry, told, bytes: jsonBytes(told) };
}

export type AskAfter = Required<Pick<PageAsk, 'after' | 'limit' | 'bytes'>>;

/**
 * A page of the log, fit to be told. A chat whose text was replaced since has the text that it has now: the edit comes later
 * and says so, but nobody shall see an empty chat until then. Costs one more read, and only if something was erased.
 */
export async function pageToTell(store: Store, roomId: string, ask: AskAfter): Promise<Page> {
  const page = await store.page(roomId, ask);
  const entries = await refilled(store, roomId, page.entries, ask.bytes);
  return { ...page, entries, more: page.more || entries.length < page.entries.length };
}

/**
 * The present texts are not in the bytes of the page: so they have as many of their own, and are read as many at a time as
 * will fit however large they are. The page ends before the first for which there are none left.
 */
async function refilled(store: Store, roomId: string, entries: Entry[], bytes: number): Promise<Entry[]> {
  const shells = entries.filter(({ body }) => body === null);
  const bodies = new Map<number, Record<string, Json>>();
  const budget = new AnswerBudget(bytes);
  while (bodies.size < shells.length && (bodies.size === 0 || budget.left >= CHAT_BYTES)) {
    const some = shells.slice(bodies.size, bodies.size + Math.max(1, Math.floor(budget.left / CHAT_BYTES)));
    const seqs = some.map(({ seq }) => seq);
    const facts = await store.read(roomId, { keys: seqs.map(chatKey), seqs });
    for (const shell of some) bodies.set(shell.seq, instead(shell, facts));
    for (const { seq } of some) budget.take(jsonBytes(bodies.get(seq)));
  }
  const end = shells[bodies.size]?.seq ?? Infinity;
  return entries.filter(({ seq }) => seq < end).map((entry) => (entry.body ? entry : { ...entry, body: bodies.get(entry.seq) ?? null }));
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
