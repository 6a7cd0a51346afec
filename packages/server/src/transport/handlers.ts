import {
  ChatError,
  type CommandName,
  type EventName,
  type Payload,
  type Position,
  type QuestionName,
  type Reply,
  type SignalName,
} from '@engawa/protocol';
import { listChats } from '../chat/chat-pages.ts';
import { createChat, createChats, deleteChat, updateChat } from '../chat/chats.ts';
import { commit, type Outcome, type SharedReads } from '../chat/commit.ts';
import { listEntries } from '../chat/entries.ts';
import { memberKey } from '../chat/keys.ts';
import { addMember, describeMembership, listMembers, removeMember, tailAt } from '../chat/members.ts';
import { addReaction, removeReaction } from '../chat/reactions.ts';
import { markRead as moveMark } from '../chat/readers.ts';
import { createRoom, deleteRoom, listRooms, updateRoom } from '../chat/rooms.ts';
import type { Caller, Rule } from '../chat/rule.ts';
import { heard } from '../chat/telling.ts';
import { countUnread } from '../chat/unread.ts';
import type { Store } from '../store/store.ts';
import type { Connection } from './connection.ts';
import { connectionOf } from './local-room.ts';
import { tellPosition } from './position-notice.ts';
import { resumeRooms } from './resume.ts';
import { callerFor, type Services } from './services.ts';
import type { Signal } from './signals.ts';
import type { Peer } from './wire.ts';

const NOT_TOLD = 'an entry could not be told to who added it';

type Ask = { roomId: string; username: string };
type Handler<E extends EventName> = (services: Services, peer: Peer, ask: Payload<E>, shared?: SharedReads) => Promise<Reply<E>>;

const placeOf = ({ seq, id, at }: Outcome['entries'][number]) => ({ seq, id, at });

/** Every event and what does it. */
export const handlers: { [E in EventName]: Handler<E> } = {
  'create:room': joining('create:room', createRoom),
  'add:member': joining('add:member', addMember),
  'remove:member': command('remove:member', removeMember),
  // One that was kept in a packet of this name was its first.
  'create:chat': chatting(command('create:chat', createChat, ({ entries: [first] }) => (first ? placeOf(first) : {}))),
  'create:chats': chatting(command('create:chats', createChats, ({ entries }) => ({ chats: entries.map(placeOf) }))),
  'update:chat': chatting(command('update:chat', updateChat)),
  'delete:chat': command('delete:chat', deleteChat),
  'add:reaction': command('add:reaction', addReaction),
  'remove:reaction': command('remove:reaction', removeReaction),
  'update:room': command('update:room', updateRoom),
  'delete:room': command('delete:room', deleteRoom),
  'list:rooms': roomList,
  'list:members': withPresence(question(listMembers)),
  'list:chats': question(listChats),
  'list:entries': question(listEntries),
  'resume:rooms': resumeRooms,
  'start:typing': signal('start:typing'),
  'stop:typing': signal('stop:typing'),
  'update:presence': present,
  'mark:read': markRead,
};

/** A command that adds to the log of a room that the caller is in; `more` is what its answer says beside where that is. */
function command<E extends CommandName>(event: E, rule: Rule<E>, more: (outcome: Outcome) => object = () => ({})): Handler<E> {
  return async (services, peer, ask, shared) => {
    const { store } = services;
    const { roomId } = ask as Ask;
    const connection = connectionOf(peer);
    const wasThere = connection.seats.has(roomId);
    const outcome = await commit({ store, rule, command: ask, caller: callerOf(services, peer, roomId), shared });
    if (outcome.outcome === 'appended') {
      countKept(services, connection, { event, ask });
      // What was kept is acknowledged, whether this can be read now or not.
      if (!wasThere)
        await tellAbsent(store, peer, { roomId, ...outcome }).catch((error: unknown) => services.log.error({ err: error }, NOT_TOLD));
    }
    return { ...placed(roomId, outcome), durability: store.durability, ...more(outcome) } as Reply<E>;
  };
}

function countKept({ quotas }: Services, connection: Connection, { event, ask }: { event: CommandName; ask: object }): void {
  connection.kept(ask);
  if (event !== 'create:room') return;
  connection.roomOpened();
  quotas.roomOpened();
}

/** Chats that may be under way together: of one member, for they rest on that he is one, and on nothing else but what they answer. */
export const runOf = <E extends EventName>(event: E, ask: Payload<E>): string | undefined => {
  if (event !== 'create:chat' && event !== 'create:chats') return undefined;
  const { roomId, username } = ask as Ask;
  const answered = chatsIn(ask).flatMap(({ replyTo }) => replyTo ?? []);
  // No id has a line break.
  return `${roomId}\n${username}\n${answered.join()}`;
};

type Chatting = 'create:chat' | 'create:chats' | 'update:chat';
const chatsIn = (ask: object): { replyTo?: number }[] => (ask as Partial<Payload<'create:chats'>>).chats ?? [ask];

/** Texts have a rate of their own, of their author in the room: over however many connections, and whether these joined or not. */
function chatting<E extends Chatting>(say: Handler<E>): Handler<E> {
  return (services, peer, ask, shared) => {
    const { author } = connectionOf(peer).identity;
    const { length } = chatsIn(ask);
    const most = Math.floor(services.limits.rates?.chats?.burst ?? Infinity);
    // To wait would be in vain.
    if (length > most) throw new ChatError('invalid_payload', { message: `chats: must have at most ${most} items` });
    const refusal = services.chats?.refusal(`${author}\n${(ask as Ask).roomId}`, length);
    if (refusal) throw refusal;
    return say(services, peer, ask, shared);
  };
}

/** A command that makes the caller a member; answered with what he needs to know of the room. */
function joining<E extends 'create:room' | 'add:member'>(event: E, rule: Rule<E>): Handler<E> {
  return async (services, peer, ask) => {
    const { store, fanOut, leases, limits, questions } = services;
    const { roomId, username } = ask as Ask;
    const connection = connectionOf(peer);
    connection.mayJoin({ roomId, username });
    await leases.awake();
    const caller = callerOf(services, peer, roomId);
    const [outcome, follows] = await fanOut.join(peer, ask, () => commit({ store, rule, command: ask, caller }));
    if (outcome.outcome === 'appended') countKept(services, connection, { event, ask });
    // Counts what is unread, which reads as much as a page.
    const membership = await questions.run(() => describeMembership(store, roomId, { username, author: caller.author }));
    // Who came back is seated by now: he hears all that is after this seq, which an earlier one would not promise.
    const isBack = outcome.outcome === 'unchanged' && follows !== null;
    const position = isBack ? { ...outcome, epoch: follows.epoch, seq: follows.seq } : outcome;
    if (outcome.outcome !== 'appended') connection.address?.budgets.joinedNothing(roomId);
    if (isBack) await tellPosition(services, peer, roomId);
    const { session } = connection.identity;
    const online = (await fanOut.find(roomId))?.signals.online ?? 0;
    const tail = isSamePlace(follows, position) ? follows.id : await tailAt(store, roomId, position);
    const { durability } = store;
    return { ...placed(roomId, position), durability, tail, ...membership, online, session, limits } as Reply<E>;
  };
}

/** Tells the room what is not kept; only who is seated there under that name may. */
function signal<E extends SignalName>(event: E): Handler<E> {
  return async ({ fanOut }, peer, ask) => {
    const { roomId } = ask;
    mustBeSeated(peer, ask);
    await (await fanOut.find(roomId))?.signals.announce({ event, signal: ask } as Signal);
    return { roomId } as Reply<E>;
  };
}

async function present({ fanOut }: Services, peer: Peer, ask: Payload<'update:presence'>): Promise<Reply<'update:presence'>> {
  mustBeSeated(peer, ask);
  await (await fanOut.find(ask.roomId))?.present(peer, ask);
  return { roomId: ask.roomId };
}

async function markRead({ store, fanOut, questions }: Services, peer: Peer, ask: Payload<'mark:read'>): Promise<Reply<'mark:read'>> {
  const { roomId, username, seq } = ask;
  mustBeSeated(peer, ask);
  const room = await fanOut.find(roomId);
  // A page may have shown what this node was not told yet.
  if (seq > (room?.position?.seq ?? 0)) await room?.follower.catchUp();
  const head = room?.position?.seq ?? 0;
  if (seq > head) throw new ChatError('invalid_payload', { message: 'seq: is after the newest entry' });
  const { author } = connectionOf(peer).identity;
  const read = await moveMark(store, ask, author);
  if (read === null) throw new ChatError('not_a_member');
  if (read === seq) await room?.signals.announce({ event: 'mark:read', signal: { roomId, username, read } });
  const counted = await questions.run(() => countUnread(store, roomId, { author, username, read, head }));
  return { roomId, read, ...counted, asOf: head };
}

function mustBeSeated(peer: Peer, { roomId, username }: Ask): void {
  if (!connectionOf(peer).seats.get(roomId)?.usernames.has(memberKey(username))) throw new ChatError('not_a_member');
}

/** The store knows who is connected; who of them looks is only known to those who heard it. */
function withPresence(list: Handler<'list:members'>): Handler<'list:members'> {
  return async (services, peer, ask) => {
    const reply = await list(services, peer, ask);
    const signals = (await services.fanOut.find(ask.roomId))?.signals;
    const members = reply.members.map((member) =>
      member.presence === 'online' && signals ? { ...member, presence: signals.presenceOf(member.username) } : member,
    );
    return { ...reply, members };
  };
}

function roomList({ store, questions }: Services, peer: Peer, asked: Payload<'list:rooms'>): Promise<Reply<'list:rooms'>> {
  const connection = connectionOf(peer);
  const { author } = connection.identity;
  return listRooms(store, asked, { author, inTurn: (read) => questions.run(read), mayCount: () => connection.mayCount() });
}

function question<E extends QuestionName>(ask: (store: Store, asked: Payload<E>, caller: Caller) => Promise<Reply<E>>): Handler<E> {
  return (services, peer, asked) => {
    const caller = callerOf(services, peer, (asked as Partial<Ask>).roomId);
    return services.questions.run(() => ask(services.store, asked, caller));
  };
}

function callerOf(services: Services, peer: Peer, roomId: string | undefined): Caller {
  const connection = connectionOf(peer);
  return callerFor(services, connection, roomId === undefined ? undefined : connection.usernameIn(roomId));
}

const isSamePlace = (follows: Position | null, { epoch, seq }: Outcome): follows is Position =>
  follows?.epoch === epoch && follows.seq === seq;

function placed(roomId: string, { epoch, seq, id, at }: Outcome) {
  return id === undefined ? { roomId, epoch, seq } : { roomId, epoch, seq, id, at };
}

/** The caller added to a room that this connection does not hear: it is told that as the room is, but for what ended it. */
async function tellAbsent(store: Store, peer: Peer, { roomId, epoch, entries }: Outcome & { roomId: string }): Promise<void> {
  const facts = await store.read(roomId, { seqs: entries.map(({ seq }) => seq) });
  if (facts.epoch !== epoch) return;
  for (const { seq, id } of entries) {
    const entry = facts.entries.get(seq);
    if (entry?.id === id) peer.emit(`${entry.kind}:success`, heard({ roomId, epoch }, entry));
  }
}
