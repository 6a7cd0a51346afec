import { ChatError, LIMITS } from '@engawa/protocol';
import type { Store } from '../store/store.ts';
import type { TicketValue } from './keys.ts';
import { type Caller, memberNamed, mustExist, speakerKeys } from './rule.ts';

/**
 * Refuses those who may not read a room. Rooms are open: all others may, members or not, but not those whom the owner removed
 * until they have joined again. To be asked after the reading: what was read may be from after a removal.
 */
export async function mustMayRead(store: Store, roomId: string, { author, username }: Pick<Caller, 'author' | 'username'>): Promise<void> {
  const facts = await store.read(roomId, { keys: speakerKeys(username) });
  mustExist(facts);
  if (username !== undefined && memberNamed(facts, username)?.author === author) return;
  const tickets = (await store.tickets(author, LIMITS.roomsPerConnection)).filter(({ room }) => room === roomId);
  const isRemoved = tickets.length > 0 && tickets.every(({ value }) => (value as unknown as TicketValue).removed);
  if (isRemoved) throw new ChatError('removed');
}
