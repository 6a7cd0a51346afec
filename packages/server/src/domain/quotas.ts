/** Quotas as the rules apply them: how much may be kept, and the refusal of what would exceed it. */
import { ChatError, type Quotas } from '@engawa/protocol';
import type { RoomFacts } from '../store/contract.ts';

/** What the quotas leave to a caller when a command is decided. */
export interface Headroom {
  /** Milliseconds until something more may be kept from the caller's network address. */
  writeRetryAfterMs: number;
  roomsPerSession: Quotas['roomsPerSession'];
  roomBytes: Quotas['roomBytes'];
  /** The quota that one more room would exceed. */
  exceededRoomQuota: 'rooms' | 'roomsPerAddress' | undefined;
  /** Which part of the store's quota is used: 1 when all of it is, 0 without a quota. */
  storageShare: number;
}

/** How far a command may go beyond a quota. */
type QuotaFactor = typeof CONTENT_QUOTA_FACTOR | typeof UPKEEP_QUOTA_FACTOR;

/** What is said in rooms ends at the quota. */
export const CONTENT_QUOTA_FACTOR = 1;
/** Joins, and what an owner does to free space, may use a tenth more: members can come back and read when the quota is used up. */
export const UPKEEP_QUOTA_FACTOR = 1.1;

const messages = {
  roomsPerSession: 'You own as many rooms as you may; delete one of them first.',
  roomsPerAddress: 'As many rooms were opened from your address as may be for now.',
  rooms: 'This server has as many rooms as it may have.',
  roomBytes: 'As much was said in this room as may be kept; delete something, or ask its owner to keep less.',
  totalBytes: 'This server keeps as much as it may.',
} as const;

export const quotaExceeded = (quota: keyof typeof messages): ChatError => new ChatError('quota_exceeded', { message: messages[quota] });

/** Refuses an addition to a room that is there. */
export function requireHeadroom(
  { bytes }: RoomFacts,
  { writeRetryAfterMs, roomBytes, storageShare }: Headroom,
  factor: QuotaFactor = CONTENT_QUOTA_FACTOR,
): void {
  throwIfRateLimited(writeRetryAfterMs);
  if (roomBytes !== null && bytes >= factor * roomBytes) throw quotaExceeded('roomBytes');
  if (storageShare >= factor) throw quotaExceeded('totalBytes');
}

/** Refuses one more room. */
export function requireRoomQuota({ writeRetryAfterMs, exceededRoomQuota, storageShare }: Headroom): void {
  throwIfRateLimited(writeRetryAfterMs);
  if (exceededRoomQuota) throw quotaExceeded(exceededRoomQuota);
  if (storageShare >= CONTENT_QUOTA_FACTOR) throw quotaExceeded('totalBytes');
}

function throwIfRateLimited(retryAfter: number): void {
  if (retryAfter > 0) throw new ChatError('rate_limited', { retryAfter });
}
