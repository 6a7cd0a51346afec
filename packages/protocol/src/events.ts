import { z } from 'zod';
import type { ErrorCode, WireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import * as model from './model.ts';

/** One wire event: what a client asks, what it is answered, what the room hears of it. */
interface EventDefinition {
  summary: string;
  payload: z.ZodObject;
  /** The acknowledgement, beside `ok: true`. */
  reply: z.ZodObject;
  /** What `<event>:success` carries to the room beside the entry's own fields; a question has none. */
  told?: z.ZodObject;
  /** The refusals of this event, beside those that any event may meet. */
  errors: readonly ErrorCode[];
  /** The text when the server itself fails, where the tutorial's clients know one. */
  failure?: string;
}

const { roomId, username, clientId, message, topic, reaction, seq, epoch, at, entryId } = model;

/** Where a command's entry stands. An answer without `id` says: nothing had to change, the room is at this position. */
const placed = z.object({ roomId, epoch, seq, id: entryId.optional(), at: at.optional() });

const joined = placed.extend({
  username,
  role: model.member.shape.role,
  topic,
  members: model.room.shape.members,
  session: z.string().describe('Secret of this client: who shows it in `auth.session` at a later connect takes his own names back.'),
  limits: model.limits,
});

const chatSeq = seq.describe('The seq of the chat.');
const limit = z.int().min(1).max(LIMITS.pageMax).default(LIMITS.pageDefault).describe('How many at most.');
const more = z.boolean().describe('Whether there is more in the direction of the question.');

const joinErrors = ['too_many_rooms'] as const satisfies ErrorCode[];
const memberErrors = ['room_not_found', 'not_a_member'] as const satisfies ErrorCode[];

/** Every event once. Types, checks, handlers and docs/protocol.md come from this table. */
export const events = {
  'create:room': {
    summary:
      'Opens a room. The caller becomes its owner and its first member; the room hears `create:room:success`, then `add:member:success`.',
    payload: z.object({ roomId, username, topic: topic.optional(), clientId: clientId.optional() }),
    reply: joined,
    told: z.object({ topic: topic.optional() }),
    errors: ['room_exists', ...joinErrors],
    failure: 'Room creation failed.',
  },
  'add:member': {
    summary: 'Joins a room under a name that nobody there has. Asking again for the own name succeeds and changes nothing.',
    payload: z.object({ roomId, username, clientId: clientId.optional() }),
    reply: joined,
    told: z.object({}),
    errors: ['room_not_found', 'name_taken', ...joinErrors],
    failure: 'User creation failed.',
  },
  'remove:member': {
    summary: 'Leaves a room, or, for its owner, removes somebody. Removing who is not there succeeds and changes nothing.',
    payload: z.object({ roomId, username: username.describe('Who leaves.'), clientId: clientId.optional() }),
    reply: placed,
    told: z.object({
      username: username.describe('Who leaves.'),
      reason: z
        .enum(['left', 'removed', 'gone'])
        .describe('`left` by himself, `removed` by the owner, or `gone`: the connection did not come back in time.'),
    }),
    errors: [...memberErrors, 'not_allowed'],
  },
  'create:chat': {
    summary: 'Says something. Acknowledged means kept.',
    payload: z.object({ roomId, username, message, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({ message, clientId: clientId.optional() }),
    errors: memberErrors,
  },
  'update:chat': {
    summary: 'Replaces the text of an own chat; the owner of the room may replace any. The former text is erased from the log.',
    payload: z.object({ roomId, username, chatSeq, message, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({ chatSeq, message }),
    errors: [...memberErrors, 'not_allowed', 'chat_not_found'],
  },
  'delete:chat': {
    summary: 'Deletes an own chat; the owner of the room may delete any. The text is erased from the log, its place stays.',
    payload: z.object({ roomId, username, chatSeq, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({ chatSeq }),
    errors: [...memberErrors, 'not_allowed', 'chat_not_found'],
  },
  'add:reaction': {
    summary: 'Reacts to a chat. Giving the same reaction again succeeds and changes nothing.',
    payload: z.object({ roomId, username, chatSeq, reaction, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({ chatSeq, reaction }),
    errors: [...memberErrors, 'chat_not_found', 'too_many_reactions'],
  },
  'remove:reaction': {
    summary: 'Takes an own reaction back. Taking back what is not there succeeds and changes nothing.',
    payload: z.object({ roomId, username, chatSeq, reaction, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({ chatSeq, reaction }),
    errors: [...memberErrors, 'chat_not_found'],
  },
  'update:room': {
    summary: "Sets the room's topic; for its owner.",
    payload: z.object({ roomId, username, topic, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({ topic }),
    errors: [...memberErrors, 'not_allowed'],
  },
  'delete:room': {
    summary: 'Deletes the room with all that was said in it; for its owner. The id is free again, for a room with a new epoch.',
    payload: z.object({ roomId, username, clientId: clientId.optional() }),
    reply: placed,
    told: z.object({}),
    errors: [...memberErrors, 'not_allowed'],
  },
  'list:rooms': {
    summary: 'The rooms of this server, in the order of their ids.',
    payload: z.object({ after: roomId.optional().describe('Continue after this room.'), limit }),
    reply: z.object({ rooms: z.array(model.room), more }),
    errors: [],
  },
  'list:members': {
    summary: 'The members of a room, in the order of their names; for its members.',
    payload: z.object({ roomId, after: username.optional().describe('Continue after this member.'), limit }),
    reply: z.object({ roomId, epoch, seq, members: z.array(model.member), count: z.int().describe('How many there are in all.'), more }),
    errors: memberErrors,
  },
  'list:chats': {
    summary: 'A page of chats as they stand now, oldest first; the newest when no seq is named. For members.',
    payload: z
      .object({
        roomId,
        before: seq.optional().describe('Chats before this seq, the nearest.'),
        after: seq.optional().describe('Chats after this seq, the nearest.'),
        around: seq.optional().describe('Chats on both sides of this seq, itself included.'),
        limit,
      })
      .refine(
        (ask) => [ask.before, ask.after, ask.around].filter((each) => each !== undefined).length <= 1,
        'takes one of before, after and around',
      ),
    reply: z.object({
      roomId,
      epoch,
      seq: seq.describe('The newest entry of the room when the page was read.'),
      chats: z.array(model.chat),
      more: z
        .object({ before: z.boolean(), after: z.boolean() })
        .describe('Whether there are older and newer chats than those of the page.'),
    }),
    errors: memberErrors,
  },
} as const satisfies Record<string, EventDefinition>;

/** What any event may be refused with. */
export const commonErrors = [
  'invalid_payload',
  'unknown_event',
  'rate_limited',
  'busy',
  'storage_full',
  'storage_failed',
  'internal',
] as const satisfies ErrorCode[];

/** What a connection may be refused with, as the `data` of Socket.IO's `connect_error`. */
export const connectErrors = ['too_many_connections', 'rate_limited', 'invalid_session'] as const satisfies ErrorCode[];

type Events = typeof events;
export type EventName = keyof Events;
/** Events that add to a room's log; the others are questions. */
export type CommandName = { [E in EventName]: Events[E] extends { told: z.ZodObject } ? E : never }[EventName];
export type QuestionName = Exclude<EventName, CommandName>;

/** A payload as a client writes it. */
export type Ask<E extends EventName> = z.input<Events[E]['payload']>;
/** A payload once checked: defaults filled in, unknown fields gone. */
export type Payload<E extends EventName> = z.output<Events[E]['payload']>;
export type Reply<E extends EventName> = z.output<Events[E]['reply']>;
export type Answer<E extends EventName> = ({ ok: true } & Reply<E>) | { ok: false; error: WireError };
/** What an entry of this kind carries beside the fields of every entry. */
export type Told<E extends CommandName> = z.output<Events[E]['told']>;
/** What the room hears. */
export type Heard<E extends CommandName> = model.EntryFields & Told<E>;

/** For `Server<ClientEvents, ServerEvents>` and its mirror at the client. */
export type ClientEvents = { [E in EventName]: (payload: Ask<E>, acknowledge?: (answer: Answer<E>) => void) => void };
export type ServerEvents = { [E in CommandName as `${E}:success`]: (heard: Heard<E>) => void } & {
  [E in QuestionName as `${E}:success`]: (reply: Reply<E>) => void;
} & { error: (error: WireError & { event?: string }) => void };

export const isEventName = (name: unknown): name is EventName => typeof name === 'string' && Object.hasOwn(events, name);
