/** The table of all client events and the handler of each. */
import {
  ChatError,
  type CommandName,
  definitionOf,
  type EphemeralEventName,
  type EventName,
  type Position,
  type QueryName,
  type RequestPayload,
  type ResponsePayload,
} from '@engawa/protocol';
import type { Connection } from '../connections/connection.ts';
import { listChats } from '../domain/chat-pages.ts';
import { createChat, createChats, deleteChat, updateChat } from '../domain/chats.ts';
import type { Caller, CommandRule } from '../domain/command.ts';
import { toBroadcast } from '../domain/entry-payloads.ts';
import { type CommandResult, executeCommand } from '../domain/execute-command.ts';
import { listEntries } from '../domain/list-entries.ts';
import { addMember, describeMembership, lastBroadcastIdAt, listMembers, removeMember } from '../domain/members.ts';
import { addReaction, removeReaction } from '../domain/reactions.ts';
import { requireReadAccess } from '../domain/read-access.ts';
import { markRead as advanceReadMark } from '../domain/read-marks.ts';
import { createRoom, deleteRoom, listRooms, updateRoom } from '../domain/rooms.ts';
import { countUnread } from '../domain/unread-count.ts';
import type { EphemeralEvent } from '../rooms/ephemeral-events.ts';
import type { Store } from '../store/contract.ts';
import { type AppContext, createCaller } from './context.ts';
import { emitPosition } from './emit-position.ts';
import { resumeRooms } from './resume-rooms.ts';

const EMIT_FAILED = 'an entry was appended, but not sent to its author';

type MemberRef = { roomId: string; username: string };
type Handler<E extends EventName> = (
  context: AppContext,
  connection: Connection,
  request: RequestPayload<E>,
) => Promise<ResponsePayload<E>>;

const entryPosition = ({ seq, id, at }: CommandResult['entries'][number]) => ({ seq, id, at });

/** The handler of each event. */
export const handlers: { [E in EventName]: Handler<E> } = {
  'create:room': joinHandler('create:room', createRoom),
  'add:member': joinHandler('add:member', addMember),
  'remove:member': commandHandler('remove:member', removeMember),
  // An earlier chat with this clientId is the first one of its append.
  'create:chat': commandHandler('create:chat', createChat, ({ entries: [first] }) => (first ? entryPosition(first) : {})),
  'create:chats': commandHandler('create:chats', createChats, ({ entries }) => ({ chats: entries.map(entryPosition) })),
  'update:chat': commandHandler('update:chat', updateChat),
  'delete:chat': commandHandler('delete:chat', deleteChat),
  'add:reaction': commandHandler('add:reaction', addReaction),
  'remove:reaction': commandHandler('remove:reaction', removeReaction),
  'update:room': commandHandler('update:room', updateRoom),
  'delete:room': commandHandler('delete:room', deleteRoom),
  'list:rooms': listRoomsHandler,
  'list:members': withPresence(queryHandler('list:members', listMembers)),
  'list:chats': queryHandler('list:chats', listChats),
  'list:entries': queryHandler('list:entries', listEntries),
  'resume:rooms': resumeRooms,
  'start:typing': ephemeralHandler('start:typing'),
  'stop:typing': ephemeralHandler('stop:typing'),
  'update:presence': updatePresence,
  'mark:read': markRead,
};

/** A command that appends to the log of a room. `extraFields`: fields of the response beside the position. */
function commandHandler<E extends CommandName>(
  event: E,
  rule: CommandRule<E>,
  extraFields: (result: CommandResult) => object = () => ({}),
): Handler<E> {
  return async (context, connection, request) => {
    const { store } = context;
    const { roomId } = request as MemberRef;
    const wasAttached = connection.memberships.has(roomId);
    const caller = callerOf(context, connection, roomId);
    const result = await executeCommand({ store, rule, command: request, caller, factsCache: connection.factsCache });
    if (result.outcome === 'appended') {
      countAppended(context, connection, { event, request });
      // The append succeeded, so it is acknowledged even if this read fails.
      if (!wasAttached)
        await emitToCaller(store, connection, { roomId, ...result }).catch((error: unknown) =>
          context.log.error({ err: error }, EMIT_FAILED),
        );
    }
    return { ...positionFields(roomId, result), durability: store.durability, ...extraFields(result) } as ResponsePayload<E>;
  };
}

function countAppended(
  { quotaMonitor }: AppContext,
  connection: Connection,
  { event, request }: { event: CommandName; request: object },
): void {
  connection.spendStoredBytes(request);
  if (event !== 'create:room') return;
  connection.spendRoomCreation();
  quotaMonitor.countOpenedRoom();
}

/** A command that makes the caller a member. The response describes the room. */
function joinHandler<E extends 'create:room' | 'add:member'>(event: E, rule: CommandRule<E>): Handler<E> {
  return async (context, connection, request) => {
    const { store, roomRegistry, leaseManager, limits, queryScheduler } = context;
    const { roomId, username } = request as MemberRef;
    await leaseManager.ensureHeartbeat();
    const caller = callerOf(context, connection, roomId);
    const [result, livePosition] = await roomRegistry.join(connection, request, () =>
      executeCommand({ store, rule, command: request, caller }),
    );
    if (result.outcome === 'appended') countAppended(context, connection, { event, request });
    // This counts unread chats, which reads as much as a page.
    const membership = await queryScheduler.run(() => describeMembership(store, roomId, { username, author: caller.author }));
    // A reattached member receives all entries after this seq; an earlier seq would promise too much.
    const isByEntry = result.outcome === 'repeated' || (result.outcome === 'appended' && livePosition?.epoch === result.epoch);
    const isReattached = !isByEntry && livePosition !== null;
    const position = isReattached ? { ...result, epoch: livePosition.epoch, seq: livePosition.seq } : result;
    if (result.outcome !== 'appended') connection.address?.budgets.refundJoin(roomId);
    if (isReattached) await emitPosition(context, connection, roomId);
    const { session } = connection.identity;
    const online = (await roomRegistry.get(roomId))?.ephemeralEvents.online ?? 0;
    const lastId = isSamePosition(livePosition, position) ? livePosition.id : await lastBroadcastIdAt(store, roomId, position);
    const { durability } = store;
    return { ...positionFields(roomId, position), durability, lastId, ...membership, online, session, limits } as ResponsePayload<E>;
  };
}

/** Broadcasts an ephemeral event. Only a connection that is attached under that name may send one. */
function ephemeralHandler<E extends EphemeralEventName>(event: E): Handler<E> {
  return async ({ roomRegistry }, _connection, request) => {
    const { roomId } = request;
    await (await roomRegistry.get(roomId))?.ephemeralEvents.publish({ event, signal: request } as EphemeralEvent);
    return { roomId } as ResponsePayload<E>;
  };
}

async function updatePresence(
  { roomRegistry }: AppContext,
  connection: Connection,
  request: RequestPayload<'update:presence'>,
): Promise<ResponsePayload<'update:presence'>> {
  await (await roomRegistry.get(request.roomId))?.updatePresence(connection, request);
  return { roomId: request.roomId };
}

async function markRead(
  { store, roomRegistry, queryScheduler }: AppContext,
  connection: Connection,
  request: RequestPayload<'mark:read'>,
): Promise<ResponsePayload<'mark:read'>> {
  const { roomId, username, seq } = request;
  const room = await roomRegistry.get(roomId);
  // The client may have read a page with entries that this node has not received yet.
  if (seq > (room?.position?.seq ?? 0)) await room?.follower.catchUp();
  const head = room?.position?.seq ?? 0;
  if (seq > head) throw new ChatError('invalid_payload', { message: 'seq: is after the newest entry' });
  const { author } = connection.identity;
  const read = await advanceReadMark(store, request, author);
  if (read === null) throw new ChatError('not_a_member');
  if (read === seq) await room?.ephemeralEvents.publish({ event: 'mark:read', signal: { roomId, username, read } });
  const counts = await queryScheduler.run(() => countUnread(store, roomId, { author, username, read, head }));
  return { roomId, read, ...counts, asOf: head };
}

/** The store only knows which members are connected. Ephemeral events tell which of them are away. */
function withPresence(list: Handler<'list:members'>): Handler<'list:members'> {
  return async (context, connection, request) => {
    const response = await list(context, connection, request);
    const ephemeralEvents = (await context.roomRegistry.get(request.roomId))?.ephemeralEvents;
    const members = response.members.map((member) =>
      member.presence === 'online' && ephemeralEvents ? { ...member, presence: ephemeralEvents.presenceOf(member.username) } : member,
    );
    return { ...response, members };
  };
}

function listRoomsHandler(
  { store, queryScheduler }: AppContext,
  connection: Connection,
  request: RequestPayload<'list:rooms'>,
): Promise<ResponsePayload<'list:rooms'>> {
  const { author } = connection.identity;
  return listRooms(store, request, {
    author,
    enqueue: (read) => queryScheduler.run(read),
    tryTakeCountToken: () => connection.tryTakeCountToken(),
  });
}

function queryHandler<E extends QueryName>(
  event: E,
  query: (store: Store, request: RequestPayload<E>, caller: Caller) => Promise<ResponsePayload<E>>,
): Handler<E> {
  return (context, connection, request) => {
    const { store, queryScheduler } = context;
    const { roomId } = request as { roomId: string };
    const caller = callerOf(context, connection, roomId);
    return queryScheduler.run(async () => {
      const response = await query(store, request, caller);
      // Checked after the query, whose data may be newer than a removal of the caller.
      if (definitionOf(event).permission === 'reader') await requireReadAccess(store, roomId, caller);
      return response;
    });
  };
}

function callerOf(context: AppContext, connection: Connection, roomId: string | undefined): Caller {
  return createCaller(context, connection, roomId === undefined ? undefined : connection.usernameIn(roomId));
}

const isSamePosition = (livePosition: Position | null, { epoch, seq }: CommandResult): livePosition is Position =>
  livePosition?.epoch === epoch && livePosition.seq === seq;

function positionFields(roomId: string, { epoch, seq, id, at }: CommandResult) {
  return id === undefined ? { roomId, epoch, seq } : { roomId, epoch, seq, id, at };
}

/** The caller appended to a room that this connection is not attached to. It receives the new entries once, as broadcasts. */
async function emitToCaller(
  store: Store,
  connection: Connection,
  { roomId, epoch, entries }: CommandResult & { roomId: string },
): Promise<void> {
  const facts = await store.read(roomId, { seqs: entries.map(({ seq }) => seq) });
  if (facts.epoch !== epoch) return;
  for (const { seq, id } of entries) {
    const entry = facts.entries.get(seq);
    if (entry?.id === id) connection.peer.emit(`${entry.kind}:success`, toBroadcast({ roomId, epoch }, entry));
  }
}
