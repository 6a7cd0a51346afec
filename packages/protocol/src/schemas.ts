/** Zod schemas of the values that events carry: ids, texts, entries, chats, members, rooms. */
import { z } from 'zod';
import { LIMITS, type Limits, type Retention } from './limits.ts';
import { CHAT_TEXT, fitsLimit, type TextLimit, TOPIC_TEXT } from './text.ts';
import { isBlank, isOneGrapheme, isVisible } from './visible-text.ts';

const encoder = new TextEncoder();

/** Control characters, line and paragraph separators, lone surrogates, and controls that reorder the surrounding line. */
const FORBIDDEN_IN_IDS = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\s]/gu;

/** The rule of earlier versions for ids: rooms and members with such ids must remain reachable. */
const isValidId = (text: string): boolean =>
  text === text.trim() &&
  text.replace(INVISIBLE, '') !== '' &&
  !FORBIDDEN_IN_IDS.test(text) &&
  // A code unit takes at most three bytes.
  (3 * text.length <= LIMITS.idBytes || encoder.encode(text).length <= LIMITS.idBytes);

const id = (description: string) =>
  z
    .string()
    // `abort`: texts that are too long are not checked further.
    .max(LIMITS.idBytes, { error: `must be at most ${LIMITS.idBytes} bytes`, abort: true })
    .normalize('NFC')
    .refine(isValidId, `must be visible text of at most ${LIMITS.idBytes} bytes, without control characters or outer spaces`)
    .describe(description);

/** A new id, for which stricter rules apply. */
const newId = (description: string) =>
  id(description).refine(isVisible, 'must be visible text without hidden characters or heaps of marks');

const text = (description: string, limit: TextLimit) =>
  z
    .string()
    .refine((value) => fitsLimit(value, limit), {
      error: `must be at most ${limit.codePoints} characters, and ${limit.bytes} bytes as JSON`,
      abort: true,
    })
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
    .describe(description);

const ROOM_ID_DESCRIPTION = 'The room: visible text, compared exactly after NFC normalisation.';
const USERNAME_DESCRIPTION =
  'A member, unique inside the room. Names that differ only in case, in invisible characters or in the number of spaces are equal.';
export const roomId = id(ROOM_ID_DESCRIPTION);
export const newRoomId = newId(ROOM_ID_DESCRIPTION);
export const username = id(USERNAME_DESCRIPTION);
export const newUsername = newId(USERNAME_DESCRIPTION);
export const clientId = id(
  'Chosen by the client. The same id from the same author in the same room is stored once, and a retry gets the response of the first request.',
);
export const message = text('The text; data, never markup.', CHAT_TEXT).refine((value) => !isBlank(value), 'must not be empty');
export const durability = z
  .enum(['memory', 'fast', 'replicated', 'fsync'])
  .describe(
    'What the entry survives: `fast`: the end of the server process; `replicated`: the loss of a machine; `fsync`: a power failure; `memory`: nothing.',
  );
export const topic = text('What the room is about; may be empty.', TOPIC_TEXT);

export const retention = z
  .object({
    maxAge: z.int().min(60_000).optional().describe('Milliseconds.'),
    maxCount: z.int().min(1).optional().describe('Entries.'),
    maxBytes: z.int().min(1).optional().describe('Bytes of their bodies as JSON.'),
  })
  .describe(
    "The retention of the room's log that its owner chose. The oldest entries are removed permanently: those older than `maxAge` milliseconds (at least a minute), those beyond the newest `maxCount`, and enough that the bodies of the others, as JSON, have at most `maxBytes`. The operator may set stricter limits (`limits.retention`).",
  ) satisfies z.ZodType<Retention>;

export const reaction = z
  .string()
  .max(64, { error: 'must be at most 64 code units', abort: true })
  .normalize('NFC')
  .refine(isVisible, 'must be visible text without hidden characters or heaps of marks')
  .refine(isOneGrapheme, 'must be one character or emoji')
  .describe('One visible emoji or character.');

export const seq = z.int().min(1).describe('The number of an entry in its room, from 1, without gaps.');
export const replyTo = seq.describe('The seq of the chat that this one replies to. That chat may have been deleted or trimmed since.');
export const epoch = z
  .string()
  .describe("One incarnation of the room's log; another epoch means another log. The part before a dot is the same in all forks of a log.");
export const at = z.number().describe('The time by the clock of the server: milliseconds since 1970. It never decreases inside a room.');
export const entryId = z.string().describe('Unique id of the entry.');
export const lastId = entryId
  .nullable()
  .describe('The `id` of the newest broadcast entry up to that position: the next broadcast entry has it as `prev`.');

/** The fields of every entry, whatever its kind. */
export const entry = z.object({
  roomId,
  epoch,
  seq,
  id: entryId,
  prev: entryId
    .nullable()
    .describe('The `id` of the broadcast entry before this one; null for the first. A client that has that entry has missed nothing.'),
  at,
  by: username.describe('The member who caused the entry.'),
  username: username.describe('The member whom the entry is about; usually the one who caused it.'),
  quiet: z
    .literal(true)
    .optional()
    .describe('Sent only to the member whom it is about, such as joins and leaves of a large room: it is never the `prev` of an entry.'),
});
export type EntryFields = z.infer<typeof entry>;

const chat = z.object({
  seq,
  id: entryId,
  at,
  username,
  message: message.nullable().describe('The current text; null if the chat was deleted.'),
  clientId: clientId.optional(),
  replyTo: replyTo.optional(),
  edited: seq.optional().describe('The entry that last replaced the text.'),
  deleted: z.literal(true).optional().describe('The chat was deleted; its entry stays.'),
  reactions: z
    .array(
      z.object({
        reaction,
        count: z.int().min(1).describe('How many members added it.'),
        mine: z.literal(true).optional().describe('The client is one of them.'),
      }),
    )
    .optional()
    .describe('The count of each reaction; `mine` marks those of the client itself.'),
});
/** A chat in its current state. */
export type Chat = z.infer<typeof chat>;

export const chatPage = z.object({
  chats: z.array(chat),
  asOf: z.int().describe('Edits, deletions and reactions up to this entry are included in the chats; later ones are not.'),
  hasMore: z
    .object({ before: z.boolean().describe('There are older chats.'), after: z.boolean().describe('There are newer chats.') })
    .describe('Whether there are older and newer chats than those of the page.'),
});
/** Consecutive chats, oldest first. */
export type ChatPage = z.infer<typeof chatPage>;

export const presence = z
  .enum(['online', 'away', 'offline'])
  .describe('`online`: connected; `away`: connected, but reported as not present; `offline`: not connected, but still a member.');
export type Presence = z.infer<typeof presence>;

export const member = z.object({
  username,
  role: z.enum(['owner', 'member']).describe('Some events are only for the owner.'),
  since: seq.describe('The entry by which the member joined.'),
  presence,
  read: seq.describe(
    'The newest entry that the member has read, as reported with `mark:read`; before that, the entry of their first join. It is stored as long as the room exists, even after they leave.',
  ),
});
export type Member = z.infer<typeof member>;

export const unread = z.int().describe('Chats by others after `read` that are not deleted; `limits.unreadMax` means that many or more.');
export const mentions = z.int().describe('How many of these mention the member.');

export const room = z.object({
  roomId,
  topic,
  members: z.int().describe('Number of members.'),
  seq: seq.describe('The newest entry.'),
  at: at.describe('The time of the newest entry.'),
  read: member.shape.read.optional().describe('How far the client has read; only for rooms that it has joined.'),
  unread: unread
    .optional()
    .describe('Unread chats, as in the response to a join; missing if the client has requested too many counts recently.'),
  mentions: mentions.optional(),
});
export type Room = z.infer<typeof room>;

export const limits = z.custom<Limits>().describe('The limits in force here.');
