import { ChatError, LIMITS } from '@engawa/protocol';
import type { Facts } from '../store/store.ts';
import { chatKey, GIVEN, memberKey, reactionKey, reactionOfFamily, reactionsOf } from './keys.ts';
import { mustFit } from './quotas.ts';
import { type Caller, chatAt, draft, isDeleted, type Rule, speaker } from './rule.ts';

interface Reacting {
  username: string;
  chatSeq: number;
  reaction: string;
}

const rests = ({ username, chatSeq, reaction }: Reacting, { author }: Caller) => ({
  keys: [memberKey(username), chatKey(chatSeq), reactionKey(chatSeq, reaction, author)],
  seqs: [chatSeq],
  counts: [reactionsOf(chatSeq)],
});

export const addReaction: Rule<'add:reaction'> = {
  rests,
  decide(facts, reacting, caller) {
    const { member, key, isGiven } = reactionTo(facts, reacting, caller);
    if (isGiven) return [];
    mustFit(facts, caller.headroom);
    mustHaveRoomFor(facts, reacting);
    const { chatSeq, reaction } = reacting;
    return [draft('add:reaction', member, { chatSeq, reaction }, { sets: [[key, GIVEN]] })];
  },
};

export const removeReaction: Rule<'remove:reaction'> = {
  rests,
  decide(facts, reacting, caller) {
    const { member, key, isGiven } = reactionTo(facts, reacting, caller);
    const { chatSeq, reaction } = reacting;
    return isGiven ? [draft('remove:reaction', member, { chatSeq, reaction }, { sets: [[key, null]] })] : [];
  },
};

function reactionTo(facts: Facts, { username, chatSeq, reaction }: Reacting, caller: Caller) {
  const member = speaker(facts, username, caller);
  if (isDeleted(chatAt(facts, chatSeq).became)) throw new ChatError('chat_not_found');
  const key = reactionKey(chatSeq, reaction, caller.author);
  return { member, key, isGiven: facts.keys.has(key) };
}

function mustHaveRoomFor(facts: Facts, { chatSeq, reaction }: Reacting): void {
  const families = [...(facts.counts.get(reactionsOf(chatSeq))?.keys() ?? [])].map(reactionOfFamily);
  if (families.length >= LIMITS.reactionsPerChat && !families.includes(reaction)) throw new ChatError('too_many_reactions');
}
