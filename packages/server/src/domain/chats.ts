/** The rules of the commands that create, update and delete chats. */
import { ChatError, type CommandName, type RequestPayload } from '@engawa/protocol';
import type { RoomFacts } from '../store/contract.ts';
import { type Caller, type CommandRule, type DraftEntry, draftEntry, isDeleted, requireChat } from './command.ts';
import { requirePermission } from './permissions.ts';
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

function decideChats(event: CommandName, facts: RoomFacts, { username, chats }: CreateChatsInput, caller: Caller): DraftEntry[] {
  const member = requirePermission(event, facts, { username }, caller);
  requireHeadroom(facts, caller.headroom);
  return chats.map(({ message, clientId, replyTo }) => {
    // A deleted chat may be replied to: its entry still exists.
    if (replyTo !== undefined) requireChat(facts, replyTo);
    return draftEntry('create:chat', member, { message, clientId, replyTo }, { listed: true });
  });
}

export const createChats: CommandRule<'create:chats'> = {
  dependencies: chatDependencies,
  decide: (facts, chats, caller) => decideChats('create:chats', facts, chats, caller),
};

export const createChat: CommandRule<'create:chat'> = {
  dependencies: (chat, caller) => chatDependencies({ username: chat.username, chats: [chat] }, caller),
  decide: (facts, chat, caller) => decideChats('create:chat', facts, { username: chat.username, chats: [chat] }, caller),
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
    const { member, entry, state, changedBy } = requireChangeableChat('update:chat', facts, { username, chatSeq }, caller);
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
    const { member, state, changedBy } = requireChangeableChat('delete:chat', facts, { username, chatSeq }, caller);
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

function requireChangeableChat(event: CommandName, facts: RoomFacts, target: ChatTarget, caller: Caller) {
  const member = requirePermission(event, facts, target, caller);
  return { member, ...requireChat(facts, target.chatSeq) };
}
