/** The rules of the commands that add and remove reactions. */
import { ChatError, type CommandName, LIMITS } from '@engawa/protocol';
import type { RoomFacts } from '../store/contract.ts';
import { type Caller, type CommandRule, draftEntry, isDeleted, requireChat } from './command.ts';
import { requirePermission } from './permissions.ts';
import { requireHeadroom } from './quotas.ts';
import { chatKey, decodeReaction, memberKey, REACTION_VALUE, reactionFamily, reactionKey } from './room-keys.ts';

interface ReactionInput {
  username: string;
  chatSeq: number;
  reaction: string;
}

const dependencies = ({ username, chatSeq, reaction }: ReactionInput, { author }: Caller) => ({
  keys: [memberKey(username), chatKey(chatSeq), reactionKey(chatSeq, reaction, author)],
  seqs: [chatSeq],
  counts: [reactionFamily(chatSeq)],
});

export const addReaction: CommandRule<'add:reaction'> = {
  dependencies,
  decide(facts, input, caller) {
    const { member, key, isPresent } = prepareReaction('add:reaction', facts, input, caller);
    if (isPresent) return [];
    requireHeadroom(facts, caller.headroom);
    requireReactionSlot(facts, input);
    const { chatSeq, reaction } = input;
    return [draftEntry('add:reaction', member, { chatSeq, reaction }, { keyUpdates: [[key, REACTION_VALUE]] })];
  },
};

export const removeReaction: CommandRule<'remove:reaction'> = {
  dependencies,
  decide(facts, input, caller) {
    const { member, key, isPresent } = prepareReaction('remove:reaction', facts, input, caller);
    const { chatSeq, reaction } = input;
    return isPresent ? [draftEntry('remove:reaction', member, { chatSeq, reaction }, { keyUpdates: [[key, null]] })] : [];
  },
};

function prepareReaction(event: CommandName, facts: RoomFacts, { username, chatSeq, reaction }: ReactionInput, caller: Caller) {
  const member = requirePermission(event, facts, { username }, caller);
  if (isDeleted(requireChat(facts, chatSeq).state)) throw new ChatError('chat_not_found');
  const key = reactionKey(chatSeq, reaction, caller.author);
  return { member, key, isPresent: facts.keys.has(key) };
}

function requireReactionSlot(facts: RoomFacts, { chatSeq, reaction }: ReactionInput): void {
  const kinds = [...(facts.counts.get(reactionFamily(chatSeq))?.keys() ?? [])].map(decodeReaction);
  if (kinds.length >= LIMITS.reactionsPerChat && !kinds.includes(reaction)) throw new ChatError('too_many_reactions');
}
