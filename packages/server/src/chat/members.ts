import { ChatError, isSameRoom, type Member, type Payload, type Reply } from '@engawa/protocol';
import type { Facts, Key, Store } from '../store/store.ts';
import type { AnswerBudget } from './budget.ts';
import type { Outcome } from './commit.ts';
import { type MemberValue, memberFamily, memberKey, memberName, readerKey, settingsKey, type TicketValue } from './keys.ts';
import { mustMayRead } from './may-read.ts';
import { claimOf, lapsedNamesake, nameKeys, nameRefusal, namesakeKeys } from './names.ts';
import { mustFit, UPKEEP } from './quotas.ts';
import { readBy, reading } from './readers.ts';
import {
  type Caller,
  type Decided,
  draft,
  isLarge,
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
import { countUnread } from './unread.ts';

export const addMember: Rule<'add:member'> = {
  rests: ({ username }, { author }) => ({ keys: [...nameKeys(username), readerKey(author)], counts: [''] }),
  leadsTo: (facts, { username }, { author }) => namesakeKeys(facts, { username, author }),
  decide(facts, { username, epoch }, { author, node, largeRoom, headroom }) {
    mustExist(facts);
    if (epoch !== undefined && !isSameRoom(epoch, facts.epoch ?? '')) throw new ChatError('room_not_found');
    const refusal = nameRefusal(facts, { username, author });
    if (refusal) throw refusal;
    if (memberNamed(facts, username)?.author === author) return [];
    mustFit(facts, headroom, UPKEEP);
    const quiet = isLarge(facts, largeRoom);
    const leaving = lapsedNamesake(facts, { username, author });
    const leaves = leaving === undefined ? [] : [lapse(leaving, facts.keys.get(leaving)?.value as unknown as MemberValue, quiet)];
    const left = without(facts, leaves);
    const { member, sets } = claimOf(left, { username, author });
    return [...leaves, joining({ member, sets: [...sets, ...reading(left, member)] }, { node, quiet })];
  },
};

/** The facts as they are after these. */
function without(facts: Facts, leaves: Decided[]): Facts {
  const keys = new Map(facts.keys);
  for (const { sets = [] } of leaves) for (const [key] of sets) keys.delete(key);
  return { ...facts, keys };
}

export const removeMember: Rule<'remove:member'> = {
  rests: ({ username }, caller) => ({ keys: [settingsKey, memberKey(username), ...speakerKeys(caller.username)], counts: [''] }),
  decide(facts, { username }, caller) {
    mustExist(facts);
    const leaving = memberNamed(facts, username);
    if (!leaving) return [];
    const key = memberKey(username);
    if (leaving.author === caller.author)
      return [leave(key, leaving, { by: leaving, reason: 'left', quiet: isLarge(facts, caller.largeRoom) })];
    const owner = speaker(facts, caller.username, caller);
    mustBeOwner(facts, owner);
    return [leave(key, leaving, { by: owner, reason: 'removed', quiet: false })];
  },
};

/** How long somebody who is a member no more is remembered, in case he comes back. */
const TICKET_MS = 7 * 24 * 3_600_000;

export function joining({ member, sets }: ReturnType<typeof claimOf>, { node, quiet }: { node: string; quiet: boolean }): Decided {
  const { author: holder, username } = member;
  const key = memberKey(username);
  const value = { username } satisfies TicketValue;
  return draft('add:member', member, {}, { sets, lease: { key, node }, tickets: [{ holder, key, value }], quiet });
}

/** A guest whose connection did not come back in time; it is not kept if it has by then. The key is the one that lapsed: an earlier version may have folded the name otherwise. */
export const lapse = (key: string, gone: MemberValue, quiet: boolean): Decided => ({
  ...leave(key, gone, { by: gone, reason: 'gone', quiet }),
  lapsed: key,
});

interface Leave {
  by: MemberValue;
  reason: 'left' | 'removed' | 'gone';
  quiet: boolean;
}

function leave(key: string, { username, author: holder, skeletons = [] }: MemberValue, { by, reason, quiet }: Leave): Decided {
  const sets = [key, ...skeletons].map((each): [string, null] => [each, null]);
  const value: TicketValue = reason === 'removed' ? { username, removed: true } : { username };
  const ticket = { holder, key, ...(reason === 'left' ? { value: null } : { value: { ...value }, ttl: TICKET_MS }) };
  return draft('remove:member', by, { username, reason }, { sets, tickets: [ticket], quiet });
}

/** What a member who has come needs to know of the room. */
export async function describeMembership(
  store: Store,
  roomId: string,
  { username, author, budget }: { username: string; author: string; budget?: AnswerBudget },
) {
  const facts = await store.read(roomId, { keys: [settingsKey, memberKey(username), readerKey(author)], counts: [''] });
  const member = memberNamed(facts, username);
  const settings = facts.epoch === null ? undefined : settingsOf(facts);
  const read = readBy(facts.keys.get(readerKey(author)), facts.keys.get(memberKey(username)));
  return {
    username: member?.username ?? username,
    role: roleOf(member !== undefined && isOwner(facts, member)),
    topic: settings?.topic ?? '',
    retention: settings?.retention ?? {},
    members: memberCount(facts),
    asOf: facts.head,
    read,
    ...(await countUnread(store, roomId, { author, username, read, head: facts.head, budget })),
  };
}

/** How many members a room has; without an epoch there is none. */
export async function countMembers(store: Store, roomId: string) {
  const facts = await store.read(roomId, { counts: [''] });
  return { epoch: facts.epoch, asOf: facts.head, members: memberCount(facts) };
}

/** The newest entry that was told up to where an outcome stands, to go on from; null, which makes the asker ask, when that is not known any more. */
export async function tailAt(store: Store, roomId: string, { seq, id }: Outcome): Promise<string | null> {
  const entry = (await store.read(roomId, { seqs: [seq] })).entries.get(seq);
  if (!entry || entry.id !== (id ?? entry.id)) return null;
  return entry.quiet ? entry.prev : entry.id;
}

export async function listMembers(
  store: Store,
  { roomId, after, limit }: Payload<'list:members'>,
  caller: Caller,
): Promise<Reply<'list:members'>> {
  const facts = await store.read(roomId, { keys: [settingsKey], counts: [''] });
  mustExist(facts);
  const { keys, more } = await store.family(roomId, memberFamily, after === undefined ? { limit } : { after: memberName(after), limit });
  const readers = await store.read(roomId, { keys: keys.map(([, key]) => readerKey((key.value as unknown as MemberValue).author)) });
  const members = keys.map(([, key]): Member => {
    const member = key.value as unknown as MemberValue;
    const presence = isAway(key) ? 'gone' : 'online';
    const read = readBy(readers.keys.get(readerKey(member.author)), key);
    return { username: member.username, role: roleOf(isOwner(facts, member)), since: key.seq, presence, read };
  });
  await mustMayRead(store, roomId, caller);
  return { roomId, epoch: String(facts.epoch), seq: facts.head, members, count: memberCount(facts), more };
}

/** Nobody is connected as this member. */
export const isAway = ({ lease }: Key): boolean => lease === 'released' || lease === 'lapsed';

const roleOf = (owns: boolean): Member['role'] => (owns ? 'owner' : 'member');
