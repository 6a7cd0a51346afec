/** Whether a name may be given to a member of a room, and the keys that keep it. */
import { ChatError, newUsername } from '@engawa/protocol';
import type { Facts, Json } from '../store/store.ts';
import { comparisonForms } from './confusables.ts';
import { foldName, type MemberValue, memberKey, type SkeletonValue, skeletonKey } from './keys.ts';
import { memberNamed } from './rule.ts';

interface Naming {
  username: string;
  author: string;
}

type Sets = [key: string, value: Json][];

/**
 * What decides over a name: whoever is given one that looks like it sets one of these keys, so of two who ask in the same
 * moment, on whatever nodes, one is decided again.
 */
export const nameKeys = (username: string): string[] => comparisonForms(username).flatMap((form) => [memberKey(form), skeletonKey(form)]);

/** Why the author may not have this name in a room that exists, by its `nameKeys`; nothing when they may, or have it. */
export function nameRefusal(facts: Facts, { username, author }: Naming): ChatError | undefined {
  const present = memberNamed(facts, username);
  if (present) return present.author === author ? undefined : new ChatError('name_taken');
  // A name of an earlier version may be in use; none of its kind is given any more.
  const { error } = newUsername.safeParse(username);
  if (error) return new ChatError('invalid_payload', { message: `username: ${error.issues[0]?.message ?? 'is not valid'}` });
  const others = comparisonForms(username).flatMap((form) => namesInUse(facts, form, author));
  if (others.length === 0) return undefined;
  return new ChatError(others.some((other) => foldName(other) === foldName(username)) ? 'name_taken' : 'name_confusable');
}

/** Names that have this form, but for those that are reserved for the author. */
function namesInUse(facts: Facts, form: string, author: string): string[] {
  const member = memberNamed(facts, form);
  const skeleton = skeletonAt(facts, skeletonKey(form));
  const found = [member, skeleton?.reservedFor === author ? undefined : skeleton];
  return found.flatMap((each) => (each ? [each.username] : []));
}

/** What a member sets by joining. Keys that are reserved for the author stay as they are, whoever joins and leaves. */
export function claimOf(facts: Facts, { username, author }: Naming): { member: MemberValue; sets: Sets } {
  const [, ...looks] = comparisonForms(username);
  const skeletons = looks.map(skeletonKey).filter((key) => !skeletonAt(facts, key));
  const member: MemberValue = { username, author, ...(skeletons.length > 0 && { skeletons }) };
  return { member, sets: [[memberKey(username), { ...member }], ...skeletons.map((key): [string, Json] => [key, { username }])] };
}

/** What keeps a name for its author for as long as the room is there. */
export function reservationOf({ username, author }: Naming): Sets {
  const value = { username, reservedFor: author } satisfies SkeletonValue;
  return comparisonForms(username).map((form) => [skeletonKey(form), value]);
}

const skeletonAt = (facts: Facts, key: string): SkeletonValue | undefined => facts.keys.get(key)?.value as SkeletonValue | undefined;
