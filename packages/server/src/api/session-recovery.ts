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
  /** He is a member no more, and to become one again. */
  hasExpired: boolean;
}

/** Everything that a stock client comes back to: all of its places, each whole, or it does not come back. */
export interface RecoverableSession {
  rooms: RecoverableRoom[];
}

/** Who comes back, and what they show for it. */
interface RecoveryRequest {
  connection: Connection;
  /** What stock clients call `offset`: it came with the last entry that they were told, and is the tick of that entry. */
  offset: string;
  isDisconnected: () => boolean;
}

/**
 * What a stock client comes back to. Each of its rooms costs a search in the log: so they count like rooms that are resumed,
 * are searched in slices, and the search ends with the first that it cannot come back to. Who calls this has passed the
 * turnstile.
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
  // A tick that no entry has is of a log that lost its end: what they were told there is to be unsaid, and so they join anew.
  return rooms.some(({ isOffsetEntry }) => isOffsetEntry) ? { rooms } : undefined;
}

const isComplete = (rooms: (RecoverableRoom | undefined)[]): rooms is RecoverableRoom[] => rooms.every((room) => room !== undefined);

interface RoomSearch {
  author: string;
  hlc: number;
  headroom: Headroom;
}

/**
 * Undefined when the client would miss something, or may not come back: the member was removed, or the name is another's by
 * now, or looks like one. Throws what a join anew would be refused with, which the client is then told when it asks for it:
 * one that was recovered first would be disconnected, and recovered, again and again.
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
 * The entry of that tick, or, when it is one of another room, the newest that was surely told before it; undefined when
 * that was trimmed, also meanwhile, and more with it perhaps.
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
