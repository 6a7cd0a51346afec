import type { Chat, Missed, Position } from '@engawa/client';
import type { Program } from './program.ts';
import { pause } from './questions.ts';
import { type ReplyTarget, ReplyTargets, targetOf } from './reply-targets.ts';
import { RoomView } from './room-view.ts';
import { serverTime } from './server-time.ts';
import type { Since } from './times.ts';

/** Of one question. */
const PAGE_CHATS = 500;
/** Lines that may wait while the next page is asked for. */
const AHEAD_LINES = 1_000;
/** Between two questions for what is new: short after there was something, longer while there is nothing. */
const SHORTEST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 1_000;
/** What is told again when the end of a log was lost, and with it the place of the mark. */
const REPEATED_CHATS = 500;

/** An entry, and where whoever has it goes on. A chat is as it stands, others as they were told. */
export type Told = { position: Position } & (
  | {
      chat: Chat;
      entry?: undefined /** Resolves with what it replies to, if it does and the room has that. */;
      target: () => Promise<ReplyTarget | undefined>;
    }
  | { chat?: undefined; entry: Missed }
);

export interface FollowOptions {
  program: Program;
  roomId: string;
  /** Where to begin. */
  from: Position | Exclude<Since, { kind: 'mark' }> | { kind: 'newest'; count: number } | { kind: 'now' };
  /** Whether to go on with what comes, or to end with what is there. */
  isEndless: boolean;
  /** Of what is there; all when not given. */
  limit?: number | undefined;
  /** Entries other than chats, too. */
  isAll: boolean;
  /** Resolves when it is told, with true when that is enough. One at a time. */
  tell: (told: Told) => Promise<boolean>;
}

/** As it is passed on: the options, and the chats that replies may be to. */
type Following = FollowOptions & { targets: ReplyTargets; room: RoomView };

/**
 * Tells the entries of a room, each once and in order: first what is there, page by page as fast as it is taken, then what
 * comes. The room is asked for that, once a second while it is quiet, and not before what was told is taken.
 */
export async function follow(asked: FollowOptions): Promise<void> {
  const { program, from, isEndless } = asked;
  program.connect();
  const options: Following = { ...asked, targets: new ReplyTargets(), room: new RoomView(program, asked.roomId) };
  let place = 'kind' in from ? undefined : from;
  if (!isEndless || !place) {
    const read = await readThere(options);
    if (!isEndless || read.isEnough) return;
    place = read.position;
  }
  for (let pauseMs = SHORTEST_PAUSE_MS; ; ) {
    const news = await options.room.entries(place);
    if (news.outcome === 'reset' || news.outcome === 'too_old') {
      const read = await readThere({ ...options, from: place, limit: undefined });
      if (read.isEnough) return;
      place = read.position;
      continue;
    }
    if (await tellNews(options, news.entries as Missed[])) return;
    place = { epoch: news.epoch, seq: news.seq, id: news.id };
    await program.unlessOver(program.out.drained(AHEAD_LINES));
    pauseMs = news.entries.length > 0 ? SHORTEST_PAUSE_MS : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    if (news.outcome === 'caught_up') await program.unlessOver(pause(pauseMs));
  }
}

/** True when one of them was enough. */
async function tellNews({ program, room, targets, isAll, tell }: Following, entries: Missed[]): Promise<boolean> {
  for (const entry of entries) {
    const { epoch, seq, id } = entry;
    const position = { epoch, seq, id };
    const chat = chatIn(entry);
    let isEnough = false;
    if (chat) isEnough = await program.unlessOver(tell({ chat, position, target: () => targetOf(chat, { room, epoch, targets }) }));
    else if (isAll) isEnough = await program.unlessOver(tell({ entry, position }));
    if (isEnough) return true;
    if (chat) targets.told(chat, epoch);
    else targets.changed(entry);
  }
  return false;
}

interface Read {
  /** The newest that was told, or else where the room was before it was read. */
  position: Position;
  isEnough: boolean;
}

/** Tells the chats that are there. */
async function readThere(options: Following): Promise<Read> {
  const { program, room, targets, limit = Number.POSITIVE_INFINITY } = options;
  const head = await room.position();
  let position: Position | undefined;
  let left = limit;
  for (let after = await firstPlace(options, head); left > 0; ) {
    const page = await room.history({ after, limit: Math.min(PAGE_CHATS, left) });
    const { epoch } = page;
    for (const chat of page.chats) {
      position = { epoch, seq: chat.seq, id: chat.id };
      const isEnough = await program.unlessOver(options.tell({ chat, position, target: () => targetOf(chat, { room, epoch, targets }) }));
      targets.told(chat, epoch);
      if (isEnough) return { position, isEnough };
      after = chat.seq;
      left -= 1;
    }
    if (page.chats.length === 0 || !page.more.after) break;
    await program.unlessOver(program.out.drained(AHEAD_LINES));
  }
  return { position: position ?? head, isEnough: false };
}

/** The seq after which there is what was asked for. */
async function firstPlace({ room, program, from, limit }: Following, head: Position): Promise<number> {
  if (!('kind' in from)) return placeOfMark(room, program, from);
  switch (from.kind) {
    case 'seq':
      return from.seq;
    case 'time':
      return placeOfTime(room, head, from.at);
    case 'age':
      return placeOfTime(room, head, (await program.unlessOver(serverTime(program.profile.server))) - from.ms);
    case 'newest':
      return placeOfNewest(room, head, Math.min(from.count, limit ?? Number.POSITIVE_INFINITY));
    case 'now':
      return head.seq;
  }
}

/** The mark may be of another log than the one that is there now. */
async function placeOfMark(room: RoomView, program: Program, mark: Position): Promise<number> {
  const page = await room.history({ around: Math.max(1, mark.seq), limit: 1 });
  if (page.epoch === mark.epoch || page.chats.some(({ id }) => id === mark.id)) return mark.seq;
  const isFork = page.epoch.split('.', 1)[0] === mark.epoch.split('.', 1)[0];
  program.note(isFork ? 'the room lost its end; what may be new is told again' : 'the room is another one than before; from its beginning');
  return isFork ? Math.max(0, mark.seq - REPEATED_CHATS) : 0;
}

/** Chats are in the order of their times: the first one not before it is found by halves. */
async function placeOfTime(room: RoomView, head: Position, at: number): Promise<number> {
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
async function placeOfNewest(room: RoomView, head: Position, count: number): Promise<number> {
  let before: number | undefined;
  for (let left = count; left > 0; ) {
    const page = await room.history({ ...(before !== undefined && { before }), limit: Math.min(PAGE_CHATS, left) });
    before = page.chats[0]?.seq ?? before;
    left -= page.chats.length;
    if (!page.more.before || page.chats.length === 0) return (before ?? 1) - 1;
  }
  return before === undefined ? head.seq : before - 1;
}

/** The chat that an entry made. One that was deleted before it was told has no text. */
function chatIn(entry: Missed): Chat | undefined {
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
