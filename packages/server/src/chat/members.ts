import { ChatError, type Member, type Payload, type Reply } from '@engawa/protocol';
import type { Store } from '../store/store.ts';
import { type MemberValue, memberFamily, memberKey, memberName, settingsKey } from './keys.ts';
import {
  type Caller,
  type Decided,
  draft,
  isOwner,
  memberCount,
  memberNamed,
  mustBeOwner,
  mustExist,
  type Rule,
  settingsOf,
  speaker,
  speakerKeys,
} from './rule.ts';

export const addMember: Rule<'add:member'> = {
  rests: ({ username }) => ({ keys: [memberKey(username)] }),
  decide(facts, { username }, { author, node }) {
    mustExist(facts);
    const present = memberNamed(facts, username);
    if (present && present.author !== author) throw new ChatError('name_taken');
    return present ? [] : [joining({ username, author }, node)];
  },
};

export const removeMember: Rule<'remove:member'> = {
  rests: ({ username }, caller) => ({ keys: [settingsKey, memberKey(username), ...speakerKeys(caller.username)] }),
  decide(facts, { username }, caller) {
    mustExist(facts);
    const leaving = memberNamed(facts, username);
    if (!leaving) return [];
    if (leaving.author === caller.author) return [leave(leaving, leaving, 'left')];
    const owner = speaker(facts, caller.username, caller);
    mustBeOwner(facts, owner);
    return [leave(leaving, owner, 'removed')];
  },
};

export function joining(member: MemberValue, node: string): Decided {
  const key = memberKey(member.username);
  return draft('add:member', member, {}, { sets: [[key, { ...member }]], lease: { key, node } });
}

/** A guest whose connection did not come back in time. */
export const lapse = (gone: MemberValue): Decided => leave(gone, gone, 'gone');

function leave({ username }: MemberValue, by: MemberValue, reason: 'left' | 'removed' | 'gone'): Decided {
  return draft('remove:member', by, { username, reason }, { sets: [[memberKey(username), null]] });
}

/** What a member who has just joined needs to know of the room. */
export async function describeMembership(store: Store, roomId: string, username: string) {
  const facts = await store.read(roomId, { keys: [settingsKey, memberKey(username)], counts: [''] });
  const member = memberNamed(facts, username);
  return {
    seq: facts.head,
    username: member?.username ?? username,
    role: roleOf(member !== undefined && isOwner(facts, member)),
    topic: facts.epoch === null ? '' : settingsOf(facts).topic,
    members: memberCount(facts),
  };
}

export async function listMembers(
  store: Store,
  { roomId, after, limit }: Payload<'list:members'>,
  caller: Caller,
): Promise<Reply<'list:members'>> {
  const facts = await store.read(roomId, { keys: [settingsKey, ...speakerKeys(caller.username)], counts: [''] });
  speaker(facts, caller.username, caller);
  const { keys, more } = await store.family(roomId, memberFamily, after === undefined ? { limit } : { after: memberName(after), limit });
  const members = keys.map(([, { value, seq }]) => {
    const member = value as unknown as MemberValue;
    return { username: member.username, role: roleOf(isOwner(facts, member)), since: seq };
  });
  return { roomId, epoch: String(facts.epoch), seq: facts.head, members, count: memberCount(facts), more };
}

const roleOf = (owns: boolean): Member['role'] => (owns ? 'owner' : 'member');
