/** Socket.IO session recovery: finds the rooms that a returning client left, and restores them from the logs. */
import type { RequestPayload } from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import { findMember } from '../domain/command.ts';
import { executeCommand } from '../domain/execute-command.ts';
import { nameKeys, nameRefusal } from '../domain/member-names.ts';
import { addMember } from '../domain/members.ts';
import { type Headroom, requireHeadroom, UPKEEP_QUOTA_FACTOR } from '../domain/quotas.ts';
import type { MembershipRecord } from '../domain/room-keys.ts';
import type { Store, Ticket } from '../store/contract.ts';
import { type AppContext, createCaller } from './context.ts';

const OFFSET_PATTERN = /^\d{1,16}$/;

/** A room that is restored, and how far the client has received it. */
interface RecoverableRoom {
  roomId: string;
  username: string;
  /** The newest entry that the client has received. */
  seq: number;
  /** This entry is the one whose offset the client sent. */
  isOffsetEntry: boolean;
  /** The membership has expired; recovery renews it. */
  hasExpired: boolean;
}

/** The rooms of a plain Socket.IO client. Either all of them are restored, each without a gap, or none. */
export interface RecoverableSession {
  rooms: RecoverableRoom[];
}

/** A returning connection, and the offset that its client sent. */
interface RecoveryRequest {
  connection: Connection;
  /** The HLC value of the last entry that the client received: it was the last argument of that event. */
  offset: string;
  isDisconnected: () => boolean;
}

/**
 * Finds the rooms of a plain Socket.IO client. Each room costs a search in the log, so rooms count like resumed ones, take turns
 * in the admission queue, and the first room that cannot be restored ends the search. The caller must have passed the admission
 * queue.
 */
export async function findRecoverableSession(
  { store, limits, admissionQueue, quotaMonitor }: Pick<AppContext, 'store' | 'limits' | 'admissionQueue' | 'quotaMonitor'>,
  { connection, offset, isDisconnected }: RecoveryRequest,
): Promise<RecoverableSession | undefined> {
  if (!OFFSET_PATTERN.test(offset)) return undefined;
  const { author } = connection.identity;
  const tickets = await store.listTickets(author, limits.roomsPerConnection + 1);
  if (tickets.length === 0 || tickets.length > limits.roomsPerConnection) return undefined;
  connection.takeResumeTokens(tickets.length);
  const search = { author, hlc: Number(offset), headroom: quotaMonitor.headroom(connection) };
  const find = async (ticket: Ticket) => (isDisconnected() ? undefined : findRecoverableRoom(store, ticket, search));
  const rooms = await admissionQueue.mapInTurns(tickets, find, (room) => room === undefined);
  if (!isComplete(rooms)) return undefined;
  connection.requireLimitsForAll(rooms);
  for (const { roomId, hasExpired } of rooms) if (hasExpired) connection.address?.budgets.takeRejoinToken(roomId);
  // If no entry has this HLC value, a log lost its end. The client has entries that no longer exist, so it must join again.
  return rooms.some(({ isOffsetEntry }) => isOffsetEntry) ? { rooms } : undefined;
}

const isComplete = (rooms: (RecoverableRoom | undefined)[]): rooms is RecoverableRoom[] => rooms.every((room) => room !== undefined);

interface RoomSearch {
  author: string;
  hlc: number;
  headroom: Headroom;
}

/**
 * Undefined if the client would miss entries or may not return: the member was removed, or another member has the same or a
 * confusable name now. Throws the error with which a new join would be refused. The client then gets it as the answer to its
 * join; if the session were recovered first, the client would be disconnected and recovered in a loop.
 */
async function findRecoverableRoom(
  store: Store,
  ticket: Ticket,
  { author, hlc, headroom }: RoomSearch,
): Promise<RecoverableRoom | undefined> {
  const { room: roomId, epoch } = ticket;
  const { username, removed } = ticket.value as unknown as MembershipRecord;
  const facts = await store.read(roomId, { keys: nameKeys(username) });
  if (removed || facts.epoch !== epoch || nameRefusal(facts, { username, author })) return undefined;
  const hasExpired = findMember(facts, username)?.author !== author;
  if (hasExpired) requireHeadroom(facts, headroom, UPKEEP_QUOTA_FACTOR);
  const found = await findPositionAt(store, roomId, hlc);
  return found && { roomId, username, hasExpired, ...found };
}

/**
 * The entry with this HLC value. If that entry is in another room, the newest one that was certainly broadcast before it.
 * Undefined if that was trimmed, because more may have been trimmed with it.
 */
async function findPositionAt(
  store: Store,
  roomId: string,
  hlc: number,
): Promise<Pick<RecoverableRoom, 'seq' | 'isOffsetEntry'> | undefined> {
  const { head, hlc: latestHlc, oldest } = await store.readPage(roomId, { limit: 1 });
  const hlcAt = async (seq: number) => (await store.read(roomId, { seqs: [seq] })).entries.get(seq)?.hlc;
  const search = async (maxHlc: number): Promise<number | undefined> => {
    if (latestHlc <= maxHlc) return head;
    let [below, above] = [oldest - 1, head];
    while (above - below > 1) {
      const middle = Math.floor((below + above) / 2);
      const found = await hlcAt(middle);
      if (found === undefined) return undefined;
      if (found > maxHlc) above = middle;
      else below = middle;
    }
    return below < oldest && oldest > 1 ? undefined : below;
  };
  const seq = await search(hlc);
  const isOffsetEntry = seq !== undefined && (seq === head ? latestHlc : await hlcAt(seq)) === hlc;
  if (isOffsetEntry) return { seq, isOffsetEntry };
  const safeSeq = store.maxClockSkewUs === 0 ? seq : await search(hlc - store.maxClockSkewUs);
  return safeSeq === undefined ? undefined : { seq: safeSeq, isOffsetEntry };
}

/** Attaches the client to all rooms again. Missed entries are sent before new ones. */
export async function restoreSession(context: AppContext, connection: Connection, { rooms }: RecoverableSession): Promise<void> {
  await context.leaseManager.ensureHeartbeat();
  const backlogDelivery = context.roomRegistry.createBacklogDelivery(connection);
  const restoredRoomIds = new Set<string>();
  for (const [index, room] of rooms.entries()) {
    if (index > 0) await context.admissionQueue.waitForTurn();
    if (!connection.peer.isConnected) return;
    await rejoinIfExpired(context, connection, room);
    // For further names in the same room the missed entries are sent already.
    if (restoredRoomIds.has(room.roomId)) await context.roomRegistry.reattach(connection, room);
    else await context.roomRegistry.reattachFrom(connection, room);
    restoredRoomIds.add(room.roomId);
  }
  void backlogDelivery.deliver();
}

/** Joins again if the membership expired meanwhile; nothing changes for a client that is still a member. */
export async function rejoinIfExpired(
  context: AppContext,
  connection: Connection,
  { roomId, username }: RequestPayload<'add:member'>,
): Promise<void> {
  const { store } = context;
  const command = { roomId, username };
  const { outcome } = await executeCommand({ store, rule: addMember, command, caller: createCaller(context, connection, undefined) });
  if (outcome === 'appended') connection.spendStoredBytes(command);
}
