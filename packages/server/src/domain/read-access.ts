/** The check whether a caller may read a room. */
import { ChatError, LIMITS } from '@engawa/protocol';
import type { Store } from '../store/contract.ts';
import { type Caller, callerMemberKeys, findMember, requireRoom } from './command.ts';
import type { MembershipRecord } from './room-keys.ts';

/**
 * Refuses callers who may not read a room. Rooms are open to members and others alike, except to members whom the owner removed,
 * until they join again. Check after reading: the data may be newer than a removal.
 */
export async function requireReadAccess(
  store: Store,
  roomId: string,
  { author, username }: Pick<Caller, 'author' | 'username'>,
): Promise<void> {
  const facts = await store.read(roomId, { keys: callerMemberKeys(username) });
  requireRoom(facts);
  if (username !== undefined && findMember(facts, username)?.author === author) return;
  const tickets = (await store.listTickets(author, LIMITS.roomsPerConnection)).filter(({ room }) => room === roomId);
  const isRemoved = tickets.length > 0 && tickets.every(({ value }) => (value as unknown as MembershipRecord).removed);
  if (isRemoved) throw new ChatError('removed');
}
