/** The model log: a plain reference implementation of one room's log, pages and chats. */
import type { Chat, ChatPage, MissedEntry } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';

export const ROOM = 'veranda';

/** A range of chats; the newest ones by default. */
export interface PageRange {
  before?: number;
  after?: number;
  around?: number;
  limit?: number;
}

/** A kind of entry with its fields; `by` is the author. */
export type EntryInput = { kind: string; by: string; [field: string]: unknown };

/** The log of one room, as a server would have it. Entries that are not broadcast have a seq as well. */
export class ModelLog {
  readonly entries: (MissedEntry & { quiet?: true })[] = [];
  epoch: string;
  readonly #name: string;

  constructor(epoch = 'e1', name = epoch) {
    this.epoch = epoch;
    this.#name = name;
  }

  get head(): number {
    return this.entries.length;
  }

  add({ kind, by, quiet, ...fields }: EntryInput & { quiet?: true | undefined }): MissedEntry {
    const seq = this.head + 1;
    const place = {
      roomId: ROOM,
      epoch: this.epoch,
      seq,
      id: `${this.#name}-${seq}`,
      prev: this.lastBroadcastIdAt(seq - 1),
      at: 1_000 + seq,
    };
    const entry = { kind, ...place, by, username: by, ...fields, ...(quiet && { quiet }) } as unknown as MissedEntry;
    this.entries.push(entry);
    return entry;
  }

  /** The id of the newest broadcast entry up to this seq. */
  lastBroadcastIdAt(seq: number): string | null {
    return this.entries.findLast((entry) => entry.seq <= seq && !entry.quiet)?.id ?? null;
  }

  positionAt(seq: number): Position {
    return { epoch: this.epoch, seq, id: this.lastBroadcastIdAt(seq) };
  }

  broadcastAfter(after: number): MissedEntry[] {
    return this.entries.filter((entry) => entry.seq > after && !entry.quiet);
  }

  /** The chats after all changes up to an entry, computed in the simplest way. */
  chats(me: string, asOf = this.head): Chat[] {
    const past = this.entries.filter(({ seq }) => seq <= asOf);
    return past.flatMap((entry) => (entry.kind === 'create:chat' ? [toChat(entry, past, me)] : []));
  }

  /** A page as a server returns it that has everything up to an entry. */
  page(me: string, range: PageRange = {}, asOf = this.head): ChatPage {
    const { before, after, around, limit = 50 } = range;
    const all = this.chats(me, asOf);
    const pivot = before ?? (after ?? around ?? Infinity) + 1;
    const older = all
      .filter(({ seq }) => seq < pivot)
      .slice(after === undefined ? -Math.ceil(limit / (around === undefined ? 1 : 2)) : all.length);
    const half = around === undefined ? limit : Math.max(Math.floor(limit / 2), 1);
    const newer = all.filter(({ seq }) => seq >= pivot).slice(0, before === undefined ? half : 0);
    const chats = [...older, ...newer];
    const first = chats[0]?.seq ?? pivot;
    const last = chats.at(-1)?.seq ?? pivot - 1;
    const hasMore = { before: all.some(({ seq }) => seq < first), after: all.some(({ seq }) => seq > last) };
    return { chats, asOf, hasMore };
  }
}

type ChatEntry = Extract<MissedEntry, { kind: 'create:chat' }>;

function toChat({ seq, id, at, username, message, clientId, replyTo }: ChatEntry, past: MissedEntry[], me: string): Chat {
  const changes = past.filter((entry) => 'chatSeq' in entry && entry.chatSeq === seq);
  const envelope = { seq, id, at, username };
  if (changes.some(({ kind }) => kind === 'delete:chat')) return { ...envelope, message: null, deleted: true };
  const edit = changes.findLast((entry) => entry.kind === 'update:chat');
  const content = edit ? { message: edit.message, edited: edit.seq } : { message, ...(clientId !== undefined && { clientId }) };
  const text = { ...content, ...(replyTo !== undefined && { replyTo }) };
  const reactions = reactionsIn(changes, me);
  return { ...envelope, ...text, ...(reactions.length > 0 && { reactions }) };
}

function reactionsIn(changes: MissedEntry[], me: string): NonNullable<Chat['reactions']> {
  const usersByReaction = new Map<string, Set<string>>();
  for (const entry of changes) {
    if (entry.kind === 'add:reaction')
      usersByReaction.set(entry.reaction, (usersByReaction.get(entry.reaction) ?? new Set()).add(entry.username));
    if (entry.kind === 'remove:reaction') usersByReaction.get(entry.reaction)?.delete(entry.username);
  }
  return [...usersByReaction]
    .filter(([, who]) => who.size > 0)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([reaction, who]) => ({ reaction, count: who.size, ...(who.has(me) && { mine: true as const }) }));
}
