/** Quotas as the rules apply them: how much may be kept, and the refusal of what would exceed it. */
import { ChatError, type Quotas } from '@engawa/protocol';
import type { Facts } from '../store/store.ts';

/** What the quotas leave to a caller when a command is decided. */
export interface Headroom {
  /** Milliseconds until something more may be kept from the caller's network address. */
  mayAddIn: number;
  roomsPerSession: Quotas['roomsPerSession'];
  roomBytes: Quotas['roomBytes'];
  /** The quota that one more room would exceed. */
  noRoom: 'rooms' | 'roomsPerAddress' | undefined;
  /** Which part of the store's quota is used: 1 when all of it is, 0 without a quota. */
  storage: number;
}

/** How far a command may go beyond a quota. */
type Reach = typeof ADDITION | typeof UPKEEP;

/** What is said in rooms ends at the quota. */
export const ADDITION = 1;
/** Joins, and what an owner does to free space, may use a tenth more: members can come back and read when the quota is used up. */
export const UPKEEP = 1.1;

const messages = {
  roomsPerSession: 'You own as many rooms as you may; delete one of them first.',
  roomsPerAddress: 'As many rooms were opened from your address as may be for now.',
  rooms: 'This server has as many rooms as it may have.',
  roomBytes: 'As much was said in this room as may be kept; delete something, or ask its owner to keep less.',
  totalBytes: 'This server keeps as much as it may.',
} as const;

export const quotaExceeded = (quota: keyof typeof messages): ChatError => new ChatError('quota_exceeded', { message: messages[quota] });

/** Refuses an addition to a room that is there. */
export function mustFit({ bytes }: Facts, { mayAddIn, roomBytes, storage }: Headroom, reach: Reach = ADDITION): void {
  mustWait(mayAddIn);
  if (roomBytes !== null && bytes >= reach * roomBytes) throw quotaExceeded('roomBytes');
  if (storage >= reach) throw quotaExceeded('totalBytes');
}

/** Refuses one more room. */
export function mustHaveRoom({ mayAddIn, noRoom, storage }: Headroom): void {
  mustWait(mayAddIn);
  if (noRoom) throw quotaExceeded(noRoom);
  if (storage >= ADDITION) throw quotaExceeded('totalBytes');
}

function mustWait(retryAfter: number): void {
  if (retryAfter > 0) throw new ChatError('rate_limited', { retryAfter });
}
