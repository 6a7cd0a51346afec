import { z } from 'zod';
import type { ErrorCode, ErrorPayload } from './errors.ts';
import { LIMITS } from './limits.ts';
import * as model from './schemas.ts';

/** One wire event: what a client asks, what it is answered, what the room hears of it. */
interface EventDefinition {
  summary: string;
  payload: z.ZodObject;
  /** The acknowledgement, beside `ok: true`. */
  response: z.ZodObject;
  /** A command: what `<event>:success` carries to the room beside the fields of every entry. */
  broadcast?: z.ZodObject;
  /** A command whose entries are told as those of this other one. */
  broadcastAs?: string;
  /** A signal: all that `<event>:success` carries to the room. It is no entry: not kept, and only the latest counts. */
  ephemeral?: z.ZodObject;
  /** The refusals of this event, beside those that any event may meet. */
  errors: readonly ErrorCode[];
  /** The text when the server itself fails, where the tutorial's clients know one. */
  failureMessage?: string;
}

const { roomId, username, clientId, message, topic, retention, reaction, seq, epoch, at, entryId, tail, presence, durability, replyTo } =
  model;

/** Where a command's entry stands. An answer without `id` says: nothing had to change, the room is at this position. */
const positionResponse = z.object({ roomId, epoch, seq, id: entryId.optional(), at: at.optional(), durability });

/** What a member needs to know of a room beside its chats. */
const membershipFields = {
  username,
  role: model.member.shape.role,
  topic,
  retention,
  members: model.room.shape.members,
  asOf: z.int().describe('Topics, joins and leaves up to this entry are in what is said here; later ones are not.'),
  online: z.int().describe('How many members are connected, as far as this server knows.'),
  read: model.member.shape.read,
  unread: model.unread,
  mentions: model.mentions,
};

const joinResponse = positionResponse.extend({
  tail,
  ...membershipFields,
  session: z.string().describe('Secret of this client: who shows it in `auth.session` at a later connect takes his own names back.'),
  limits: model.limits,
});

const sampleNames = z.array(username);
const chatSeq = seq.describe('The seq of the chat.');
const edited = seq.describe('Only when told to somebody who was away: the text is already that of this later entry.');
const deleted = z.literal(true).describe('Only when told to somebody who was away: a later entry deleted the chat.');
const limit = z.int().min(1).max(LIMITS.pageMax).default(LIMITS.pageDefault).describe('How many at most.');
const bytes = z
  .int()
  .min(1)
  .optional()
  .describe(
    'So many bytes of JSON at most, as for a slow line: fewer items, and `more`. One item comes in any case, and a megabyte at most.',
  );
const more = z.boolean().describe('Whether there is more in the direction of the question.');

/** An entry as a room heard it, told to somebody who was away. */
const missedEntry = model.entry
  .extend({
    kind: z.string().describe('The event: `create:chat` was heard as `create:chat:success`.'),
    erased: z.literal(true).optional().describe('An edit whose text a later entry replaced: it says no more.'),
  })
  .loose();

/** The position that an asker has. */
const positionFields = {
  epoch: z.string().max(LIMITS.idBytes),
  seq: z.int().min(0).describe('The newest entry that the asker has; 0 for none.'),
  id: z
    .string()
    .max(LIMITS.idBytes)
    .nullish()
    .describe('The `id` of the newest entry that they were told: with it a log that was forked is found out.'),
};
const heldPosition = z.object({ roomId, username, ...positionFields });

const hasDistinctRooms = (rooms: { roomId: string }[]): boolean => new Set(rooms.map((room) => room.roomId)).size === rooms.length;

/** A position to go on from. */
const resumePosition = { roomId, epoch, seq: seq.min(0), id: tail };
const page = model.chatPage.describe('The newest chats, as they stand.');
/** How many there are, when some of what was missed were joins and leaves that a large room is not told one by one. */
const memberCounts = z
  .object({ asOf: membershipFields.asOf, members: membershipFields.members, online: membershipFields.online })
  .optional()
  .describe('When joins and leaves of a large room were left out: how many there are.');
const MISSED_ENTRIES_DESCRIPTION =
  'What was missed, in order: each as it was heard, with the fields of its event, and with its `kind`. Joins and leaves that a large room is not told one by one are left out.';
const resumeResult = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('caught_up'),
    ...resumePosition,
    entries: z.array(missedEntry).describe(MISSED_ENTRIES_DESCRIPTION),
    counted: memberCounts,
  }),
  z.object({
    outcome: z.literal('more'),
    ...resumePosition,
    entries: z.array(missedEntry).describe(MISSED_ENTRIES_DESCRIPTION),
    counted: memberCounts,
    head: seq.optional().describe('The newest entry of the room: how far there is to go. Missing where there was no place left.'),
  }),
  z.object({
    outcome: z.literal('too_old'),
    ...resumePosition,
    ...membershipFields,
    oldest: seq.describe('The oldest entry that the log still has.'),
    page,
  }),
  z.object({ outcome: z.literal('reset'), ...resumePosition, ...membershipFields, page }),
  z.object({ outcome: z.literal('refused'), roomId, error: z.custom<ErrorPayload>().describe('As that of a refused event.') }),
]);

const joinErrors = ['too_many_rooms', 'too_many_names', 'quota_exceeded'] as const satisfies ErrorCode[];
const memberErrors = ['room_not_found', 'not_a_member'] as const satisfies ErrorCode[];
const readerErrors = ['room_not_found', 'removed'] as const satisfies ErrorCode[];

/** Every event once. Types, checks, handlers and docs/protocol.md come from this table. */
export const events = {
  'create:room': {
    summary:
      'Opens a room. The caller becomes its owner and its first member; the room hears `create:room:success`, then `add:member:success`.',
    payload: z.object({
      roomId: model.newRoomId,
      username: model.newUsername,
      topic: topic.optional(),
      clientId: clientId.optional(),
    }),
    response: joinResponse,
    broadcast: z.object({ topic: topic.optional() }),
    errors: ['room_exists', 'room_confusable', ...joinErrors],
    failureMessage: 'Room creation failed.',
  },
  'add:member': {
    summary:
      'Joins a room under a name that nobody there has, that looks like no name there, and that is not the name of its owner. Asking again for the own name succeeds and changes nothing.',
    payload: z.object({
      roomId,
      username,
      clientId: clientId.optional(),
      epoch: epoch
        .max(LIMITS.idBytes)
        .optional()
        .describe('Only the room whose log this is, or was: another one that has its id now is refused as `room_not_found`.'),
    }),
    response: joinResponse,
    broadcast: z.object({}),
    errors: ['room_not_found', 'name_taken', 'name_confusable', ...joinErrors],
    failureMessage: 'User creation failed.',
  },
  'remove:member': {
    summary: 'Leaves a room, or, for its owner, removes somebody. Removing who is not there succeeds and changes nothing.',
    payload: z.object({ roomId, username: username.describe('Who leaves.'), clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({
      username: username.describe('Who leaves.'),
      reason: z
        .enum(['left', 'removed', 'gone'])
        .describe(
          '`left` by their own will, `removed` by the owner, or `gone`: away, and somebody else has joined under the name, or one like it, or for too long.',
        ),
    }),
    errors: [...memberErrors, 'not_allowed'],
  },
  'create:chat': {
    summary: 'Says something. Acknowledged means kept.',
    payload: z.object({ roomId, username, message, clientId: clientId.optional(), replyTo: replyTo.optional() }),
    response: positionResponse,
    broadcast: z.object({
      message: message.describe('The text; data, never markup. Empty when the chat was deleted before it was told.'),
      clientId: clientId.optional(),
      replyTo: replyTo.optional(),
      edited: edited.optional(),
      deleted: deleted.optional(),
    }),
    errors: [...memberErrors, 'chat_not_found', 'quota_exceeded'],
  },
  'create:chats': {
    summary:
      'Says several things at once: all of them are kept, next to each other and in this order, or none. Each is an entry of its own, told as `create:chat`.',
    payload: z.object({
      roomId,
      username,
      chats: z
        .array(z.object({ message, clientId: clientId.optional().describe('Names this chat to its author.'), replyTo: replyTo.optional() }))
        .min(1)
        .max(LIMITS.chatsPerPacket),
      clientId: clientId.optional().describe(`${clientId.description} It names all of them together.`),
    }),
    response: positionResponse.extend({
      chats: z
        .array(z.object({ seq, id: entryId, at }))
        .describe('Where each of them is. What the answer says beside that is of the last.'),
    }),
    broadcastAs: 'create:chat',
    errors: [...memberErrors, 'chat_not_found', 'quota_exceeded'],
  },
  'update:chat': {
    summary: 'Replaces the text of an own chat; the owner of the room may replace any. The former text is erased from the log.',
    payload: z.object({ roomId, username, chatSeq, message, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq, message }),
    errors: [...memberErrors, 'not_allowed', 'chat_not_found', 'quota_exceeded'],
  },
  'delete:chat': {
    summary: 'Deletes an own chat; the owner of the room may delete any. The text is erased from the log, its place stays.',
    payload: z.object({ roomId, username, chatSeq, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq }),
    errors: [...memberErrors, 'not_allowed', 'chat_not_found'],
  },
  'add:reaction': {
    summary: 'Reacts to a chat. Giving the same reaction again succeeds and changes nothing.',
    payload: z.object({ roomId, username, chatSeq, reaction, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq, reaction }),
    errors: [...memberErrors, 'chat_not_found', 'too_many_reactions', 'quota_exceeded'],
  },
  'remove:reaction': {
    summary: 'Takes an own reaction back. Taking back what is not there succeeds and changes nothing.',
    payload: z.object({ roomId, username, chatSeq, reaction, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq, reaction }),
    errors: [...memberErrors, 'chat_not_found'],
  },
  'update:room': {
    summary:
      "Sets the room's topic, or what is kept of its log, or both; for its owner. What is not said stays as it was; a retention is replaced as a whole, and `{}` lifts it.",
    payload: z
      .object({ roomId, username, topic: topic.optional(), retention: retention.optional(), clientId: clientId.optional() })
      .refine((ask) => ask.topic !== undefined || ask.retention !== undefined, 'takes a topic, a retention, or both'),
    response: positionResponse,
    broadcast: z.object({ topic: topic.optional(), retention: retention.optional() }),
    errors: [...memberErrors, 'not_allowed', 'quota_exceeded'],
  },
  'delete:room': {
    summary: 'Deletes the room with all that was said in it; for its owner. The id is free again, for a room with a new epoch.',
    payload: z.object({ roomId, username, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({}),
    errors: [...memberErrors, 'not_allowed'],
  },
  'list:rooms': {
    summary:
      'The rooms of this server, in the order of their ids. Of rooms that the asker was in, with the session that is shown, it says how far they have read and what is unread.',
    payload: z.object({ after: roomId.optional().describe('Continue after this room.'), limit }),
    response: z.object({ rooms: z.array(model.room), more }),
    errors: [],
  },
  'list:members': {
    summary: 'The members of a room, in the order of their names. One need not be one of them to ask.',
    payload: z.object({ roomId, after: username.optional().describe('Continue after this member.'), limit }),
    response: z.object({ roomId, epoch, seq, members: z.array(model.member), count: z.int().describe('How many there are in all.'), more }),
    errors: readerErrors,
  },
  'list:chats': {
    summary:
      'A page of chats as they stand now, oldest first; the newest when no seq is named. One need not be a member of the room to ask.',
    payload: z
      .object({
        roomId,
        before: seq.optional().describe('Chats before this seq, the nearest.'),
        after: z.int().min(0).optional().describe('Chats after this seq, the nearest; 0 for the oldest that there are.'),
        around: seq.optional().describe('Chats on both sides of this seq, itself included.'),
        limit,
        bytes,
      })
      .refine(
        (ask) => [ask.before, ask.after, ask.around].filter((each) => each !== undefined).length <= 1,
        'takes one of before, after and around',
      ),
    response: z.object({
      roomId,
      epoch,
      seq: seq.describe('The newest entry of the room when the page was read.'),
      tail,
      ...model.chatPage.shape,
    }),
    errors: readerErrors,
  },
  'list:entries': {
    summary:
      'What a room was told after a position. One need not be a member to ask, and hears nothing for it: who asks again from the position of each answer, once a second or more seldom, follows the room without joining it. Counted with what is resumed (`limits.rates.resumes`).',
    payload: z.object({ roomId, ...positionFields, limit: limit.default(LIMITS.pageMax) }),
    response: z.object({
      outcome: z
        .enum(['caught_up', 'more', 'too_old', 'reset'])
        .describe('As of `resume:rooms`. After `too_old` and `reset` there are no entries, and the position is that of the newest.'),
      ...resumePosition,
      entries: z.array(missedEntry).describe(MISSED_ENTRIES_DESCRIPTION),
    }),
    errors: readerErrors,
  },
  'resume:rooms': {
    summary:
      'Comes back to rooms that were joined before, with the same session, each at the position that the asker has: he is told everything that he missed, and hears the room from then on. A name that lapsed meanwhile is taken again. It is not counted with what else he asks, but each of the rooms is, each time (`limits.rates.resumes`); those that are put off are not. A refusal concerns one room.',
    payload: z.object({
      rooms: z
        .array(heldPosition)
        .min(1)
        .max(LIMITS.roomsPerResume)
        .refine(hasDistinctRooms, 'each room is named once')
        .describe('The rooms, each once, and what the asker has of it.'),
      limit: limit.default(LIMITS.pageMax).describe('How many entries of each room at most.'),
      bytes: bytes.describe(
        'So many bytes of JSON at most, as for a slow line, beside the position of each room: then `more`. The first room has one entry in any case.',
      ),
    }),
    response: z.object({ rooms: z.array(resumeResult).describe('What became of each room, in the order of the asking.') }),
    errors: [...memberErrors, 'name_taken', 'name_confusable', 'removed', ...joinErrors],
  },
  'start:typing': {
    summary: 'Says that somebody is typing: to be said again every few seconds while he does, since it is forgotten after six.',
    payload: z.object({ roomId, username }),
    response: z.object({ roomId }),
    ephemeral: z.object({ roomId, username }),
    errors: ['not_a_member'],
  },
  'stop:typing': {
    summary: 'Says that he types no more. A chat of his says so, too.',
    payload: z.object({ roomId, username }),
    response: z.object({ roomId }),
    ephemeral: z.object({ roomId, username }),
    errors: ['not_a_member'],
  },
  'update:presence': {
    summary:
      'Says whether somebody looks at this connection. A member is `away` when that is so of all their connections, and the room hears when it changes; also when a member joins, when their last connection is gone, and when they are back.',
    payload: z.object({ roomId, username, presence: presence.exclude(['gone']) }),
    response: z.object({ roomId }),
    ephemeral: z.object({ roomId, username, presence, online: joinResponse.shape.online }),
    errors: ['not_a_member'],
  },
  'mark:read': {
    summary:
      'Says how far somebody has read. A mark never goes back, and belongs to the person: it is kept as long as the room is there, whatever becomes of the name.',
    payload: z.object({ roomId, username, seq }),
    response: z.object({
      roomId,
      read: model.member.shape.read,
      unread: model.unread,
      mentions: model.mentions,
      asOf: z.int().describe('Chats up to this entry are counted, and what became of them.'),
    }),
    ephemeral: z.object({ roomId, username, read: model.member.shape.read }),
    errors: ['not_a_member'],
  },
} as const satisfies Record<string, EventDefinition>;

/** What the server says by itself. */
export const notices = {
  'reset:room': {
    summary:
      'The log of a room is another one than before: it was lost, restored or forked. What came after `seq` is to be dropped, the position is as given, and what the reader had sent after `seq` may be sent again under its `clientId`. Without an epoch the room is gone.',
    payload: z.object({
      roomId,
      epoch: epoch.nullable(),
      seq: z.int().min(0).describe('Up to here both logs are the same; 0 when that is not known.'),
    }),
  },
  'update:members': {
    summary:
      'What became of a large room, instead of one event for each who joins, leaves, is gone or is back: at once when it was calm, then once a second at most. A room of any size hears it when another number is online than was told, as after a restart, when nobody is told who is back.',
    payload: z.object({
      roomId,
      epoch,
      asOf: z.int().describe('Joins and leaves up to this entry are in `members`; later ones are not.'),
      members: model.room.shape.members,
      online: joinResponse.shape.online,
      joined: sampleNames.describe('Who joined, the latest, a few at most.'),
      left: sampleNames.describe('Who is a member no more, the latest, a few at most.'),
    }),
  },
  'update:typing': {
    summary:
      'Who types in a large room, instead of `start:typing:success` and `stop:typing:success`: all who do, every three seconds at most while somebody does. It is forgotten after six.',
    payload: z.object({
      roomId,
      usernames: sampleNames.describe('Some of them.'),
      several: z.boolean().describe('Whether there are more than are named.'),
    }),
  },
  'update:position': {
    summary:
      'Where a client of Socket.IO stands after an answer that told it where a room is, and no entry: the offset that comes with it is what the library shows when it comes back. For a client that keeps positions itself it says nothing new.',
    payload: z.object({ roomId, epoch, seq: z.int().min(0) }),
  },
  'close:connection': {
    summary: 'The server is about to stop, and closes the connection: a client comes back by itself, best at the time that it is given.',
    payload: z.object({ returnAfter: z.int().describe('Milliseconds: another one for each client, so that not all come at once.') }),
  },
} as const satisfies Record<string, { summary: string; payload: z.ZodObject }>;

/** What any event may be refused with. */
export const commonErrors = [
  'invalid_payload',
  'unknown_event',
  'rate_limited',
  'too_many_refusals',
  'busy',
  'unsure',
  'storage_full',
  'storage_failed',
  'internal',
] as const satisfies ErrorCode[];

/** What a connection may be refused with, as the `data` of Socket.IO's `connect_error`. */
export const connectErrors = ['too_many_connections', 'rate_limited', 'invalid_session'] as const satisfies ErrorCode[];

type Events = typeof events;
export type EventName = keyof Events;
/** Kinds of entries, each named after the event that adds it. */
export type EntryKind = { [E in EventName]: Events[E] extends { broadcast: z.ZodObject } ? E : never }[EventName];
/** Events that add to a room's log. */
export type CommandName = EntryKind | { [E in EventName]: Events[E] extends { broadcastAs: EntryKind } ? E : never }[EventName];
/** Events that are told and not kept. */
export type EphemeralEventName = { [E in EventName]: Events[E] extends { ephemeral: z.ZodObject } ? E : never }[EventName];
/** Events that only the asker is answered. */
export type QueryName = Exclude<EventName, CommandName | EphemeralEventName>;
export type NoticeName = keyof typeof notices;

/** A payload as a client writes it. */
export type RequestInput<E extends EventName> = z.input<Events[E]['payload']>;
/** A payload once checked: defaults filled in, unknown fields gone. */
export type RequestPayload<E extends EventName> = z.output<Events[E]['payload']>;
export type ResponsePayload<E extends EventName> = z.output<Events[E]['response']>;
export type Ack<E extends EventName> = ({ ok: true } & ResponsePayload<E>) | { ok: false; error: ErrorPayload };
/** What an entry of this kind carries beside the fields of every entry. */
export type BroadcastFields<E extends EntryKind> = z.output<Events[E]['broadcast']>;
/** What the room hears. An entry that says no more than every entry has a type without any field of its own. */
export type RoomBroadcast<E extends EntryKind> = string extends keyof BroadcastFields<E>
  ? model.EntryFields
  : model.EntryFields & BroadcastFields<E>;

/** What the room hears of a signal. */
export type EphemeralPayload<E extends EphemeralEventName> = z.output<Events[E]['ephemeral']>;
export type ServerNotice<E extends NoticeName> = z.output<(typeof notices)[E]['payload']>;
/** An entry as it is told to somebody who was away. One that is `erased` says nothing beside its place. */
export type MissedEntry = { [E in EntryKind]: { kind: E; erased?: true } & RoomBroadcast<E> }[EntryKind];
/** What became of one room of a `resume:rooms`. */
export type ResumeResult = z.output<typeof resumeResult>;

/** For `Server<ClientEvents, ServerEvents>` and its mirror at the client. */
export type ClientEvents = { [E in EventName]: (payload: RequestInput<E>, acknowledge?: (ack: Ack<E>) => void) => void };
export type ServerEvents = { [E in EntryKind as `${E}:success`]: (broadcast: RoomBroadcast<E>) => void } & {
  [E in QueryName as `${E}:success`]: (response: ResponsePayload<E>) => void;
} & { [E in EphemeralEventName as `${E}:success`]: (payload: EphemeralPayload<E>) => void } & {
  [E in NoticeName]: (notice: ServerNotice<E>) => void;
} & { error: (error: ErrorPayload & { event?: string }) => void };

/** Whether it adds to a room's log. */
export const isCommandName = (event: EventName): event is CommandName => 'broadcast' in events[event] || 'broadcastAs' in events[event];

export const isEventName = (name: unknown): name is EventName => typeof name === 'string' && Object.hasOwn(events, name);
