/** Quota checks of commands: how much may still be stored, and the errors if it is too much. */
import { ChatError, type Quotas } from '@engawa/protocol';
import type { RoomFacts } from '../store/contract.ts';

/** What the quotas leave to a caller at the time of a command. */
export interface Headroom {
  /** Milliseconds until the caller's network address may store more. */
  writeRetryAfterMs: number;
  roomsPerSession: Quotas['roomsPerSession'];
  roomBytes: Quotas['roomBytes'];
  /** The quota that one more room would exceed. */
  exceededRoomQuota: 'rooms' | 'roomsPerAddress' | undefined;
  /** Share of the store's byte quota that is used: 1 if all of it is, 0 without a quota. */
  storageShare: number;
}

/** The factor by which a command may exceed a quota. */
type QuotaFactor = typeof CONTENT_QUOTA_FACTOR | typeof UPKEEP_QUOTA_FACTOR;

/** Chats and other content end at the quota. */
export const CONTENT_QUOTA_FACTOR = 1;
/**
 * Joins, and changes by which an owner frees space, may exceed the quota by a tenth: members can return and read when it is used
 * up.
 */
export const UPKEEP_QUOTA_FACTOR = 1.1;

const messages = {
  roomsPerSession: 'You own the maximum number of rooms; delete one of them first.',
  roomsPerAddress: 'Too many rooms were created from your address; try again later.',
  rooms: 'This server has the maximum number of rooms.',
  roomBytes: 'This room is full; delete chats, or ask its owner for a shorter retention.',
  totalBytes: 'The storage quota of this server is used up.',
} as const;

export const quotaExceeded = (quota: keyof typeof messages): ChatError => new ChatError('quota_exceeded', { message: messages[quota] });

/** Refuses a command that adds to an existing room. */
export function requireHeadroom(
  { bytes }: RoomFacts,
  { writeRetryAfterMs, roomBytes, storageShare }: Headroom,
  factor: QuotaFactor = CONTENT_QUOTA_FACTOR,
): void {
  throwIfRateLimited(writeRetryAfterMs);
  if (roomBytes !== null && bytes >= factor * roomBytes) throw quotaExceeded('roomBytes');
  if (storageShare >= factor) throw quotaExceeded('totalBytes');
}

/** Refuses a command that creates a room. */
export function requireRoomQuota({ writeRetryAfterMs, exceededRoomQuota, storageShare }: Headroom): void {
  throwIfRateLimited(writeRetryAfterMs);
  if (exceededRoomQuota) throw quotaExceeded(exceededRoomQuota);
  if (storageShare >= CONTENT_QUOTA_FACTOR) throw quotaExceeded('totalBytes');
}

function throwIfRateLimited(retryAfterMs: number): void {
  if (retryAfterMs > 0) throw new ChatError('rate_limited', { retryAfterMs });
}
