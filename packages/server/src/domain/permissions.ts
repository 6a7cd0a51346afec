/** Enforces the permissions of the event table: may this caller send this command in this room? */
import { ChatError, type CommandName, definitionOf } from '@engawa/protocol';
import type { RoomFacts } from '../store/contract.ts';
import { type Caller, findMember, isOwner, requireChat, requireMember } from './command.ts';
import type { MemberValue } from './room-keys.ts';

/** What the fields of a command refer to. */
interface CommandTarget {
  /** The member as whom the caller acts; for the permission `self` the member who is acted upon. */
  username: string;
  /** The chat that is changed, for the permission `author`. */
  chatSeq?: number;
}

/**
 * Returns the member as whom the caller acts, or refuses. The facts must include their key; those of the settings, if the owner may
 * do more; and the chat, for the permission `author`.
 */
export function requirePermission(event: CommandName, facts: RoomFacts, target: CommandTarget, caller: Caller): MemberValue {
  const { permission } = definitionOf(event);
  const { username, chatSeq } = target;
  if (permission === 'self' && findMember(facts, username)?.author !== caller.author)
    return requireOwner(facts, requireMember(facts, caller.username, caller));
  const member = requireMember(facts, username, caller);
  if (permission === 'owner') return requireOwner(facts, member);
  if (permission === 'author' && requireChat(facts, chatSeq ?? 0).entry.author !== caller.author) return requireOwner(facts, member);
  return member;
}

function requireOwner(facts: RoomFacts, member: MemberValue): MemberValue {
  if (!isOwner(facts, member)) throw new ChatError('not_allowed');
  return member;
}
