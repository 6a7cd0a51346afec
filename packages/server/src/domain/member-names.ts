/** The checks whether a member may take a name in a room, and the keys that reserve the name. */
import { ChatError, newUsername } from '@engawa/protocol';
import type { Json, RoomFacts } from '../store/contract.ts';
import { findMember } from './command.ts';
import { comparisonForms } from './confusables.ts';
import { foldName, type MemberValue, memberKey, type SkeletonValue, skeletonKey } from './room-keys.ts';

interface NameClaim {
  username: string;
  author: string;
}

type KeyValues = [key: string, value: Json][];

/**
 * The keys that decide whether a name is free. A member with a confusable name sets one of them, so of two concurrent joins, on
 * any nodes, one is decided again.
 */
export const nameKeys = (username: string): string[] => comparisonForms(username).flatMap((form) => [memberKey(form), skeletonKey(form)]);

/** Keys of the members with confusable names, derived from the `nameKeys`. The decision depends on them, too. */
export const namesakeKeys = (facts: RoomFacts, claim: NameClaim): string[] => findNameHolders(facts, claim).flatMap(({ key }) => key ?? []);

/**
 * Why the author may not take this name in an existing room, by its `nameKeys` and `namesakeKeys`. Undefined if they may, or
 * already have it.
 */
export function nameRefusal(facts: RoomFacts, claim: NameClaim): ChatError | undefined {
  const { username, author } = claim;
  const member = findMember(facts, username);
  if (member?.author === author) return undefined;
  const isFree = !member || hasExpired(facts, memberKey(username));
  if (!isFree) return new ChatError('name_taken');
  // A name of an earlier version may be in use, but is not assigned again.
  const { error } = newUsername.safeParse(username);
  if (error) return new ChatError('invalid_payload', { message: `username: ${error.issues[0]?.message ?? 'is not valid'}` });
  const holders = findNameHolders(facts, claim);
  if (holders.length === 0 || expiredNamesake(facts, claim) !== undefined) return undefined;
  return new ChatError(holders.some((other) => foldName(other.username) === foldName(username)) ? 'name_taken' : 'name_confusable');
}

/**
 * The key of the member that is removed when the author joins under this name: the only member with this or a confusable name, if
 * the lease has expired.
 */
export function expiredNamesake(facts: RoomFacts, claim: NameClaim): string | undefined {
  const [holder, ...others] = findNameHolders(facts, claim);
  return others.length === 0 && holder?.key !== undefined && hasExpired(facts, holder.key) ? holder.key : undefined;
}

const hasExpired = (facts: RoomFacts, key: string): boolean => facts.keys.get(key)?.lease === 'expired';

/** A name that conflicts with another one. */
interface NameHolder {
  username: string;
  /** Key of the member; undefined if the name is reserved for its author, who may be absent. */
  key: string | undefined;
}

/** Finds the holders of all forms of a name, except what is reserved for the author. */
function findNameHolders(facts: RoomFacts, { username, author }: NameClaim): NameHolder[] {
  const holders = new Map<string | undefined, NameHolder>();
  for (const form of comparisonForms(username)) {
    const member = findMember(facts, form);
    if (member) holders.set(memberKey(form), { username: member.username, key: memberKey(form) });
    const skeleton = findSkeleton(facts, skeletonKey(form));
    if (!skeleton || skeleton.reservedFor === author) continue;
    const key = skeleton.reservedFor === undefined ? memberKey(skeleton.username) : undefined;
    holders.set(key, { username: skeleton.username, key });
  }
  return [...holders.values()];
}

/** The keys that a join sets. Keys that are reserved for the author do not change when members join and leave. */
export function claimName(facts: RoomFacts, { username, author }: NameClaim): { member: MemberValue; sets: KeyValues } {
  const [, ...skeletonForms] = comparisonForms(username);
  const skeletons = skeletonForms.map(skeletonKey).filter((key) => !findSkeleton(facts, key));
  const member: MemberValue = { username, author, ...(skeletons.length > 0 && { skeletons }) };
  return { member, sets: [[memberKey(username), { ...member }], ...skeletons.map((key): [string, Json] => [key, { username }])] };
}

/** The keys that reserve a name for its author as long as the room exists. */
export function reserveName({ username, author }: NameClaim): KeyValues {
  const value = { username, reservedFor: author } satisfies SkeletonValue;
  return comparisonForms(username).map((form) => [skeletonKey(form), value]);
}

const findSkeleton = (facts: RoomFacts, key: string): SkeletonValue | undefined => facts.keys.get(key)?.value as SkeletonValue | undefined;
