/** The table of all wire events; types, validation, handlers and docs/protocol.md derive from it. */
import { z } from 'zod';
import type { ErrorCode, ErrorPayload } from './errors.ts';
import { LIMITS } from './limits.ts';
import * as model from './schemas.ts';

/** Token buckets of one connection, named as in `Limits.rates`: every request takes a token of one of them when it arrives. */
type RequestRate = 'packets' | 'signals' | 'resumes';
/** Token buckets of which a request takes more tokens when it is executed. `chats` belongs to the author in the room. */
export type ExtraRate = 'chats' | 'joins';

/**
 * Who may send the event. `reader`: anyone except members whom the owner removed. `member`: a member of the room, under the name in
 * the payload. `author`: the member who wrote the chat, or the owner. `self`: the member themselves, or the owner.
 */
type Permission = 'anyone' | 'reader' | 'member' | 'author' | 'self' | 'owner';

/** One wire event: its request, its response, its broadcast, and what is true of it. */
interface EventFields {
  summary: string;
  permission: Permission;
  rate: RequestRate;
  extraRate?: ExtraRate;
  payload: z.ZodObject;
  /** The acknowledgement, beside `ok: true`. */
  response: z.ZodObject;
  /** The errors of this event, in addition to `commonErrors`. */
  errors: readonly ErrorCode[];
  /** The text of an internal error, if clients of the tutorial know one. */
  failureMessage?: string;
}

/** An event that appends to the log of a room. */
type CommandDefinition = EventFields & {
  kind: 'command';
  /** Consecutive requests of one connection may be executed together, if they depend on the same facts. */
  batch?: true;
} & (
    | {
        /** The fields that `<event>:success` broadcasts to the room, in addition to those of every entry. */
        broadcast: z.ZodObject;
      }
    | {
        /** The command as whose entries those of this one are broadcast. */
        broadcastAs: string;
      }
  );

/** An event that only reads. */
interface QueryDefinition extends EventFields {
  kind: 'query';
}

/** An event that is broadcast and not stored. Only the latest counts. */
interface EphemeralDefinition extends EventFields {
  kind: 'ephemeral';
  /** All fields that `<event>:success` broadcasts to the room. */
  ephemeral: z.ZodObject;
}

type EventDefinition = CommandDefinition | QueryDefinition | EphemeralDefinition;

const { roomId, username, clientId, message, topic, retention, reaction, seq, epoch, at, entryId, lastId, presence, durability, replyTo } =
  model;

/** The position of a command's entry. A response without `id` means: nothing had to change, the room is at this position. */
const positionResponse = z.object({ roomId, epoch, seq, id: entryId.optional(), at: at.optional(), durability });

/** What a member needs to know about a room, except its chats. */
const membershipFields = {
  username,
  role: model.member.shape.role,
  topic,
  retention,
  members: model.room.shape.members,
  asOf: z.int().describe('Topics, joins and leaves up to this entry are included here; later ones are not.'),
  online: z.int().describe('How many members are connected, as far as this server knows.'),
  read: model.member.shape.read,
  unread: model.unread,
  mentions: model.mentions,
};

const joinResponse = positionResponse.extend({
  lastId,
  ...membershipFields,
  session: z
    .string()
    .describe('The secret of this client. A client that sends it in `auth.session` when it connects again can use its names again.'),
  limits: model.limits,
});

const sampleNames = z.array(username);
const chatSeq = seq.describe('The seq of the chat.');
const edited = seq.describe('Only for missed entries: the text is already that of this later entry.');
const deleted = z.literal(true).describe('Only for missed entries: a later entry deleted the chat.');
const limit = z.int().min(1).max(LIMITS.pageMax).default(LIMITS.pageDefault).describe('Largest number of items.');
const bytes = z
  .int()
  .min(1)
  .optional()
  .describe(
    'Largest size of the response in bytes of JSON, for example for a slow connection: then there are fewer items, and `hasMore` says so. There is always at least one item, and at most a megabyte.',
  );
const hasMore = z.boolean().describe('Whether there is more in the direction of the request.');

/** An entry that a client missed, as it was broadcast. */
const missedEntry = model.entry
  .extend({
    kind: z.string().describe('The event: `create:chat` was broadcast as `create:chat:success`.'),
    erased: z.literal(true).optional().describe('An edit whose text a later entry replaced: it has no other fields.'),
  })
  .loose();

/** The position of the client. */
const positionFields = {
  epoch: z.string().max(LIMITS.idBytes),
  seq: z.int().min(0).describe('The newest entry that the client has; 0 for none.'),
  id: z
    .string()
    .max(LIMITS.idBytes)
    .nullish()
    .describe('The `id` of the newest entry that the client received: it detects a log that was forked.'),
};
const heldPosition = z.object({ roomId, username, ...positionFields });

const hasDistinctRooms = (rooms: { roomId: string }[]): boolean => new Set(rooms.map((room) => room.roomId)).size === rooms.length;

/** The position from which to continue. */
const resumePosition = { roomId, epoch, seq: seq.min(0), id: lastId };
const page = model.chatPage.describe('The newest chats in their current state.');
/** Counts, if the missed entries include joins and leaves that a large room does not broadcast. */
const memberCounts = z
  .object({ asOf: membershipFields.asOf, members: membershipFields.members, online: membershipFields.online })
  .optional()
  .describe('If joins and leaves of a large room were left out: the present counts.');
const MISSED_ENTRIES_DESCRIPTION =
  'The missed entries in order: each as it was broadcast, with the fields of its event, and with its `kind`. Joins and leaves that a large room does not broadcast are left out.';
const resumeResult = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('caught_up'),
    ...resumePosition,
    entries: z.array(missedEntry).describe(MISSED_ENTRIES_DESCRIPTION),
    counts: memberCounts,
  }),
  z.object({
    outcome: z.literal('more'),
    ...resumePosition,
    entries: z.array(missedEntry).describe(MISSED_ENTRIES_DESCRIPTION),
    counts: memberCounts,
    head: seq.optional().describe('The newest entry of the room. Missing if there was no space for entries of this room.'),
  }),
  z.object({
    outcome: z.literal('too_old'),
    ...resumePosition,
    ...membershipFields,
    oldest: seq.describe('The oldest entry that the log still has.'),
    page,
  }),
  z.object({ outcome: z.literal('reset'), ...resumePosition, ...membershipFields, page }),
  z.object({ outcome: z.literal('refused'), roomId, error: z.custom<ErrorPayload>().describe('Like the error of a refused event.') }),
]);

const joinErrors = ['too_many_rooms', 'too_many_names', 'quota_exceeded'] as const satisfies ErrorCode[];
const memberErrors = ['room_not_found', 'not_a_member'] as const satisfies ErrorCode[];
const readerErrors = ['room_not_found', 'removed'] as const satisfies ErrorCode[];

/** The table of all events. Types, validation, handlers and docs/protocol.md derive from it. */
export const events = {
  'create:room': {
    summary:
      'Creates a room. The caller becomes its owner and its first member; the room receives `create:room:success`, then `add:member:success`.',
    kind: 'command',
    permission: 'anyone',
    rate: 'packets',
    extraRate: 'joins',
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
      'Joins a room under a name that no member has, that is not confusable with the name of a member, and that is not the name of the owner. Joining again under the own name succeeds and changes nothing.',
    kind: 'command',
    permission: 'anyone',
    rate: 'packets',
    extraRate: 'joins',
    payload: z.object({
      roomId,
      username,
      clientId: clientId.optional(),
      epoch: epoch
        .max(LIMITS.idBytes)
        .optional()
        .describe('Join only the room with this log or a fork of it: another room with the same id is refused as `room_not_found`.'),
    }),
    response: joinResponse,
    broadcast: z.object({}),
    errors: ['room_not_found', 'name_taken', 'name_confusable', ...joinErrors],
    failureMessage: 'User creation failed.',
  },
  'remove:member': {
    summary:
      'Leaves a room; or removes a member, if the caller is the owner. Removing a name that is not a member succeeds and changes nothing.',
    kind: 'command',
    permission: 'self',
    rate: 'packets',
    payload: z.object({ roomId, username: username.describe('The member who leaves.'), clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({
      username: username.describe('The member who leaves.'),
      reason: z
        .enum(['left', 'removed', 'timed_out'])
        .describe(
          '`left`: on their own request; `removed`: by the owner; `timed_out`: offline for too long, or while another client joined under the name or a confusable one.',
        ),
    }),
    errors: [...memberErrors, 'not_allowed'],
  },
  'create:chat': {
    summary: 'Sends a chat. The acknowledgement means that it is stored.',
    kind: 'command',
    permission: 'member',
    rate: 'packets',
    extraRate: 'chats',
    batch: true,
    payload: z.object({ roomId, username, message, clientId: clientId.optional(), replyTo: replyTo.optional() }),
    response: positionResponse,
    broadcast: z.object({
      message: message.describe('The text; data, never markup. Empty if the chat was deleted before it was sent to this client.'),
      clientId: clientId.optional(),
      replyTo: replyTo.optional(),
      edited: edited.optional(),
      deleted: deleted.optional(),
    }),
    errors: [...memberErrors, 'chat_not_found', 'quota_exceeded'],
  },
  'create:chats': {
    summary:
      'Sends several chats at once: all of them are stored, consecutively and in this order, or none. Each is an entry of its own, broadcast as `create:chat`.',
    kind: 'command',
    permission: 'member',
    rate: 'packets',
    extraRate: 'chats',
    batch: true,
    payload: z.object({
      roomId,
      username,
      chats: z
        .array(
          z.object({
            message,
            clientId: clientId.optional().describe('Identifies this chat for its author.'),
            replyTo: replyTo.optional(),
          }),
        )
        .min(1)
        .max(LIMITS.chatsPerPacket),
      clientId: clientId.optional().describe(`${clientId.description} It identifies all of them together.`),
    }),
    response: positionResponse.extend({
      chats: z
        .array(z.object({ seq, id: entryId, at }))
        .describe('The position of each chat. The other fields of the response belong to the last one.'),
    }),
    broadcastAs: 'create:chat',
    errors: [...memberErrors, 'chat_not_found', 'quota_exceeded'],
  },
  'update:chat': {
    summary: 'Replaces the text of an own chat; the owner of the room may edit any chat. The former text is erased from the log.',
    kind: 'command',
    permission: 'author',
    rate: 'packets',
    extraRate: 'chats',
    payload: z.object({ roomId, username, chatSeq, message, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq, message }),
    errors: [...memberErrors, 'not_allowed', 'chat_not_found', 'quota_exceeded'],
  },
  'delete:chat': {
    summary: 'Deletes an own chat; the owner of the room may delete any chat. The text is erased from the log; the entry stays.',
    kind: 'command',
    permission: 'author',
    rate: 'packets',
    payload: z.object({ roomId, username, chatSeq, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq }),
    errors: [...memberErrors, 'not_allowed', 'chat_not_found'],
  },
  'add:reaction': {
    summary: 'Adds a reaction to a chat. Adding the same reaction again succeeds and changes nothing.',
    kind: 'command',
    permission: 'member',
    rate: 'packets',
    payload: z.object({ roomId, username, chatSeq, reaction, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq, reaction }),
    errors: [...memberErrors, 'chat_not_found', 'too_many_reactions', 'quota_exceeded'],
  },
  'remove:reaction': {
    summary: 'Removes an own reaction. Removing one that does not exist succeeds and changes nothing.',
    kind: 'command',
    permission: 'member',
    rate: 'packets',
    payload: z.object({ roomId, username, chatSeq, reaction, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({ chatSeq, reaction }),
    errors: [...memberErrors, 'chat_not_found'],
  },
  'update:room': {
    summary:
      "Sets the room's topic, its retention, or both; only for its owner. Missing fields do not change; a retention is replaced as a whole, and `{}` removes it.",
    kind: 'command',
    permission: 'owner',
    rate: 'packets',
    payload: z
      .object({ roomId, username, topic: topic.optional(), retention: retention.optional(), clientId: clientId.optional() })
      .refine((ask) => ask.topic !== undefined || ask.retention !== undefined, 'takes a topic, a retention, or both'),
    response: positionResponse,
    broadcast: z.object({ topic: topic.optional(), retention: retention.optional() }),
    errors: [...memberErrors, 'not_allowed', 'quota_exceeded'],
  },
  'delete:room': {
    summary: 'Deletes the room with its whole log; only for its owner. The id is then free for a new room, which has a new epoch.',
    kind: 'command',
    permission: 'owner',
    rate: 'packets',
    payload: z.object({ roomId, username, clientId: clientId.optional() }),
    response: positionResponse,
    broadcast: z.object({}),
    errors: [...memberErrors, 'not_allowed'],
  },
  'list:rooms': {
    summary:
      'The rooms of this server, in the order of their ids. For rooms that the session of the client has joined, it includes how far they have read and what is unread.',
    kind: 'query',
    permission: 'anyone',
    rate: 'packets',
    payload: z.object({ after: roomId.optional().describe('Continue after this room.'), limit }),
    response: z.object({ rooms: z.array(model.room), hasMore }),
    errors: [],
  },
  'list:members': {
    summary: 'The members of a room, in the order of their names. The client need not be a member.',
    kind: 'query',
    permission: 'reader',
    rate: 'packets',
    payload: z.object({ roomId, after: username.optional().describe('Continue after this member.'), limit }),
    response: z.object({
      roomId,
      epoch,
      seq,
      members: z.array(model.member),
      count: z.int().describe('The total number of members.'),
      hasMore,
    }),
    errors: readerErrors,
  },
  'list:chats': {
    summary: 'A page of chats in their current state, oldest first; the newest ones if no seq is given. The client need not be a member.',
    kind: 'query',
    permission: 'reader',
    rate: 'packets',
    payload: z
      .object({
        roomId,
        before: seq.optional().describe('The chats nearest before this seq.'),
        after: z.int().min(0).optional().describe('The chats nearest after this seq; 0 for the oldest ones.'),
        around: seq.optional().describe('Chats on both sides of this seq, including it.'),
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
      lastId,
      ...model.chatPage.shape,
    }),
    errors: readerErrors,
  },
  'list:entries': {
    summary:
      'The broadcast entries of a room after a position. The client need not be a member, and does not receive broadcasts because of it: a client that asks again from the position of each response, at most once a second, follows the room without joining it. It counts as a resume (`limits.rates.resumes`).',
    kind: 'query',
    permission: 'reader',
    rate: 'resumes',
    payload: z.object({ roomId, ...positionFields, limit: limit.default(LIMITS.pageMax) }),
    response: z.object({
      outcome: z
        .enum(['caught_up', 'more', 'too_old', 'reset'])
        .describe(
          'Like that of `resume:rooms`. After `too_old` and `reset` there are no entries, and the position is that of the newest one.',
        ),
      ...resumePosition,
      entries: z.array(missedEntry).describe(MISSED_ENTRIES_DESCRIPTION),
    }),
    errors: readerErrors,
  },
  'resume:rooms': {
    summary:
      'Resumes rooms that were joined before with the same session, each at the position of the client: the client receives all missed entries, and the broadcasts of the room from then on. If the lease of a name expired meanwhile, the member joins again. The request does not count as a packet; instead each of its rooms counts, each time (`limits.rates.resumes`), except rooms that are deferred. An error concerns one room.',
    kind: 'query',
    permission: 'anyone',
    rate: 'resumes',
    payload: z.object({
      rooms: z
        .array(heldPosition)
        .min(1)
        .max(LIMITS.roomsPerResume)
        .refine(hasDistinctRooms, 'each room is named once')
        .describe('The rooms, each once, with the position of the client.'),
      limit: limit.default(LIMITS.pageMax).describe('Largest number of entries of each room.'),
      bytes: bytes.describe(
        'Largest size of the response in bytes of JSON, without the position of each room, for example for a slow connection: then `more`. The first room always gets at least one entry.',
      ),
    }),
    response: z.object({ rooms: z.array(resumeResult).describe('The result of each room, in the order of the request.') }),
    errors: [...memberErrors, 'name_taken', 'name_confusable', 'removed', ...joinErrors],
  },
  'start:typing': {
    summary: 'Reports that a member is typing. The client repeats it every few seconds, since it expires after six.',
    kind: 'ephemeral',
    permission: 'member',
    rate: 'signals',
    payload: z.object({ roomId, username }),
    response: z.object({ roomId }),
    ephemeral: z.object({ roomId, username }),
    errors: ['not_a_member'],
  },
  'stop:typing': {
    summary: 'Reports that a member has stopped typing. A chat of that member implies it.',
    kind: 'ephemeral',
    permission: 'member',
    rate: 'signals',
    payload: z.object({ roomId, username }),
    response: z.object({ roomId }),
    ephemeral: z.object({ roomId, username }),
    errors: ['not_a_member'],
  },
  'update:presence': {
    summary:
      'Reports whether the user of this connection is present. A member is `away` if all of their connections are. The room is notified of each change; also when a member joins, when their last connection is lost, and when they return.',
    kind: 'ephemeral',
    permission: 'member',
    rate: 'signals',
    payload: z.object({ roomId, username, presence: presence.exclude(['offline']) }),
    response: z.object({ roomId }),
    ephemeral: z.object({ roomId, username, presence, online: joinResponse.shape.online }),
    errors: ['not_a_member'],
  },
  'mark:read': {
    summary:
      'Reports how far a member has read. A mark never decreases, and belongs to the author: it is stored as long as the room exists, even if the name changes.',
    kind: 'ephemeral',
    permission: 'member',
    rate: 'signals',
    payload: z.object({ roomId, username, seq }),
    response: z.object({
      roomId,
      read: model.member.shape.read,
      unread: model.unread,
      mentions: model.mentions,
      asOf: z.int().describe('Chats up to this entry are counted, in their state at that entry.'),
    }),
    ephemeral: z.object({ roomId, username, read: model.member.shape.read }),
    errors: ['not_a_member'],
  },
} as const satisfies Record<string, EventDefinition>;

/** Events that the server sends without a request. */
export const notices = {
  'reset:room': {
    summary:
      'The log of a room has changed: it was lost, restored or forked. The client must drop the entries after `seq` and continue from the given position; it may send its own chats after `seq` again with the same `clientId`. Without an epoch the room does not exist any more.',
    payload: z.object({
      roomId,
      epoch: epoch.nullable(),
      seq: z.int().min(0).describe('Up to this entry both logs are equal; 0 if that is unknown.'),
    }),
  },
  'members:changed': {
    summary:
      'The counts of a large room, instead of one event for each member who joins, leaves, disconnects or returns: at once for the first change, then at most once a second. A room of any size receives it if the number of online members differs from the last one sent, for example after a restart, when returning members are not announced one by one.',
    payload: z.object({
      roomId,
      epoch,
      asOf: z.int().describe('Joins and leaves up to this entry are included in `members`; later ones are not.'),
      members: model.room.shape.members,
      online: joinResponse.shape.online,
      joined: sampleNames.describe('A few of the latest members who joined.'),
      left: sampleNames.describe('A few of the latest members who left.'),
    }),
  },
  'typing:changed': {
    summary:
      'The members who are typing in a large room, instead of `start:typing:success` and `stop:typing:success`: at most every three seconds while members are typing. It expires after six.',
    payload: z.object({
      roomId,
      usernames: sampleNames.describe('Some of the members who are typing.'),
      hasMore: z.boolean().describe('Whether more members are typing than `usernames` lists.'),
    }),
  },
  'position:changed': {
    summary:
      'Gives a plain Socket.IO client its position after a response with the position of a room and no entry: the library sends the offset of this event when it reconnects (session recovery). It contains nothing new for a client that tracks positions itself.',
    payload: z.object({ roomId, epoch, seq: z.int().min(0) }),
  },
  'server:closing': {
    summary: 'The server is about to stop and closes the connection. The client reconnects by itself, preferably after the given time.',
    payload: z.object({
      reconnectAfterMs: z.int().describe('Milliseconds. It differs for each client, so that they do not all reconnect at the same time.'),
    }),
  },
} as const satisfies Record<string, { summary: string; payload: z.ZodObject }>;

/** Errors that any event may return. */
export const commonErrors = [
  'invalid_payload',
  'unknown_event',
  'rate_limited',
  'too_many_refusals',
  'busy',
  'outcome_unknown',
  'storage_full',
  'storage_failed',
  'internal',
] as const satisfies ErrorCode[];

/** Errors of a refused connection, as the `data` of Socket.IO's `connect_error`. */
export const connectErrors = ['too_many_connections', 'rate_limited', 'invalid_session'] as const satisfies ErrorCode[];

type Events = typeof events;
export type EventName = keyof Events;
type EventsOfKind<Kind> = { [E in EventName]: Events[E] extends { kind: Kind } ? E : never }[EventName];
/** Kinds of entries. Each is named after the event that appends it. */
export type EntryKind = { [E in EventName]: Events[E] extends { broadcast: z.ZodObject } ? E : never }[EventName];
/** Events that append to a room's log. */
export type CommandName = EventsOfKind<'command'>;
/** Events that are broadcast and not stored. */
export type EphemeralEventName = EventsOfKind<'ephemeral'>;
/** Events with a response to the caller only. */
export type QueryName = EventsOfKind<'query'>;
export type NoticeName = keyof typeof notices;

/** A payload as a client writes it. */
export type RequestInput<E extends EventName> = z.input<Events[E]['payload']>;
/** A payload after validation: with defaults, without unknown fields. */
export type RequestPayload<E extends EventName> = z.output<Events[E]['payload']>;
export type ResponsePayload<E extends EventName> = z.output<Events[E]['response']>;
export type Ack<E extends EventName> = ({ ok: true } & ResponsePayload<E>) | { ok: false; error: ErrorPayload };
/** The fields of an entry of this kind, in addition to those of every entry. */
export type BroadcastFields<E extends EntryKind> = z.output<Events[E]['broadcast']>;
/** The broadcast of an entry. For entries without additional fields, the type has no field of its own. */
export type RoomBroadcast<E extends EntryKind> = string extends keyof BroadcastFields<E>
  ? model.EntryFields
  : model.EntryFields & BroadcastFields<E>;

/** The broadcast of an ephemeral event. */
export type EphemeralPayload<E extends EphemeralEventName> = z.output<Events[E]['ephemeral']>;
export type ServerNotice<E extends NoticeName> = z.output<(typeof notices)[E]['payload']>;
/** An entry that a client missed. An `erased` one has only the position fields. */
export type MissedEntry = { [E in EntryKind]: { kind: E; erased?: true } & RoomBroadcast<E> }[EntryKind];
/** The result of one room of a `resume:rooms`. */
export type ResumeResult = z.output<typeof resumeResult>;

/** Types for `Server<ClientEvents, ServerEvents>`, and for `Socket<ServerEvents, ClientEvents>` of the client. */
export type ClientEvents = { [E in EventName]: (payload: RequestInput<E>, acknowledge?: (ack: Ack<E>) => void) => void };
export type ServerEvents = { [E in EntryKind as `${E}:success`]: (broadcast: RoomBroadcast<E>) => void } & {
  [E in QueryName as `${E}:success`]: (response: ResponsePayload<E>) => void;
} & { [E in EphemeralEventName as `${E}:success`]: (payload: EphemeralPayload<E>) => void } & {
  [E in NoticeName]: (notice: ServerNotice<E>) => void;
} & { error: (error: ErrorPayload & { event?: string }) => void };

/** The definition of an event, with the properties that only some events have. */
export const definitionOf = (event: EventName): EventDefinition => events[event];

export const isCommandName = (event: EventName): event is CommandName => events[event].kind === 'command';

export const isQueryName = (event: EventName): event is QueryName => events[event].kind === 'query';

export const isEventName = (name: unknown): name is EventName => typeof name === 'string' && Object.hasOwn(events, name);
