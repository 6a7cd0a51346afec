/** Pages of chats as they stand now, each within the bytes of an answer. */
import { type Chat, ChatError, type Payload, type Reply } from '@engawa/protocol';
import type { Entry, Facts, Page, Store } from '../store/store.ts';
import { AnswerBudget, CHAT_BYTES } from './budget.ts';
import { answering } from './chats.ts';
import { type ChatValue, chatKey, reactionKey, reactionOfFamily, reactionsOf } from './keys.ts';
import { mustMayRead } from './may-read.ts';
import type { Caller } from './rule.ts';

export async function listChats(store: Store, ask: Payload<'list:chats'>, caller: Caller): Promise<Reply<'list:chats'>> {
  const page = await chatsAsTheyStand(store, ask, { author: caller.author, budget: new AnswerBudget().upTo(ask.bytes) });
  await mustMayRead(store, ask.roomId, caller);
  return page;
}

/** For whom chats are read, and what they may take. */
interface Reading {
  /** Whose reactions are theirs. */
  author: string;
  budget: AnswerBudget;
}

/**
 * For somebody who may read them: the chats nearest to what is asked for, as many as there are bytes left for, and
 * one in any case. Read again when the room became another one between the page and what became of it.
 */
export async function chatsAsTheyStand(
  store: Store,
  ask: Payload<'list:chats'>,
  { author, budget }: Reading,
): Promise<Reply<'list:chats'>> {
  const { roomId } = ask;
  for (;;) {
    const page = await readPage(store, ask, budget.left);
    const { epoch, head: seq, tail, older, newer, more } = page;
    if (epoch === null) throw new ChatError('room_not_found');
    const standing = new Standing(store, { roomId, epoch, author });
    const forOlder = ask.around === undefined ? budget : budget.half();
    const before = older.length === 0 && newer.length > 0 ? [] : await standing.read(older.toReversed(), forOlder);
    const after = await standing.read(newer, budget);
    if (standing.moment?.epoch !== epoch) continue;
    const chats = [...before.toReversed(), ...after];
    const cut = { before: more.before || before.length < older.length, after: more.after || after.length < newer.length };
    return { roomId, epoch, seq, tail, chats, asOf: standing.moment.head, more: cut };
  }
}

/** Entries at both sides of what is asked for. */
interface ChatPage extends Omit<Page, 'entries' | 'more'> {
  older: Entry[];
  newer: Entry[];
  more: { before: boolean; after: boolean };
}

async function readPage(store: Store, ask: Payload<'list:chats'>, bytes: number): Promise<ChatPage> {
  const { roomId, before, after, around, limit } = ask;
  if (around !== undefined) return readAround(store, roomId, { around, limit, bytes });
  if (after !== undefined) {
    const { entries, more, ...page } = await store.page(roomId, { after, limit, bytes, listed: true });
    return { ...page, older: [], newer: entries, more: { before: await isThereBefore(store, roomId, after + 1), after: more } };
  }
  const { entries, more, ...page } = await store.page(roomId, { limit, bytes, listed: true, ...(before !== undefined && { before }) });
  const isThereMore = before !== undefined && (await isThereAfter(store, roomId, before - 1));
  return { ...page, older: entries, newer: [], more: { before: more, after: isThereMore } };
}

interface Around {
  around: number;
  limit: number;
  bytes: number;
}

async function readAround(store: Store, roomId: string, { around, limit, bytes }: Around): Promise<ChatPage> {
  const half = { bytes: Math.floor(bytes / 2), listed: true };
  const older = await store.page(roomId, { before: around + 1, limit: Math.ceil(limit / 2), ...half });
  const { entries, more, ...page } = await store.page(roomId, { after: around, limit: Math.max(Math.floor(limit / 2), 1), ...half });
  return { ...page, older: older.entries, newer: entries, more: { before: older.more, after: more } };
}

const isThereBefore = async (store: Store, roomId: string, before: number): Promise<boolean> =>
  (await store.page(roomId, { before, limit: 1, listed: true })).entries.length > 0;
const isThereAfter = async (store: Store, roomId: string, after: number): Promise<boolean> =>
  (await store.page(roomId, { after, limit: 1, listed: true })).entries.length > 0;

/** Chats of one read: each may have reactions, which are in no page's bytes. */
const CHATS_A_READ = 100;

/**
 * What became of the chats of a page. Their present texts are not in the bytes of the page: so as many are read at a time as
 * will fit however large they are. All of it is of one moment: when the room moves on between two reads, the first was the last.
 */
class Standing {
  readonly #store: Store;
  readonly #of: { roomId: string; epoch: string; author: string };
  moment: Moment | undefined;
  #isOver = false;

  constructor(store: Store, of: { roomId: string; epoch: string; author: string }) {
    this.#store = store;
    this.#of = of;
  }

  /** Those that fit, from the first on. The very first is read in any case. */
  async read(entries: Entry[], budget: AnswerBudget): Promise<Chat[]> {
    const all: Chat[] = [];
    while (!this.moment || (!this.#isOver && all.length < entries.length && budget.left >= CHAT_BYTES)) {
      const some = someOf(entries.slice(all.length), budget.left);
      const { chats, moment } = await this.#whatBecame(some);
      this.moment ??= moment;
      const isSame = moment.epoch === this.#of.epoch && moment.head === this.moment.head;
      const fitting = isSame ? budget.fill(chats) : [];
      this.#isOver = !isSame || fitting.length < some.length;
      all.push(...fitting);
    }
    return all;
  }

  /** Two reads, however many they are: what became of them, and what the author gave. */
  async #whatBecame(entries: Entry[]): Promise<{ moment: Moment; chats: Chat[] }> {
    const seqs = entries.map(({ seq }) => seq);
    const facts = await this.#store.read(this.#of.roomId, { keys: seqs.map(chatKey), counts: seqs.map(reactionsOf) });
    const reactions = new Map(seqs.map((seq) => [seq, reactionsTo(facts, seq)]));
    const mine = await this.#given(reactions);
    const chats = entries.map((entry) => {
      const counted = (reactions.get(entry.seq) ?? []).map((each) => ({ ...each, ...(mine(entry.seq, each) && { mine: true as const }) }));
      return asItStands(entry, facts, counted);
    });
    return { moment: facts, chats };
  }

  /** Which of the reactions the author gave. */
  async #given(reactions: Map<number, Counted[]>): Promise<(seq: number, reaction: Counted) => boolean> {
    const keyOf = (seq: number, { reaction }: Counted) => reactionKey(seq, reaction, this.#of.author);
    const keys = [...reactions].flatMap(([seq, counted]) => counted.map((each) => keyOf(seq, each)));
    const given = keys.length > 0 ? (await this.#store.read(this.#of.roomId, { keys })).keys : new Map<string, unknown>();
    return (seq, counted) => given.has(keyOf(seq, counted));
  }
}

type Moment = Pick<Facts, 'epoch' | 'head'>;

/** So many of the entries that what became of them fits, whatever it is: a text that was replaced may be of any size. */
function someOf(entries: Entry[], bytes: number): Entry[] {
  const mostShells = Math.max(1, Math.floor(bytes / CHAT_BYTES));
  const shells = entries.filter(({ body }) => body === null);
  const end = shells[mostShells]?.seq;
  const some =
    end === undefined
      ? entries
      : entries.slice(
          0,
          entries.findIndex(({ seq }) => seq === end),
        );
  return some.slice(0, CHATS_A_READ);
}

interface Counted {
  reaction: string;
  count: number;
}

function reactionsTo(facts: Facts, seq: number): Counted[] {
  return [...(facts.counts.get(reactionsOf(seq)) ?? [])].map(([family, count]) => ({ reaction: reactionOfFamily(family), count }));
}

function asItStands(entry: Entry, facts: Facts, reactions: NonNullable<Chat['reactions']>): Chat {
  const { seq, id, at, by: username, body } = entry;
  const became = facts.keys.get(chatKey(seq));
  const place = { seq, id, at, username };
  if (!became) {
    const { message, clientId } = (body ?? {}) as { message?: string; clientId?: string };
    const said = { message: message ?? null, ...(clientId !== undefined && { clientId }), ...answering(body) };
    return { ...place, ...said, ...(reactions.length > 0 && { reactions }) };
  }
  const value = became.value as unknown as ChatValue;
  if ('deleted' in value) return { ...place, message: null, deleted: true };
  return { ...place, ...value, edited: became.seq, ...(reactions.length > 0 && { reactions }) };
}
