import {
  ChatError,
  type CommandName,
  type ErrorCode,
  type EventName,
  events,
  isEventName,
  type Limits,
  type Payload,
  type QuestionName,
  type Reply,
  type WireError,
} from '@engawa/protocol';
import type { Logger } from 'pino';
import type { Socket } from 'socket.io';
import { createChat, deleteChat, listChats, updateChat } from '../chat/chats.ts';
import { commit, type Outcome } from '../chat/commit.ts';
import type { LeaseKeeper } from '../chat/leases.ts';
import { addMember, describeMembership, listMembers, removeMember } from '../chat/members.ts';
import { addReaction, removeReaction } from '../chat/reactions.ts';
import { createRoom, deleteRoom, listRooms, updateRoom } from '../chat/rooms.ts';
import type { Caller, Rule } from '../chat/rule.ts';
import { type Store, StoreError } from '../store/store.ts';
import { channelOf, connectionOf, type FanOut } from './fan-out.ts';
import { isDeeperThan } from './json-depth.ts';

export interface Services {
  store: Store;
  fanOut: FanOut;
  leases: LeaseKeeper;
  limits: Limits;
  node: string;
  log: Logger;
}

/** What may wait for a client that asks and does not read. */
const UNREAD = { frames: 4_096, bytes: 8 * 1024 * 1024 };
/** Characters of an event's name that a refusal repeats: any name may be asked for. */
const ECHOED = 64;

type Acknowledge = (answer: object) => void;
type Ask = { roomId: string; username: string };
type Handler<E extends EventName> = (services: Services, socket: Socket, ask: Payload<E>) => Promise<Reply<E>>;

/** Every event and what does it. */
const handlers: { [E in EventName]: Handler<E> } = {
  'create:room': joining('create:room', createRoom),
  'add:member': joining('add:member', addMember),
  'remove:member': command('remove:member', removeMember),
  'create:chat': command('create:chat', createChat),
  'update:chat': command('update:chat', updateChat),
  'delete:chat': command('delete:chat', deleteChat),
  'add:reaction': command('add:reaction', addReaction),
  'remove:reaction': command('remove:reaction', removeReaction),
  'update:room': command('update:room', updateRoom),
  'delete:room': command('delete:room', deleteRoom),
  'list:rooms': question(listRooms),
  'list:members': question(listMembers),
  'list:chats': question(listChats),
};

/** From here on, what the socket sends is answered: by its acknowledgement, or by an `error` event. */
export function bindEvents(services: Services, socket: Socket): void {
  socket.onAny((event: unknown, ...args: unknown[]) => receive(services, socket, typeof event === 'string' ? event : '', args));
}

function receive(services: Services, socket: Socket, event: string, args: unknown[]): void {
  const last = args.at(-1);
  const acknowledge = typeof last === 'function' ? (last as Acknowledge) : undefined;
  const refuse = (error: unknown) => answerError({ services, socket, event, acknowledge }, error);
  try {
    const connection = connectionOf(socket);
    connection.mayAsk();
    if (!isEventName(event)) throw new ChatError('unknown_event');
    const ask = parse(event, args[0], services.limits);
    connection.inTurn(() => answer(services, socket, event, ask).then((reply) => answerOk({ socket, event, acknowledge }, reply), refuse));
  } catch (error) {
    refuse(error);
  }
}

function parse<E extends EventName>(event: E, payload: unknown, limits: Limits): Payload<E> {
  if (isDeeperThan(limits.jsonDepth, payload))
    throw new ChatError('invalid_payload', { message: `The payload is deeper than ${limits.jsonDepth} levels.` });
  const parsed = events[event].payload.safeParse(payload);
  if (parsed.success) return parsed.data as Payload<E>;
  const [issue] = parsed.error.issues;
  throw new ChatError('invalid_payload', { message: `${issue?.path.join('.') || 'The payload'}: ${issue?.message ?? 'is not valid'}` });
}

async function answer<E extends EventName>(services: Services, socket: Socket, event: E, ask: Payload<E>): Promise<Reply<E>> {
  if (event === 'create:chat') connectionOf(socket).mayChat((ask as Ask).roomId);
  return handlers[event](services, socket, ask);
}

function answerOk(
  { socket, event, acknowledge }: { socket: Socket; event: EventName; acknowledge: Acknowledge | undefined },
  reply: object,
): void {
  if (acknowledge) acknowledge({ ok: true, ...reply });
  else if (event.startsWith('list:')) socket.emit(`${event}:success`, reply);
  mustRead(socket);
}

interface Asked {
  services: Services;
  socket: Socket;
  event: string;
  acknowledge: Acknowledge | undefined;
}

function answerError({ services, socket, event, acknowledge }: Asked, error: unknown): void {
  const wire = toWireError(error, event, services.log);
  if (acknowledge) acknowledge({ ok: false, error: wire });
  else socket.emit('error', { ...wire, event: event.slice(0, ECHOED) });
  mustRead(socket);
}

/** Who asks on and does not read what he is answered would have us keep it all: his connection ends. */
function mustRead({ conn }: Socket): void {
  const { writeBuffer } = conn as unknown as { writeBuffer: { data?: string | Buffer }[] };
  if (writeBuffer.length > UNREAD.frames || lengthOf(writeBuffer) > UNREAD.bytes) conn.close(true);
}

const lengthOf = (packets: { data?: string | Buffer }[]): number => packets.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);

const codeOfStoreError: Record<StoreError['reason'], ErrorCode> = {
  full: 'storage_full',
  failed: 'storage_failed',
  busy: 'busy',
  closed: 'busy',
};

/** What the client is told. What went wrong inside stays in the log. */
function toWireError(error: unknown, event: string, log: Logger): WireError {
  if (error instanceof ChatError) return error.toWire();
  log.error({ err: error, event }, 'a request failed');
  const code = error instanceof StoreError ? codeOfStoreError[error.reason] : 'internal';
  const definition = isEventName(event) ? (events[event] as { failure?: string }) : {};
  return new ChatError(code, definition.failure === undefined ? {} : { message: definition.failure }).toWire();
}

/** A command that adds to the log of a room that the caller is in. */
function command<E extends CommandName>(event: E, rule: Rule<E>): Handler<E> {
  return async ({ store, node }, socket, ask) => {
    const { roomId } = ask as Ask;
    const wasThere = socket.rooms.has(channelOf(roomId));
    const outcome = await commit({ store, rule, command: ask, caller: callerOf(socket, node, roomId) });
    if (!wasThere || outcome.outcome !== 'appended') tellCaller(socket, event, ask, outcome);
    return placed(roomId, outcome) as Reply<E>;
  };
}

/** A command that makes the caller a member; answered with what he needs to know of the room. */
function joining<E extends 'create:room' | 'add:member'>(event: E, rule: Rule<E>): Handler<E> {
  return async ({ store, fanOut, leases, limits, node }, socket, ask) => {
    const { roomId, username } = ask as Ask;
    connectionOf(socket).mayJoin(roomId);
    await leases.awake();
    const caller = callerOf(socket, node, roomId);
    const outcome = await fanOut.join(socket, roomId, username, () => commit({ store, rule, command: ask, caller }));
    const { seq, ...membership } = await describeMembership(store, roomId, username);
    // Who came back is seated by now: he hears all that is after this seq, which an earlier one would not promise.
    const position = outcome.outcome === 'unchanged' ? { ...outcome, seq } : outcome;
    if (outcome.outcome !== 'appended') tellCaller(socket, event, ask, position);
    const { session } = connectionOf(socket).identity;
    return { ...placed(roomId, position), ...membership, session, limits } as Reply<E>;
  };
}

function question<E extends QuestionName>(ask: (store: Store, asked: Payload<E>, caller: Caller) => Promise<Reply<E>>): Handler<E> {
  return ({ store, node }, socket, asked) => ask(store, asked, callerOf(socket, node, (asked as Partial<Ask>).roomId));
}

function callerOf(socket: Socket, node: string, roomId: string | undefined): Caller {
  const connection = connectionOf(socket);
  return { author: connection.identity.author, node, username: roomId === undefined ? undefined : connection.usernameIn(roomId) };
}

function placed(roomId: string, { epoch, seq, id, at }: Outcome) {
  return { roomId, epoch, seq, ...(id !== undefined && { id }), ...(at !== undefined && { at }) };
}

/** Whoever asked sees that it succeeded, also when the room heard nothing now, or he is not there to hear it. */
function tellCaller(socket: Socket, event: CommandName, ask: object, outcome: Outcome): void {
  const { roomId } = ask as Ask;
  socket.emit(`${event}:success`, { ...ask, ...placed(roomId, outcome) });
}
