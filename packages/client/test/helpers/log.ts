import type { Chat, ChatPage, Missed } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';

export const ROOM = 'veranda';

/** Which chats of a log; the newest where nothing is said. */
export interface Range {
  before?: number;
  after?: number;
  around?: number;
  limit?: number;
}

/** A kind of entry with what it says; who says it is `by`. */
export type Deed = { kind: string; by: string; [field: string]: unknown };

/** The log of one room, as a server would keep it. Quiet entries take a place and are told to nobody. */
export class Log {
  readonly entries: (Missed & { quiet?: true })[] = [];
  epoch: string;
  readonly #name: string;

  constructor(epoch = 'e1', name = epoch) {
    this.epoch = epoch;
    this.#name = name;
  }

  get head(): number {
    return this.entries.length;
  }

  add({ kind, by, quiet, ...fields }: Deed & { quiet?: true | undefined }): Missed {
    const seq = this.head + 1;
    const place = { roomId: ROOM, epoch: this.epoch, seq, id: `${this.#name}-${seq}`, prev: this.tailAt(seq - 1), at: 1_000 + seq };
    const entry = { kind, ...place, by, username: by, ...fields, ...(quiet && { quiet }) } as unknown as Missed;
    this.entries.push(entry);
    return entry;
  }

  /** The id of the newest entry up to there that was told. */
  tailAt(seq: number): string | null {
    return this.entries.findLast((entry) => entry.seq <= seq && !entry.quiet)?.id ?? null;
  }

  positionAt(seq: number): Position {
    return { epoch: this.epoch, seq, id: this.tailAt(seq) };
  }

  told(after: number): Missed[] {
    return this.entries.filter((entry) => entry.seq > after && !entry.quiet);
  }

  /** The chats as everything up to an entry has made them; the plainest way to find that out. */
  chats(me: string, asOf = this.head): Chat[] {
    const past = this.entries.filter(({ seq }) => seq <= asOf);
    return past.flatMap((entry) => (entry.kind === 'create:chat' ? [become(entry, past, me)] : []));
  }

  /** As a server reads it that has everything up to an entry. */
  page(me: string, range: Range = {}, asOf = this.head): ChatPage {
    const { before, after, around, limit = 50 } = range;
    const all = this.chats(me, asOf);
    const middle = before ?? (after ?? around ?? Infinity) + 1;
    const older = all
      .filter(({ seq }) => seq < middle)
      .slice(after === undefined ? -Math.ceil(limit / (around === undefined ? 1 : 2)) : all.length);
    const half = around === undefined ? limit : Math.max(Math.floor(limit / 2), 1);
    const newer = all.filter(({ seq }) => seq >= middle).slice(0, before === undefined ? half : 0);
    const chats = [...older, ...newer];
    const first = chats[0]?.seq ?? middle;
    const last = chats.at(-1)?.seq ?? middle - 1;
    const more = { before: all.some(({ seq }) => seq < first), after: all.some(({ seq }) => seq > last) };
    return { chats, asOf, more };
  }
}

type ChatEntry = Extract<Missed, { kind: 'create:chat' }>;

function become({ seq, id, at, username, message, clientId, replyTo }: ChatEntry, past: Missed[], me: string): Chat {
  const about = past.filter((entry) => 'chatSeq' in entry && entry.chatSeq === seq);
  const place = { seq, id, at, username };
  if (about.some(({ kind }) => kind === 'delete:chat')) return { ...place, message: null, deleted: true };
  const edit = about.findLast((entry) => entry.kind === 'update:chat');
  const said = edit ? { message: edit.message, edited: edit.seq } : { message, ...(clientId !== undefined && { clientId }) };
  const text = { ...said, ...(replyTo !== undefined && { replyTo }) };
  const reactions = reactionsIn(about, me);
  return { ...place, ...text, ...(reactions.length > 0 && { reactions }) };
}

function reactionsIn(about: Missed[], me: string): NonNullable<Chat['reactions']> {
  const given = new Map<string, Set<string>>();
  for (const entry of about) {
    if (entry.kind === 'add:reaction') given.set(entry.reaction, (given.get(entry.reaction) ?? new Set()).add(entry.username));
    if (entry.kind === 'remove:reaction') given.get(entry.reaction)?.delete(entry.username);
  }
  return [...given]
    .filter(([, who]) => who.size > 0)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([reaction, who]) => ({ reaction, count: who.size, ...(who.has(me) && { mine: true as const }) }));
}
