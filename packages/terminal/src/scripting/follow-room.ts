// Reads the entries of a room in order, and polls for new ones without joining it.
import type { Chat, MissedEntry, Position } from '@engawa/client';
import type { CommandSession } from './command-session.ts';
import type { Since } from './parse-time.ts';
import { sleep } from './query-client.ts';
import { findReplyTarget, type ReplyTarget, ReplyTargets } from './reply-targets.ts';
import { RoomView } from './room-view.ts';
import { fetchServerTime } from './server-time.ts';

/** Chats of one request. */
const PAGE_SIZE = 500;
/** Lines that may be buffered while the next page is requested. */
const MAX_BUFFERED_LINES = 1_000;
/** Poll interval: short after new entries, longer while the room is quiet. */
const MIN_POLL_INTERVAL_MS = 250;
const MAX_POLL_INTERVAL_MS = 1_000;
/** Chats that are printed again when the end of the log was lost, and the cursor position with it. */
const REPLAYED_CHATS = 500;

/** An entry, and the position after it. A chat has its current state; other entries are as they were broadcast. */
export type FollowedEntry = { position: Position } & (
  | {
      chat: Chat;
      entry?: undefined /** Resolves with what it replies to, if it does and the room has that. */;
      target: () => Promise<ReplyTarget | undefined>;
    }
  | { chat?: undefined; entry: MissedEntry }
);

export interface FollowOptions {
  session: CommandSession;
  roomId: string;
  /** Where to start. */
  from: Position | Exclude<Since, { kind: 'mark' }> | { kind: 'newest'; count: number } | { kind: 'now' };
  /** Whether to follow new entries, or to end after the existing ones. */
  isContinuous: boolean;
  /** Limit for existing chats; no limit if undefined. */
  limit?: number | undefined;
  /** Whether to deliver entries other than chats. */
  includesAllKinds: boolean;
  /** Called for one entry at a time. Resolves with true to stop. */
  onEntry: (followed: FollowedEntry) => Promise<boolean>;
}

/** The options, and the chats that replies may refer to. */
type FollowContext = FollowOptions & { replyTargets: ReplyTargets; room: RoomView };

/**
 * Delivers the entries of a room, each once and in order: first the existing ones, page by page as fast as they are consumed,
 * then new ones. It polls once a second while the room is quiet, and never before the delivered entries are consumed.
 */
export async function followRoom(options: FollowOptions): Promise<void> {
  const { session, from, isContinuous } = options;
  session.connect();
  const context: FollowContext = { ...options, replyTargets: new ReplyTargets(), room: new RoomView(session, options.roomId) };
  let position = 'kind' in from ? undefined : from;
  if (!isContinuous || !position) {
    const read = await readExisting(context);
    if (!isContinuous || read.isDone) return;
    position = read.position;
  }
  for (let intervalMs = MIN_POLL_INTERVAL_MS; ; ) {
    const page = await context.room.entries(position);
    if (page.outcome === 'reset' || page.outcome === 'too_old') {
      const read = await readExisting({ ...context, from: position, limit: undefined });
      if (read.isDone) return;
      position = read.position;
      continue;
    }
    if (await deliverNewEntries(context, page.entries as MissedEntry[])) return;
    position = { epoch: page.epoch, seq: page.seq, id: page.id };
    await session.unlessAborted(session.output.waitForDrain(MAX_BUFFERED_LINES));
    intervalMs = page.entries.length > 0 ? MIN_POLL_INTERVAL_MS : Math.min(2 * intervalMs, MAX_POLL_INTERVAL_MS);
    if (page.outcome === 'caught_up') await session.unlessAborted(sleep(intervalMs));
  }
}

/** Returns true if `onEntry` stopped it. */
async function deliverNewEntries(
  { session, room, replyTargets, includesAllKinds, onEntry }: FollowContext,
  entries: MissedEntry[],
): Promise<boolean> {
  for (const entry of entries) {
    const { epoch, seq, id } = entry;
    const position = { epoch, seq, id };
    const chat = chatFromEntry(entry);
    let isDone = false;
    if (chat)
      isDone = await session.unlessAborted(
        onEntry({ chat, position, target: () => findReplyTarget(chat, { room, epoch, targets: replyTargets }) }),
      );
    else if (includesAllKinds) isDone = await session.unlessAborted(onEntry({ entry, position }));
    if (isDone) return true;
    if (chat) replyTargets.add(chat, epoch);
    else replyTargets.invalidate(entry);
  }
  return false;
}

interface ReadOutcome {
  /** The newest delivered position, or else the position of the room before it was read. */
  position: Position;
  isDone: boolean;
}

/** Delivers the existing chats. */
async function readExisting(context: FollowContext): Promise<ReadOutcome> {
  const { session, room, replyTargets, limit = Number.POSITIVE_INFINITY } = context;
  const head = await room.position();
  let position: Position | undefined;
  let remaining = limit;
  for (let after = await resolveStart(context, head); remaining > 0; ) {
    const page = await room.history({ after, limit: Math.min(PAGE_SIZE, remaining) });
    const { epoch } = page;
    for (const chat of page.chats) {
      position = { epoch, seq: chat.seq, id: chat.id };
      const isDone = await session.unlessAborted(
        context.onEntry({ chat, position, target: () => findReplyTarget(chat, { room, epoch, targets: replyTargets }) }),
      );
      replyTargets.add(chat, epoch);
      if (isDone) return { position, isDone };
      after = chat.seq;
      remaining -= 1;
    }
    if (page.chats.length === 0 || !page.hasMore.after) break;
    await session.unlessAborted(session.output.waitForDrain(MAX_BUFFERED_LINES));
  }
  return { position: position ?? head, isDone: false };
}

/** The seq after which delivery starts. */
async function resolveStart({ room, session, from, limit }: FollowContext, head: Position): Promise<number> {
  if (!('kind' in from)) return startAfterCursor(room, session, from);
  switch (from.kind) {
    case 'seq':
      return from.seq;
    case 'time':
      return findSeqAtTime(room, head, from.at);
    case 'age':
      return findSeqAtTime(room, head, (await session.unlessAborted(fetchServerTime(session.profile.server))) - from.ms);
    case 'newest':
      return findSeqBeforeNewest(room, head, Math.min(from.count, limit ?? Number.POSITIVE_INFINITY));
    case 'now':
      return head.seq;
  }
}

/** The cursor may belong to an earlier epoch of the log. */
async function startAfterCursor(room: RoomView, session: CommandSession, cursor: Position): Promise<number> {
  const page = await room.history({ around: Math.max(1, cursor.seq), limit: 1 });
  if (page.epoch === cursor.epoch || page.chats.some(({ id }) => id === cursor.id)) return cursor.seq;
  const isFork = page.epoch.split('.', 1)[0] === cursor.epoch.split('.', 1)[0];
  session.info(
    isFork ? 'the room lost its newest chats; the last ones are printed again' : 'the room was created again; starting from its beginning',
  );
  return isFork ? Math.max(0, cursor.seq - REPLAYED_CHATS) : 0;
}

/** Binary search for the first chat at or after a time: chats are ordered by time. */
async function findSeqAtTime(room: RoomView, head: Position, at: number): Promise<number> {
  let low = 0;
  let high = head.seq;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [chat] = (await room.history({ after: middle, limit: 1 })).chats;
    if (chat === undefined || chat.at >= at) high = middle;
    else low = chat.seq;
  }
  return low;
}

/** Goes back page by page, because the size of a page is limited. */
async function findSeqBeforeNewest(room: RoomView, head: Position, count: number): Promise<number> {
  let before: number | undefined;
  for (let remaining = count; remaining > 0; ) {
    const page = await room.history({ ...(before !== undefined && { before }), limit: Math.min(PAGE_SIZE, remaining) });
    before = page.chats[0]?.seq ?? before;
    remaining -= page.chats.length;
    if (!page.hasMore.before || page.chats.length === 0) return (before ?? 1) - 1;
  }
  return before === undefined ? head.seq : before - 1;
}

/** The chat that an entry created. A chat that was deleted in the meantime has no text. */
function chatFromEntry(entry: MissedEntry): Chat | undefined {
  if (entry.kind !== 'create:chat') return undefined;
  const { seq, id, at, username } = entry;
  if (entry.erased || entry.deleted) return { seq, id, at, username, message: null, deleted: true };
  const { message, clientId, replyTo, edited } = entry;
  return {
    seq,
    id,
    at,
    username,
    message,
    ...(clientId !== undefined && { clientId }),
    ...(replyTo !== undefined && { replyTo }),
    ...(edited !== undefined && { edited }),
  };
}
