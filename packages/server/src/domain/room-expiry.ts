/** Ends rooms that nobody visits any more. */
import { randomUUID } from 'node:crypto';
import type { RoomSummary, Store } from '../store/contract.ts';
import { draftEntry, memberCount } from './command.ts';

/** Milliseconds from the newest entry of a room without members until the room ends; null: it does not. */
export interface RoomLifetimes {
  /** Of a room in which nothing was ever said. */
  emptyMs: number | null;
  /** Of any room. */
  unvisitedMs: number | null;
}

export const DEFAULT_ROOM_LIFETIMES: RoomLifetimes = { emptyMs: 86_400_000, unvisitedMs: null };

/** As whom the server ends a room. Nobody is there to hear of it. */
const SERVER_MEMBER = { username: '', author: '' };

/**
 * Ends the room if nobody has visited it for too long: every visit is an entry, since it begins with a join. Answers the
 * milliseconds until it may have to end, 0 when it has ended. Whoever joins at the same moment makes the append stale.
 */
export async function deleteIfAbandoned(store: Store, listed: RoomSummary, lifetimes: RoomLifetimes): Promise<number> {
  if (memberCount(listed) > 0 || !hasRoomLifetime(lifetimes)) return Infinity;
  const { room, epoch, head: expectedHead, at } = listed;
  const page = await store.readPage(room, { listed: true, limit: 1 });
  if (page.epoch !== epoch || page.head !== expectedHead) return Infinity;
  // What was trimmed may have been chats.
  const wasUsed = page.entries.length > 0 || page.oldest > 1;
  const { empty, unvisited } = nullToInfinity(lifetimes);
  const remainingMs = at + (wasUsed ? unvisited : Math.min(empty, unvisited)) - page.now;
  if (remainingMs > 0) return remainingMs;
  const deletion = { ...draftEntry('delete:room', SERVER_MEMBER, {}, { endsRoom: true }), id: randomUUID() };
  const { outcome } = await store.append(room, { epoch, expectedHead, expectedVersions: [], drafts: [deletion] });
  return outcome === 'appended' ? 0 : Infinity;
}

export const hasRoomLifetime = ({ emptyMs, unvisitedMs }: RoomLifetimes): boolean => emptyMs !== null || unvisitedMs !== null;

const nullToInfinity = ({ emptyMs, unvisitedMs }: RoomLifetimes) => ({ empty: emptyMs ?? Infinity, unvisited: unvisitedMs ?? Infinity });
