import { z } from 'zod';
import { LIMITS, type Limits, type Retention } from './limits.ts';
import { CHAT_TEXT, fitsLimit, type TextLimit, TOPIC_TEXT } from './text.ts';
import { isBlank, isOneGrapheme, isVisible } from './visible-text.ts';

const encoder = new TextEncoder();

/** Control characters, line and paragraph separators, lone surrogates, and controls that reorder the line around them. */
const FORBIDDEN_IN_IDS = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\s]/gu;

/** As ids of earlier versions are: rooms and members that have such a one are still reached by it. */
const isValidId = (text: string): boolean =>
  text === text.trim() &&
  text.replace(INVISIBLE, '') !== '' &&
  !FORBIDDEN_IN_IDS.test(text) &&
  // A code unit has three bytes at most.
  (3 * text.length <= LIMITS.idBytes || encoder.encode(text).length <= LIMITS.idBytes);

const id = (description: string) =>
  z
    .string()
    // What is too long is looked at no further.
    .max(LIMITS.idBytes, { error: `must be at most ${LIMITS.idBytes} bytes`, abort: true })
    .normalize('NFC')
    .refine(isValidId, `must be visible text of at most ${LIMITS.idBytes} bytes, without control characters or outer spaces`)
    .describe(description);

/** An id that is given now. */
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
  'A member, unique inside the room; names that differ only in case, in invisible characters or in how many spaces they have are the same.';
export const roomId = id(ROOM_ID_DESCRIPTION);
export const newRoomId = newId(ROOM_ID_DESCRIPTION);
export const username = id(USERNAME_DESCRIPTION);
export const newUsername = newId(USERNAME_DESCRIPTION);
export const clientId = id(
  'Made by the client: the same id from the same author in the same room is kept once, and a retry is answered as the first time.',
);
export const message = text('The text; data, never markup.', CHAT_TEXT).refine((value) => !isBlank(value), 'must not be empty');
export const durability = z
  .enum(['memory', 'fast', 'replicated', 'fsync'])
  .describe(
    'What it survives from now on: `fast` the end of this server, `replicated` the loss of a machine, `fsync` the loss of power, `memory` nothing.',
  );
export const topic = text('What the room is about; may be empty.', TOPIC_TEXT);

export const retention = z
  .object({
    maxAge: z.int().min(60_000).optional().describe('Milliseconds.'),
    maxCount: z.int().min(1).optional().describe('Entries.'),
    maxBytes: z.int().min(1).optional().describe('Bytes of their bodies as JSON.'),
  })
  .describe(
    "What the owner wants to be kept of the room's log. The oldest entries go for good: those older than `maxAge` milliseconds (a minute at least), those beyond the newest `maxCount`, and so many that the bodies of the others, as JSON, have `maxBytes` at most. The operator may keep less (`limits.retention`).",
  ) satisfies z.ZodType<Retention>;

export const reaction = z
  .string()
  .max(64, { error: 'must be at most 64 code units', abort: true })
  .normalize('NFC')
  .refine(isVisible, 'must be visible text without hidden characters or heaps of marks')
  .refine(isOneGrapheme, 'must be one character or emoji')
  .describe('One emoji or character that can be seen.');

export const seq = z.int().min(1).describe('The place of an entry in its room, from 1, without holes.');
export const replyTo = seq.describe(
  'The seq of the chat that this one answers. That one may have been deleted, or have left the log since.',
);
export const epoch = z
  .string()
  .describe("One life of the room's log; another epoch means another log. What stands before a dot is the same in all forks of a log.");
export const at = z.number().describe('When, by the clock of the server: milliseconds since 1970; never going back inside a room.');
export const entryId = z.string().describe('Unique name of the entry.');
export const tail = entryId
  .nullable()
  .describe('The `id` of the newest entry up to there that was told to the room: what the next one has as its `prev`.');

/** What every entry says of itself, whatever its kind. */
export const entry = z.object({
  roomId,
  epoch,
  seq,
  id: entryId,
  prev: entryId
    .nullable()
    .describe('The entry before this one that was told to the room; null for the first. A reader who knows it has missed nothing.'),
  at,
  by: username.describe('Who did it.'),
  username: username.describe('Whom it is about; mostly the one who did it.'),
  quiet: z
    .literal(true)
    .optional()
    .describe('Told only to the member whom it is about, as joins and leaves of a large room are: no `prev` names it.'),
});
export type EntryFields = z.infer<typeof entry>;

const chat = z.object({
  seq,
  id: entryId,
  at,
  username,
  message: message.nullable().describe('The text as it stands now; null when the chat was deleted.'),
  clientId: clientId.optional(),
  replyTo: replyTo.optional(),
  edited: seq.optional().describe('The entry by which the text was last replaced.'),
  deleted: z.literal(true).optional().describe('The text is gone, the place stays.'),
  reactions: z
    .array(
      z.object({
        reaction,
        count: z.int().min(1).describe('How many gave it.'),
        mine: z.literal(true).optional().describe('The asker is one of them.'),
      }),
    )
    .optional()
    .describe('How often each reaction was given; `mine` marks those of the asking member.'),
});
/** A chat as it stands now: its first text with what became of it. */
export type Chat = z.infer<typeof chat>;

export const chatPage = z.object({
  chats: z.array(chat),
  asOf: z.int().describe('Edits, deletions and reactions up to this entry are in the chats; later ones are not.'),
  more: z
    .object({ before: z.boolean().describe('Older ones.'), after: z.boolean().describe('Newer ones.') })
    .describe('Whether there are older and newer chats than those of the page.'),
});
/** Chats one after the other, oldest first. */
export type ChatPage = z.infer<typeof chatPage>;

export const presence = z
  .enum(['online', 'away', 'gone'])
  .describe('`online`: connected; `away`: connected, and says that nobody looks; `gone`: not connected, and a member still.');
export type Presence = z.infer<typeof presence>;

export const member = z.object({
  username,
  role: z.enum(['owner', 'member']).describe('The owner may do what others may not.'),
  since: seq.describe('The entry by which the member joined.'),
  presence,
  read: seq.describe(
    'The newest entry that the member has read, as far as they told; the one by which they first joined when they told nothing. It is kept for them as long as the room is there, whether they are a member or not.',
  ),
});
export type Member = z.infer<typeof member>;

export const unread = z.int().describe('Chats by others after `read` that are not deleted: `limits.unreadMax` are as many or more.');
export const mentions = z.int().describe('How many of these name the reader.');

export const room = z.object({
  roomId,
  topic,
  members: z.int().describe('How many members.'),
  seq: seq.describe('The newest entry.'),
  at: at.describe('When the newest entry was added.'),
  read: member.shape.read.optional().describe('How far the asker has read; only of rooms that they are, or were, a member of.'),
  unread: unread.optional().describe('Chats by others after that, as in the answer to a join; not said when too much was counted lately.'),
  mentions: mentions.optional(),
});
export type Room = z.infer<typeof room>;

export const limits = z.custom<Limits>().describe('The limits in force here.');
