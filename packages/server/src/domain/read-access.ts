import { ChatError, LIMITS } from '@engawa/protocol';
import type { Store } from '../store/contract.ts';
import { type Caller, callerMemberKeys, findMember, requireRoom } from './command.ts';
import type { MembershipRecord } from './room-keys.ts';

/**
 * Refuses those who may not read a room. Rooms are open: all others may, members or not, but not those whom the owner removed
 * until they have joined again. To be asked after the reading: what was read may be from after a removal.
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
