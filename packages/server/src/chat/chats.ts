import { type Chat, ChatError, type Payload, type Reply } from '@engawa/protocol';
import type { Entry, Facts, Page, Store } from '../store/store.ts';
import { type ChatValue, chatKey, memberKey, reactionKey, reactionOfFamily, reactionsOf, settingsKey } from './keys.ts';
import { mustFit } from './quotas.ts';
import { type Caller, chatAt, draft, isDeleted, isOwner, type Rule, speaker, speakerKeys } from './rule.ts';

export const createChat: Rule<'create:chat'> = {
  // A chat that answers none costs no more for those that do. Chats are decided on what was read for others, too (`SharedReads`).
  rests: ({ username, replyTo }, { headroom: { roomBytes } }) => ({
    keys: [memberKey(username)],
    ...(replyTo !== undefined && { seqs: [replyTo] }),
    ...(roomBytes !== null && { bytesBelow: roomBytes }),
  }),
  decide(facts, { username, message, clientId, replyTo }, caller) {
    const member = speaker(facts, username, caller);
    mustFit(facts, caller.headroom);
    // A deleted one may be answered: its place is still there.
    if (replyTo !== undefined) chatAt(facts, replyTo);
    return [draft('create:chat', member, { message, clientId, replyTo }, { listed: true })];
  },
};

/** What a chat answers: its body says it, and what became of it. */
const answering = (said: unknown): { replyTo?: number } => {
  const { replyTo } = (said ?? {}) as { replyTo?: number };
  return replyTo === undefined ? {} : { replyTo };
};

type Changing = { username: string; chatSeq: number };
const chatToChange = ({ username, chatSeq }: Changing) => ({ keys: [settingsKey, memberKey(username), chatKey(chatSeq)], seqs: [chatSeq] });

/** Only the newest text of a chat is kept, so that a deletion has two bodies to erase and never more. */
export const updateChat: Rule<'update:chat'> = {
  rests: chatToChange,
  decide(facts, { username, chatSeq, message }, caller) {
    const { member, entry, became, becameBy } = changeable(facts, { username, chatSeq }, caller);
    if (isDeleted(became)) throw new ChatError('chat_not_found');
    mustFit(facts, caller.headroom);
    // The body goes with the text that is erased, but not what it answers.
    const value = { message, ...answering(became ?? entry.body) } satisfies ChatValue;
    return [draft('update:chat', member, { chatSeq, message }, { sets: [[chatKey(chatSeq), value]], erases: [becameBy ?? chatSeq] })];
  },
};

export const deleteChat: Rule<'delete:chat'> = {
  rests: chatToChange,
  decide(facts, { username, chatSeq }, caller) {
    const { member, became, becameBy } = changeable(facts, { username, chatSeq }, caller);
    if (isDeleted(became)) return [];
    const value = { deleted: true } satisfies ChatValue;
    return [draft('delete:chat', member, { chatSeq }, { sets: [[chatKey(chatSeq), value]], erases: [chatSeq, becameBy ?? chatSeq] })];
  },
};

/** A chat that the caller may change: an own one, or any for the owner of the room. */
function changeable(facts: Facts, { username, chatSeq }: Changing, caller: Caller) {
  const member = speaker(facts, username, caller);
  const chat = chatAt(facts, chatSeq);
  if (chat.entry.author !== caller.author && !isOwner(facts, member)) throw new ChatError('not_allowed');
  return { member, ...chat };
}

export async function listChats(store: Store, ask: Payload<'list:chats'>, caller: Caller): Promise<Reply<'list:chats'>> {
  const page = await chatsAsTheyStand(store, ask, String(caller.username));
  // After the reading: what was read may be from after his removal.
  speaker(await store.read(ask.roomId, { keys: speakerKeys(caller.username) }), caller.username, caller);
  return page;
}

/** For somebody who is known to be a member. Read again when the room became another one between the page and what became of it. */
export async function chatsAsTheyStand(store: Store, ask: Payload<'list:chats'>, asker: string): Promise<Reply<'list:chats'>> {
  for (;;) {
    const { entries, epoch, head, tail, more } = await readPage(store, ask);
    if (epoch === null) throw new ChatError('room_not_found');
    const became = await whatBecame(store, ask.roomId, entries, asker);
    if (became.epoch === epoch) return { roomId: ask.roomId, epoch, seq: head, tail, chats: became.chats, asOf: became.head, more };
  }
}

type ChatPage = Omit<Page, 'more'> & { more: { before: boolean; after: boolean } };

async function readPage(store: Store, { roomId, before, after, around, limit }: Payload<'list:chats'>): Promise<ChatPage> {
  if (around !== undefined) return readAround(store, roomId, around, limit);
  if (after !== undefined) {
    const page = await store.page(roomId, { after, limit, listed: true });
    return { ...page, more: { before: await isThereBefore(store, roomId, after + 1), after: page.more } };
  }
  const page = await store.page(roomId, { limit, listed: true, ...(before !== undefined && { before }) });
  return { ...page, more: { before: page.more, after: before !== undefined && (await isThereAfter(store, roomId, before - 1)) } };
}

async function readAround(store: Store, roomId: string, around: number, limit: number): Promise<ChatPage> {
  const older = await store.page(roomId, { before: around + 1, limit: Math.ceil(limit / 2), listed: true });
  const newer = await store.page(roomId, { after: around, limit: Math.max(Math.floor(limit / 2), 1), listed: true });
  return { ...newer, entries: [...older.entries, ...newer.entries], more: { before: older.more, after: newer.more } };
}

const isThereBefore = async (store: Store, roomId: string, before: number): Promise<boolean> =>
  (await store.page(roomId, { before, limit: 1, listed: true })).entries.length > 0;
const isThereAfter = async (store: Store, roomId: string, after: number): Promise<boolean> =>
  (await store.page(roomId, { after, limit: 1, listed: true })).entries.length > 0;

/** Three reads whatever the size of the page: the page itself, what became of its chats, and what the asker gave. */
async function whatBecame(
  store: Store,
  roomId: string,
  entries: Entry[],
  asker: string,
): Promise<{ epoch: string | null; head: number; chats: Chat[] }> {
  const seqs = entries.map(({ seq }) => seq);
  const facts = await store.read(roomId, { keys: seqs.map(chatKey), counts: seqs.map(reactionsOf) });
  const reactions = new Map(seqs.map((seq) => [seq, reactionsTo(facts, seq)]));
  const mineKeys = seqs.flatMap((seq) => (reactions.get(seq) ?? []).map(({ reaction }) => reactionKey(seq, reaction, asker)));
  const mine = mineKeys.length > 0 ? (await store.read(roomId, { keys: mineKeys })).keys : new Map<string, unknown>();
  const chats = entries.map((entry) => {
    const given = (reactions.get(entry.seq) ?? []).map((counted) => ({
      ...counted,
      ...(mine.has(reactionKey(entry.seq, counted.reaction, asker)) && { mine: true as const }),
    }));
    return asItStands(entry, facts, given);
  });
  return { epoch: facts.epoch, head: facts.head, chats };
}

function reactionsTo(facts: Facts, seq: number): { reaction: string; count: number }[] {
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
