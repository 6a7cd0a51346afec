/** The rules of the commands that create, update and delete chats. */
import { ChatError, type RequestPayload } from '@engawa/protocol';
import type { RoomFacts } from '../store/contract.ts';
import { type Caller, type CommandRule, type DraftEntry, draftEntry, isDeleted, isOwner, requireChat, requireMember } from './command.ts';
import { requireHeadroom } from './quotas.ts';
import { type ChatValue, chatKey, memberKey, settingsKey } from './room-keys.ts';

type ChatInput = Pick<RequestPayload<'create:chat'>, 'message' | 'clientId' | 'replyTo'>;
type CreateChatsInput = { username: string; chats: ChatInput[] };

/**
 * Reads `seqs` only for replies, so that other chats cost no more. Several chats may be decided on the same facts (`FactsCache`).
 */
function chatDependencies({ username, chats }: CreateChatsInput, { headroom: { roomBytes } }: Caller) {
  const seqs = chats.flatMap(({ replyTo }) => replyTo ?? []);
  return { keys: [memberKey(username)], ...(seqs.length > 0 && { seqs }), ...(roomBytes !== null && { bytesBelow: roomBytes }) };
}

function decideChats(facts: RoomFacts, { username, chats }: CreateChatsInput, caller: Caller): DraftEntry[] {
  const member = requireMember(facts, username, caller);
  requireHeadroom(facts, caller.headroom);
  return chats.map(({ message, clientId, replyTo }) => {
    // A deleted chat may be replied to: its entry still exists.
    if (replyTo !== undefined) requireChat(facts, replyTo);
    return draftEntry('create:chat', member, { message, clientId, replyTo }, { listed: true });
  });
}

export const createChats: CommandRule<'create:chats'> = { dependencies: chatDependencies, decide: decideChats };

export const createChat: CommandRule<'create:chat'> = {
  dependencies: (chat, caller) => chatDependencies({ username: chat.username, chats: [chat] }, caller),
  decide: (facts, chat, caller) => decideChats(facts, { username: chat.username, chats: [chat] }, caller),
};

/** The `replyTo` of a chat, from its body or its current state. */
export const replyField = (body: unknown): { replyTo?: number } => {
  const { replyTo } = (body ?? {}) as { replyTo?: number };
  return replyTo === undefined ? {} : { replyTo };
};

type ChatTarget = { username: string; chatSeq: number };
const chatTargetDependencies = ({ username, chatSeq }: ChatTarget) => ({
  keys: [settingsKey, memberKey(username), chatKey(chatSeq)],
  seqs: [chatSeq],
});

/** A chat stores only its newest text, so a deletion never has more than two bodies to erase. */
export const updateChat: CommandRule<'update:chat'> = {
  dependencies: chatTargetDependencies,
  decide(facts, { username, chatSeq, message }, caller) {
    const { member, entry, state, changedBy } = requireChangeableChat(facts, { username, chatSeq }, caller);
    if (isDeleted(state)) throw new ChatError('chat_not_found');
    requireHeadroom(facts, caller.headroom);
    // The body is erased with the text; `replyTo` must be copied.
    const value = { message, ...replyField(state ?? entry.body) } satisfies ChatValue;
    return [
      draftEntry(
        'update:chat',
        member,
        { chatSeq, message },
        { keyUpdates: [[chatKey(chatSeq), value]], eraseSeqs: [changedBy ?? chatSeq] },
      ),
    ];
  },
};

export const deleteChat: CommandRule<'delete:chat'> = {
  dependencies: chatTargetDependencies,
  decide(facts, { username, chatSeq }, caller) {
    const { member, state, changedBy } = requireChangeableChat(facts, { username, chatSeq }, caller);
    if (isDeleted(state)) return [];
    const value = { deleted: true } satisfies ChatValue;
    return [
      draftEntry(
        'delete:chat',
        member,
        { chatSeq },
        { keyUpdates: [[chatKey(chatSeq), value]], eraseSeqs: [chatSeq, changedBy ?? chatSeq] },
      ),
    ];
  },
};

/** Returns a chat that the caller may change: their own, or any chat if they own the room. */
function requireChangeableChat(facts: RoomFacts, { username, chatSeq }: ChatTarget, caller: Caller) {
  const member = requireMember(facts, username, caller);
  const chat = requireChat(facts, chatSeq);
  if (chat.entry.author !== caller.author && !isOwner(facts, member)) throw new ChatError('not_allowed');
  return { member, ...chat };
}
