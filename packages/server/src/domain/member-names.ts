/** Whether a name may be given to a member of a room, and the keys that keep it. */
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
 * What decides over a name: whoever is given one that looks like it sets one of these keys, so of two who ask in the same
 * moment, on whatever nodes, one is decided again.
 */
export const nameKeys = (username: string): string[] => comparisonForms(username).flatMap((form) => [memberKey(form), skeletonKey(form)]);

/** Keys of members whose names look like this one, as its `nameKeys` say: what becomes of it rests on them, too. */
export const namesakeKeys = (facts: RoomFacts, claim: NameClaim): string[] => findNameHolders(facts, claim).flatMap(({ key }) => key ?? []);

/** Why the author may not have this name in a room that exists, by its `nameKeys` and `namesakeKeys`; nothing when they may, or have it. */
export function nameRefusal(facts: RoomFacts, claim: NameClaim): ChatError | undefined {
  const { username, author } = claim;
  const member = findMember(facts, username);
  if (member?.author === author) return undefined;
  const isFree = !member || hasExpired(facts, memberKey(username));
  if (!isFree) return new ChatError('name_taken');
  // A name of an earlier version may be in use; none of its kind is given any more.
  const { error } = newUsername.safeParse(username);
  if (error) return new ChatError('invalid_payload', { message: `username: ${error.issues[0]?.message ?? 'is not valid'}` });
  const holders = findNameHolders(facts, claim);
  if (holders.length === 0 || expiredNamesake(facts, claim) !== undefined) return undefined;
  return new ChatError(holders.some((other) => foldName(other.username) === foldName(username)) ? 'name_taken' : 'name_confusable');
}

/** Who leaves when the author joins under this name, by their key: the only one who has it, or one like it, and is long gone. */
export function expiredNamesake(facts: RoomFacts, claim: NameClaim): string | undefined {
  const [holder, ...others] = findNameHolders(facts, claim);
  return others.length === 0 && holder?.key !== undefined && hasExpired(facts, holder.key) ? holder.key : undefined;
}

const hasExpired = (facts: RoomFacts, key: string): boolean => facts.keys.get(key)?.lease === 'expired';

/** Whose name stands against another one. */
interface NameHolder {
  username: string;
  /** Of the member; undefined for whom it is reserved, there or not. */
  key: string | undefined;
}

/** Of all forms of a name, but for what is reserved for the author. */
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

/** What a member sets by joining. Keys that are reserved for the author stay as they are, whoever joins and leaves. */
export function claimName(facts: RoomFacts, { username, author }: NameClaim): { member: MemberValue; sets: KeyValues } {
  const [, ...skeletonForms] = comparisonForms(username);
  const skeletons = skeletonForms.map(skeletonKey).filter((key) => !findSkeleton(facts, key));
  const member: MemberValue = { username, author, ...(skeletons.length > 0 && { skeletons }) };
  return { member, sets: [[memberKey(username), { ...member }], ...skeletons.map((key): [string, Json] => [key, { username }])] };
}

/** What keeps a name for its author for as long as the room is there. */
export function reserveName({ username, author }: NameClaim): KeyValues {
  const value = { username, reservedFor: author } satisfies SkeletonValue;
  return comparisonForms(username).map((form) => [skeletonKey(form), value]);
}

const findSkeleton = (facts: RoomFacts, key: string): SkeletonValue | undefined => facts.keys.get(key)?.value as SkeletonValue | undefined;
