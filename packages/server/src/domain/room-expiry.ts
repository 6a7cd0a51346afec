/** Deletes abandoned rooms: rooms without members for longer than their lifetime. */
import { randomUUID } from 'node:crypto';
import type { RoomSummary, Store } from '../store/contract.ts';
import { draftEntry, memberCount } from './command.ts';

/** Milliseconds from the newest entry of a room without members to its deletion; null: it is not deleted. */
export interface RoomLifetimes {
  /** For a room without any chats. */
  emptyMs: number | null;
  /** For any room. */
  unvisitedMs: number | null;
}

export const DEFAULT_ROOM_LIFETIMES: RoomLifetimes = { emptyMs: 86_400_000, unvisitedMs: null };

/** The author of the deletion. The room has no members that could receive it. */
const SERVER_MEMBER = { username: '', author: '' };

/**
 * Deletes the room if it has been abandoned for too long: every visit begins with a join, which is an entry. Returns the
 * milliseconds until the room may have to be deleted, or 0 if it was deleted. A join at the same moment makes the append stale.
 */
export async function deleteIfAbandoned(store: Store, listed: RoomSummary, lifetimes: RoomLifetimes): Promise<number> {
  if (memberCount(listed) > 0 || !hasRoomLifetime(lifetimes)) return Infinity;
  const { room, epoch, head: expectedHead, at } = listed;
  const page = await store.readPage(room, { listed: true, limit: 1 });
  if (page.epoch !== epoch || page.head !== expectedHead) return Infinity;
  // Trimmed entries may have been chats.
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
