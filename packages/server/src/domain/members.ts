/** The rules of the commands that add and remove members, and the queries about members. */
import { ChatError, isSameLineage, type Member, type RequestPayload, type ResponsePayload } from '@engawa/protocol';
import type { KeyState, RoomFacts, Store } from '../store/contract.ts';
import {
  type CommandRule,
  callerMemberKeys,
  type DraftEntry,
  draftEntry,
  findMember,
  isLargeRoom,
  isOwner,
  memberCount,
  requireRoom,
  requireSettings,
} from './command.ts';
import type { CommandResult } from './execute-command.ts';
import { claimName, expiredNamesake, nameKeys, nameRefusal, namesakeKeys } from './member-names.ts';
import { requirePermission } from './permissions.ts';
import { requireHeadroom, UPKEEP_QUOTA_FACTOR } from './quotas.ts';
import { readerKeyValues, readSeqOf } from './read-marks.ts';
import type { ResponseBudget } from './response-budget.ts';
import { type MembershipRecord, type MemberValue, memberFamily, memberKey, memberKeyPart, readerKey, settingsKey } from './room-keys.ts';
import { countUnread } from './unread-count.ts';

export const addMember: CommandRule<'add:member'> = {
  dependencies: ({ username }, { author }) => ({ keys: [...nameKeys(username), readerKey(author)], counts: [''] }),
  derivedKeys: (facts, { username }, { author }) => namesakeKeys(facts, { username, author }),
  decide(facts, { username, epoch }, { author, node, largeRoomThreshold, headroom }) {
    requireRoom(facts);
    if (epoch !== undefined && !isSameLineage(epoch, facts.epoch ?? '')) throw new ChatError('room_not_found');
    const refusal = nameRefusal(facts, { username, author });
    if (refusal) throw refusal;
    if (findMember(facts, username)?.author === author) return [];
    requireHeadroom(facts, headroom, UPKEEP_QUOTA_FACTOR);
    const quiet = isLargeRoom(facts, largeRoomThreshold);
    const expiredKey = expiredNamesake(facts, { username, author });
    const removals =
      expiredKey === undefined ? [] : [draftExpiry(expiredKey, facts.keys.get(expiredKey)?.value as unknown as MemberValue, quiet)];
    const remainingFacts = factsAfter(facts, removals);
    const { member, sets } = claimName(remainingFacts, { username, author });
    return [...removals, draftJoin({ member, sets: [...sets, ...readerKeyValues(remainingFacts, member)] }, { node, quiet })];
  },
};

/** The facts as they are once these drafts are appended. */
function factsAfter(facts: RoomFacts, removals: DraftEntry[]): RoomFacts {
  const keys = new Map(facts.keys);
  for (const { keyUpdates = [] } of removals) for (const [key] of keyUpdates) keys.delete(key);
  return { ...facts, keys };
}

export const removeMember: CommandRule<'remove:member'> = {
  dependencies: ({ username }, caller) => ({
    keys: [settingsKey, memberKey(username), ...callerMemberKeys(caller.username)],
    counts: [''],
  }),
  decide(facts, { username }, caller) {
    requireRoom(facts);
    const leaving = findMember(facts, username);
    if (!leaving) return [];
    const by = requirePermission('remove:member', facts, { username }, caller);
    const isOwnLeave = by.author === leaving.author;
    return [
      draftLeave(memberKey(username), leaving, {
        by: isOwnLeave ? leaving : by,
        reason: isOwnLeave ? 'left' : 'removed',
        quiet: isOwnLeave && isLargeRoom(facts, caller.largeRoomThreshold),
      }),
    ];
  },
};

/** How long the membership record of a former member is stored, for session recovery. Milliseconds. */
const MEMBERSHIP_RECORD_TTL_MS = 7 * 24 * 3_600_000;

export function draftJoin(
  { member, sets: keyUpdates }: ReturnType<typeof claimName>,
  { node, quiet }: { node: string; quiet: boolean },
): DraftEntry {
  const { author: holder, username } = member;
  const key = memberKey(username);
  const value = { username } satisfies MembershipRecord;
  return draftEntry('add:member', member, {}, { keyUpdates, lease: { key, node }, tickets: [{ holder, key, value }], quiet });
}

/**
 * Removes a guest whose lease has expired; the append fails if the guest returned. `key` is the key whose lease expired: an
 * earlier version may have folded the name differently.
 */
export const draftExpiry = (key: string, member: MemberValue, quiet: boolean): DraftEntry => ({
  ...draftLeave(key, member, { by: member, reason: 'timed_out', quiet }),
  requireExpiredLease: key,
});

interface LeaveOptions {
  by: MemberValue;
  reason: 'left' | 'removed' | 'timed_out';
  quiet: boolean;
}

function draftLeave(
  key: string,
  { username, author: holder, skeletons = [] }: MemberValue,
  { by, reason, quiet }: LeaveOptions,
): DraftEntry {
  const keyUpdates = [key, ...skeletons].map((each): [string, null] => [each, null]);
  const value: MembershipRecord = reason === 'removed' ? { username, removed: true } : { username };
  const ticket = { holder, key, ...(reason === 'left' ? { value: null } : { value: { ...value }, ttl: MEMBERSHIP_RECORD_TTL_MS }) };
  return draftEntry('remove:member', by, { username, reason }, { keyUpdates, tickets: [ticket], quiet });
}

/** What a new member needs to know about the room. */
export async function describeMembership(
  store: Store,
  roomId: string,
  { username, author, budget }: { username: string; author: string; budget?: ResponseBudget },
) {
  const facts = await store.read(roomId, { keys: [settingsKey, memberKey(username), readerKey(author)], counts: [''] });
  const member = findMember(facts, username);
  const settings = facts.epoch === null ? undefined : requireSettings(facts);
  const read = readSeqOf(facts.keys.get(readerKey(author)), facts.keys.get(memberKey(username)));
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

/** Counts the members of a room. `epoch` is null if the room does not exist. */
export async function countMembers(store: Store, roomId: string) {
  const facts = await store.read(roomId, { counts: [''] });
  return { epoch: facts.epoch, asOf: facts.head, members: memberCount(facts) };
}

/**
 * The id of the last broadcast entry at the position of a result. Null if it is not known any more: then the client must resume.
 */
export async function lastBroadcastIdAt(store: Store, roomId: string, { seq, id }: CommandResult): Promise<string | null> {
  const entry = (await store.read(roomId, { seqs: [seq] })).entries.get(seq);
  if (!entry || entry.id !== (id ?? entry.id)) return null;
  return entry.quiet ? entry.prev : entry.id;
}

export async function listMembers(
  store: Store,
  { roomId, after, limit }: RequestPayload<'list:members'>,
): Promise<ResponsePayload<'list:members'>> {
  const facts = await store.read(roomId, { keys: [settingsKey], counts: [''] });
  requireRoom(facts);
  const { keys, hasMore } = await store.listKeys(
    roomId,
    memberFamily,
    after === undefined ? { limit } : { after: memberKeyPart(after), limit },
  );
  const readers = await store.read(roomId, { keys: keys.map(([, key]) => readerKey((key.value as unknown as MemberValue).author)) });
  const members = keys.map(([, key]): Member => {
    const member = key.value as unknown as MemberValue;
    const presence = isDisconnected(key) ? 'offline' : 'online';
    const read = readSeqOf(readers.keys.get(readerKey(member.author)), key);
    return { username: member.username, role: roleOf(isOwner(facts, member)), since: key.seq, presence, read };
  });
  return { roomId, epoch: String(facts.epoch), seq: facts.head, members, count: memberCount(facts), hasMore };
}

/** True if no client is connected as this member. */
export const isDisconnected = ({ lease }: KeyState): boolean => lease === 'released' || lease === 'expired';

const roleOf = (isRoomOwner: boolean): Member['role'] => (isRoomOwner ? 'owner' : 'member');
