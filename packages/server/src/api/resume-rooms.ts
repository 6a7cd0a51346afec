/** The event resume:rooms: reattaches a returning client to its rooms and sends what it missed. */

import { ChatError, type RequestPayload, type ResponsePayload, type ResumeResult } from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import { findMember, requireMember, requireRoom } from '../domain/command.ts';
import { countMembers } from '../domain/members.ts';
import { jsonByteLength, ResponseBudget } from '../domain/response-budget.ts';
import { buildResumeResult, type ClientPosition, hasSpaceForRoom, resumePageQuery, toDeferredResult } from '../domain/resume.ts';
import { type MembershipRecord, memberKey } from '../domain/room-keys.ts';
import type { LocalRoom } from '../rooms/local-room.ts';
import type { Store } from '../store/contract.ts';
import type { AppContext } from './context.ts';
import { toErrorPayload } from './error-payload.ts';
import { MembershipRecords } from './membership-records.ts';
import { rejoinIfExpired } from './session-recovery.ts';

/**
 * Returns what a client missed in its rooms, as much as fits into one response. The connection is attached before the log is
 * read, so no entry is lost in between. The first room always gets at least one entry, so that each request makes progress.
 */
export async function resumeRooms(
  context: AppContext,
  connection: Connection,
  { rooms, limit, bytes }: RequestPayload<'resume:rooms'>,
): Promise<ResponsePayload<'resume:rooms'>> {
  connection.takeResumeTokens(rooms.length);
  await context.admissionQueue.waitForTurn();
  await context.leaseManager.ensureHeartbeat();
  const targets = await attachAll(context, connection, rooms);
  const total = new ResponseBudget();
  for (const position of rooms) total.take(jsonByteLength(toDeferredResult(position)));
  const budget = total.limitedTo(bytes);
  const results: ResumeResult[] = [];
  for (const [index, target] of targets.entries()) {
    if (index > 0) await context.admissionQueue.waitForTurn();
    const isDeferred = index > 0 && 'room' in target && !hasSpaceForRoom(budget);
    if (isDeferred) connection.refundResumes(1);
    results.push(isDeferred ? toDeferredResult(target.position) : await resumeRoom(context, connection, { target, limit, budget }));
  }
  return { rooms: results };
}

/** The room that the client is attached to again, or the error that prevents it. */
type ResumeTarget = { position: ClientPosition } & ({ room: LocalRoom } | { refusal: unknown });

/**
 * Membership is checked first: a room is not opened for a client that is not a member, and the author's tickets are read once.
 */
async function attachAll(context: AppContext, connection: Connection, rooms: ClientPosition[]): Promise<ResumeTarget[]> {
  const { store, limits, admissionQueue } = context;
  const { author } = connection.identity;
  const membershipChecks = await Promise.allSettled(rooms.map((position) => isMember(store, author, position)));
  const records = new MembershipRecords(store, author, limits.roomsPerConnection);
  const claims = rooms.map(
    (position, index): AttachRequest => ({ position, membershipCheck: membershipChecks[index] as PromiseSettledResult<boolean>, records }),
  );
  return admissionQueue.mapInTurns(claims, async (claim) => {
    const { position } = claim;
    return attach(context, connection, claim).then(
      (room) => ({ position, room }),
      (refusal: unknown) => ({ position, refusal }),
    );
  });
}

async function isMember(store: Store, author: string, { roomId, username }: ClientPosition): Promise<boolean> {
  const facts = await store.read(roomId, { keys: [memberKey(username)] });
  requireRoom(facts);
  return findMember(facts, username)?.author === author;
}

interface AttachRequest {
  position: ClientPosition;
  membershipCheck: PromiseSettledResult<boolean>;
  records: MembershipRecords;
}

/** A guest whose membership expired joins again. */
async function attach(
  context: AppContext,
  connection: Connection,
  { position, membershipCheck, records }: AttachRequest,
): Promise<LocalRoom> {
  if (membershipCheck.status === 'rejected') throw membershipCheck.reason;
  if (!connection.peer.isConnected) throw new ChatError('busy');
  connection.requireLimitsFor(position);
  if (!membershipCheck.value) {
    requireExpiredMembership(await records.get(position));
    connection.address?.budgets.takeRejoinToken(position.roomId);
    await rejoinIfExpired(context, connection, position);
  }
  return context.roomRegistry.reattach(connection, position).catch(async (error: unknown) => {
    throw await explainRefusal(context, connection, position, error);
  });
}

/** Members whom the owner removed get a code of their own: their clients must not rejoin automatically. */
function requireExpiredMembership(record: MembershipRecord | undefined): void {
  if (record?.removed) throw new ChatError('removed');
  if (!record) throw new ChatError('not_a_member');
}

interface ResumeRoomOptions {
  target: ResumeTarget;
  /** Maximum number of entries. */
  limit: number;
  budget: ResponseBudget;
}

async function resumeRoom(
  context: AppContext,
  connection: Connection,
  { target, limit, budget }: ResumeRoomOptions,
): Promise<ResumeResult> {
  const { position } = target;
  if ('refusal' in target) return toRefusedResult(context, position, target.refusal);
  try {
    const { author } = connection.identity;
    const result = await readMissed(context, target.room, { position, author, limit, budget });
    await requireStillMember(context, connection, position);
    return result;
  } catch (error) {
    return toRefusedResult(context, position, await explainRefusal(context, connection, position, error));
  }
}

const toRefusedResult = ({ log }: AppContext, { roomId }: ClientPosition, refusal: unknown): ResumeResult => ({
  outcome: 'refused',
  roomId,
  error: toErrorPayload(refusal, 'resume:rooms', log),
});

type MissedResult = Extract<ResumeResult, { entries: unknown }>;

interface ReadMissedOptions extends Omit<ResumeRoomOptions, 'target'> {
  position: ClientPosition;
  author: string;
}

async function readMissed(
  { store }: AppContext,
  room: LocalRoom,
  { position, author, limit, budget }: ReadMissedOptions,
): Promise<ResumeResult> {
  const start = await room.skipUnbroadcast(position);
  const page = await room.readPage(resumePageQuery(start, limit, budget));
  const result = await buildResumeResult({ store, position: start, author, page, online: room.ephemeralEvents.online, budget });
  return 'entries' in result ? withMemberCounts(store, room, { position, result }) : result;
}

/** If entries were left out of the result, they may be joins and leaves that were not broadcast: add the current counts. */
async function withMemberCounts(
  store: Store,
  room: LocalRoom,
  { position, result }: { position: ClientPosition; result: MissedResult },
): Promise<ResumeResult> {
  if (result.seq - position.seq === result.entries.length) return result;
  const { asOf, members } = await countMembers(store, position.roomId);
  return { ...result, counts: { asOf, members, online: room.ephemeralEvents.online } };
}

/** Called after the reads: the member may have been removed before them, and this node may not know yet. */
async function requireStillMember({ store }: AppContext, connection: Connection, { roomId, username }: ClientPosition): Promise<void> {
  const facts = await store.read(roomId, { keys: [memberKey(username)] });
  requireMember(facts, username, connection.identity);
}

/** Why the caller is no longer a member. It happened after the request, so the membership records are read again. */
async function explainRefusal(
  { store, limits }: AppContext,
  connection: Connection,
  position: ClientPosition,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof ChatError && error.code === 'not_a_member')) return error;
  const records = new MembershipRecords(store, connection.identity.author, limits.roomsPerConnection);
  return records.get(position).then(
    (record) => (record?.removed ? new ChatError('removed') : error),
    (failure: unknown) => failure,
  );
}
