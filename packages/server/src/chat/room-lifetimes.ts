/** Ends rooms that nobody visits any more. */
import { randomUUID } from 'node:crypto';
import type { ListedRoom, Store } from '../store/store.ts';
import { draft, memberCount } from './rule.ts';

/** Milliseconds from the newest entry of a room without members until the room ends; null: it does not. */
export interface RoomLifetimes {
  /** Of a room in which nothing was ever said. */
  empty: number | null;
  /** Of any room. */
  unvisited: number | null;
}

export const ROOM_LIFETIMES: RoomLifetimes = { empty: 86_400_000, unvisited: null };

/** As whom the server ends a room. Nobody is there to hear of it. */
const SERVER = { username: '', author: '' };

/**
 * Ends the room if nobody has visited it for too long: every visit is an entry, since it begins with a join. Answers the
 * milliseconds until it may have to end, 0 when it has ended. Whoever joins at the same moment makes the append stale.
 */
export async function endIfAbandoned(store: Store, listed: ListedRoom, lifetimes: RoomLifetimes): Promise<number> {
  if (memberCount(listed) > 0 || !endsRooms(lifetimes)) return Infinity;
  const { room, epoch, head, at } = listed;
  const page = await store.page(room, { listed: true, limit: 1 });
  if (page.epoch !== epoch || page.head !== head) return Infinity;
  // What was trimmed may have been chats.
  const wasUsed = page.entries.length > 0 || page.oldest > 1;
  const { empty, unvisited } = orNever(lifetimes);
  const left = at + (wasUsed ? unvisited : Math.min(empty, unvisited)) - page.now;
  if (left > 0) return left;
  const ending = { ...draft('delete:room', SERVER, {}, { ends: true }), id: randomUUID() };
  const { outcome } = await store.append(room, { epoch, head, given: [], drafts: [ending] });
  return outcome === 'appended' ? 0 : Infinity;
}

export const endsRooms = ({ empty, unvisited }: RoomLifetimes): boolean => empty !== null || unvisited !== null;

const orNever = ({ empty, unvisited }: RoomLifetimes) => ({ empty: empty ?? Infinity, unvisited: unvisited ?? Infinity });
