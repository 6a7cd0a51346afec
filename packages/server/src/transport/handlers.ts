import type { CommandName, EventName, Limits, Payload, QuestionName, Reply } from '@engawa/protocol';
import type { Logger } from 'pino';
import type { Socket } from 'socket.io';
import { createChat, deleteChat, listChats, updateChat } from '../chat/chats.ts';
import { commit, type Outcome } from '../chat/commit.ts';
import type { LeaseKeeper } from '../chat/leases.ts';
import { addMember, describeMembership, listMembers, removeMember } from '../chat/members.ts';
import { addReaction, removeReaction } from '../chat/reactions.ts';
import { createRoom, deleteRoom, listRooms, updateRoom } from '../chat/rooms.ts';
import type { Caller, Rule } from '../chat/rule.ts';
import type { Store } from '../store/store.ts';
import { channelOf, connectionOf, type FanOut } from './fan-out.ts';

export interface Services {
  store: Store;
  fanOut: FanOut;
  leases: LeaseKeeper;
  limits: Limits;
  node: string;
  log: Logger;
}

type Ask = { roomId: string; username: string };
type Handler<E extends EventName> = (services: Services, socket: Socket, ask: Payload<E>) => Promise<Reply<E>>;

/** Every event and what does it. */
export const handlers: { [E in EventName]: Handler<E> } = {
  'create:room': joining('create:room', createRoom),
  'add:member': joining('add:member', addMember),
  'remove:member': command('remove:member', removeMember),
  'create:chat': chatting(command('create:chat', createChat)),
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

/** Chats have a rate of their own; it is looked at in turn, when the joins before have been done. */
function chatting(say: Handler<'create:chat'>): Handler<'create:chat'> {
  return async (services, socket, chat) => {
    connectionOf(socket).mayChat(chat.roomId);
    return say(services, socket, chat);
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
