import type { Chat, MissedEntry, Position } from '@engawa/client';
import type { CommandSession } from './command-session.ts';
import type { Since } from './parse-time.ts';
import { sleep } from './query-client.ts';
import { findReplyTarget, type ReplyTarget, ReplyTargets } from './reply-targets.ts';
import { RoomView } from './room-view.ts';
import { fetchServerTime } from './server-time.ts';

/** Of one question. */
const PAGE_SIZE = 500;
/** Lines that may wait while the next page is asked for. */
const MAX_BUFFERED_LINES = 1_000;
/** Between two questions for what is new: short after there was something, longer while there is nothing. */
const MIN_POLL_INTERVAL_MS = 250;
const MAX_POLL_INTERVAL_MS = 1_000;
/** What is told again when the end of a log was lost, and with it the place of the mark. */
const REPLAYED_CHATS = 500;

/** An entry, and where whoever has it goes on. A chat is as it stands, others as they were told. */
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
  /** Where to begin. */
  from: Position | Exclude<Since, { kind: 'mark' }> | { kind: 'newest'; count: number } | { kind: 'now' };
  /** Whether to go on with what comes, or to end with what is there. */
  isContinuous: boolean;
  /** Of what is there; all when not given. */
  limit?: number | undefined;
  /** Entries other than chats, too. */
  includesAllKinds: boolean;
  /** Resolves when it is told, with true when that is enough. One at a time. */
  onEntry: (followed: FollowedEntry) => Promise<boolean>;
}

/** As it is passed on: the options, and the chats that replies may be to. */
type FollowContext = FollowOptions & { replyTargets: ReplyTargets; room: RoomView };

/**
 * Tells the entries of a room, each once and in order: first what is there, page by page as fast as it is taken, then what
 * comes. The room is asked for that, once a second while it is quiet, and not before what was told is taken.
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

/** True when one of them was enough. */
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
  /** The newest that was told, or else where the room was before it was read. */
  position: Position;
  isDone: boolean;
}

/** Tells the chats that are there. */
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
    if (page.chats.length === 0 || !page.more.after) break;
    await session.unlessAborted(session.output.waitForDrain(MAX_BUFFERED_LINES));
  }
  return { position: position ?? head, isDone: false };
}

/** The seq after which there is what was asked for. */
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

/** The mark may be of another log than the one that is there now. */
async function startAfterCursor(room: RoomView, session: CommandSession, cursor: Position): Promise<number> {
  const page = await room.history({ around: Math.max(1, cursor.seq), limit: 1 });
  if (page.epoch === cursor.epoch || page.chats.some(({ id }) => id === cursor.id)) return cursor.seq;
  const isFork = page.epoch.split('.', 1)[0] === cursor.epoch.split('.', 1)[0];
  session.info(isFork ? 'the room lost its end; what may be new is told again' : 'the room is another one than before; from its beginning');
  return isFork ? Math.max(0, cursor.seq - REPLAYED_CHATS) : 0;
}

/** Chats are in the order of their times: the first one not before it is found by halves. */
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

/** Pages go back only a few hundred at a time. */
async function findSeqBeforeNewest(room: RoomView, head: Position, count: number): Promise<number> {
  let before: number | undefined;
  for (let remaining = count; remaining > 0; ) {
    const page = await room.history({ ...(before !== undefined && { before }), limit: Math.min(PAGE_SIZE, remaining) });
    before = page.chats[0]?.seq ?? before;
    remaining -= page.chats.length;
    if (!page.more.before || page.chats.length === 0) return (before ?? 1) - 1;
  }
  return before === undefined ? head.seq : before - 1;
}

/** The chat that an entry made. One that was deleted before it was told has no text. */
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
