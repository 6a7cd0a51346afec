import { ChatError, type Payload } from '@engawa/protocol';
import type { Facts } from '../store/store.ts';
import { type ChatValue, chatKey, memberKey, settingsKey } from './keys.ts';
import { mustFit } from './quotas.ts';
import { type Caller, chatAt, type Decided, draft, isDeleted, isOwner, type Rule, speaker } from './rule.ts';

type Said = Pick<Payload<'create:chat'>, 'message' | 'clientId' | 'replyTo'>;
type Saying = { username: string; chats: Said[] };

/** A chat that answers none costs no more for those that do. Chats are decided on what was read for others, too (`SharedReads`). */
function restsOfChats({ username, chats }: Saying, { headroom: { roomBytes } }: Caller) {
  const seqs = chats.flatMap(({ replyTo }) => replyTo ?? []);
  return { keys: [memberKey(username)], ...(seqs.length > 0 && { seqs }), ...(roomBytes !== null && { bytesBelow: roomBytes }) };
}

function decideChats(facts: Facts, { username, chats }: Saying, caller: Caller): Decided[] {
  const member = speaker(facts, username, caller);
  mustFit(facts, caller.headroom);
  return chats.map(({ message, clientId, replyTo }) => {
    // A deleted one may be answered: its place is still there.
    if (replyTo !== undefined) chatAt(facts, replyTo);
    return draft('create:chat', member, { message, clientId, replyTo }, { listed: true });
  });
}

export const createChats: Rule<'create:chats'> = { rests: restsOfChats, decide: decideChats };

export const createChat: Rule<'create:chat'> = {
  rests: (chat, caller) => restsOfChats({ username: chat.username, chats: [chat] }, caller),
  decide: (facts, chat, caller) => decideChats(facts, { username: chat.username, chats: [chat] }, caller),
};

/** What a chat answers: its body says it, and what became of it. */
export const answering = (said: unknown): { replyTo?: number } => {
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
