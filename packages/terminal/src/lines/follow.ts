import type { Chat, Missed, Position, Room } from '@engawa/client';
import { Failure } from '../failure.ts';
import type { Program } from './program.ts';
import { type ReplyTarget, ReplyTargets, targetOf } from './reply-targets.ts';
import { serverTime } from './server-time.ts';
import type { Since } from './times.ts';

/** Of one question. */
const PAGE_CHATS = 500;
/** Lines that may wait while the next page is asked for. */
const AHEAD_LINES = 1_000;
/** Once so few lines wait, a connection that was closed is opened again. */
const RESUME_LINES = 100;
/** Entries that may wait while one is told. */
const MOST_WAITING = 5_000;
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
type Following = FollowOptions & { targets: ReplyTargets };

/**
 * Tells the entries of a room, each once and in order: first what is there, page by page as fast as it is taken, then what
 * comes. When too much waits to be taken, the connection is closed, and later opened where it was left.
 */
export async function follow(asked: FollowOptions): Promise<void> {
  const options: Following = { ...asked, targets: new ReplyTargets() };
  const { program, roomId, from } = options;
  let place: Position | 'newest' = 'newest';
  if (!('kind' in from)) place = from;
  if (!('kind' in from) || from.kind !== 'now') {
    const isKnown = !('kind' in from) && options.isEndless;
    const room = await program.join(roomId, { from: place });
    if (!isKnown) {
      const read = await readThere(room, options);
      if (!options.isEndless || read.isEnough) return;
      place = read.position;
    }
  }
  for (;;) {
    const room = await program.join(roomId, { from: place });
    const left = await program.unlessOver(hear(room, options, place));
    if (left.why === 'enough') return;
    place = left.position;
    if (left.why === 'full') {
      await program.pause();
      await program.unlessOver(program.out.drained(RESUME_LINES));
    } else {
      const read = await readThere(await program.join(roomId, { from: 'newest' }), { ...options, from: place, limit: undefined });
      if (read.isEnough) return;
      place = read.position;
    }
  }
}

interface Read {
  /** The newest that was told, or else where the room was before it was read. */
  position: Position;
  isEnough: boolean;
}

/** Tells the chats that are there. */
async function readThere(room: Room, options: Following): Promise<Read> {
  const { program, targets, limit = Number.POSITIVE_INFINITY } = options;
  const head = room.position;
  let position: Position | undefined;
  let left = limit;
  for (let after = await firstPlace(room, options); left > 0; ) {
    const page = await ask(program, room.history({ ...chatsAfter(after), limit: Math.min(PAGE_CHATS, left) }));
    for (const chat of page.chats) {
      position = { epoch: page.epoch, seq: chat.seq, id: chat.id };
      const isEnough = await program.unlessOver(options.tell({ chat, position, target: () => targetOf(chat, room, targets) }));
      targets.told(chat, page.epoch);
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
async function firstPlace(room: Room, { program, from, limit }: FollowOptions): Promise<number> {
  if (!('kind' in from)) return placeOfMark(room, program, from);
  switch (from.kind) {
    case 'seq':
      return from.seq;
    case 'time':
      return placeOfTime(room, program, from.at);
    case 'age':
      return placeOfTime(room, program, (await program.unlessOver(serverTime(program.profile.server))) - from.ms);
    case 'newest':
      return placeOfNewest(room, program, Math.min(from.count, limit ?? Number.POSITIVE_INFINITY));
    case 'now':
      return room.position.seq;
  }
}

/** No chat is the first entry of a room, so all are after that. */
const chatsAfter = (seq: number) => ({ after: Math.max(1, seq) });

/** The mark may be of another log than the one that is there now. */
async function placeOfMark(room: Room, program: Program, mark: Position): Promise<number> {
  const page = await ask(program, room.history({ around: mark.seq, limit: 1 }));
  if (page.epoch === mark.epoch || page.chats.some(({ id }) => id === mark.id)) return mark.seq;
  const isFork = page.epoch.split('.', 1)[0] === mark.epoch.split('.', 1)[0];
  program.note(isFork ? 'the room lost its end; what may be new is told again' : 'the room is another one than before; from its beginning');
  return isFork ? mark.seq - REPEATED_CHATS : 0;
}

/** Chats are in the order of their times: the first one not before it is found by halves. */
async function placeOfTime(room: Room, program: Program, at: number): Promise<number> {
  let low = 0;
  let high = room.position.seq;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [chat] = (await ask(program, room.history({ ...chatsAfter(middle), limit: 1 }))).chats;
    if (chat === undefined || chat.at >= at) high = middle;
    else low = chat.seq;
  }
  return low;
}

/** Pages go back only a few hundred at a time. */
async function placeOfNewest(room: Room, program: Program, count: number): Promise<number> {
  let before: number | undefined;
  for (let left = count; left > 0; ) {
    const page = await ask(program, room.history({ ...(before !== undefined && { before }), limit: Math.min(PAGE_CHATS, left) }));
    before = page.chats[0]?.seq ?? before;
    left -= page.chats.length;
    if (!page.more.before || page.chats.length === 0) return (before ?? 1) - 1;
  }
  return before === undefined ? room.position.seq : before - 1;
}

interface Left {
  why: 'enough' | 'full' | 'reset';
  position: Position;
}

/** Tells what comes, until that is enough, too much waits, or the room was set back. */
function hear(room: Room, options: Following, place: Position | 'newest'): Promise<Left> {
  const hearing = new Hearing(room, options, place === 'newest' ? room.position : place);
  return hearing.left;
}

/** Entries are told one after the other: one may have to wait for what it replies to. */
class Hearing {
  readonly left: Promise<Left>;
  readonly #room: Room;
  readonly #options: Following;
  /** Up to here it was told. */
  #position: Position;
  #waiting: Missed[] = [];
  #isTelling = false;
  /** Why no more is told; what is being told still is. */
  #why: Left['why'] | undefined;
  #leave: (left: Left) => void = () => undefined;

  constructor(room: Room, options: Following, position: Position) {
    this.#room = room;
    this.#options = options;
    this.#position = position;
    this.left = new Promise((resolve) => {
      this.#leave = resolve;
    });
    room.on('reset', () => this.#end('reset'));
    room.on('entry', (entry) => this.#heard(entry));
  }

  #heard(entry: Missed): void {
    const { program } = this.#options;
    if (this.#why !== undefined) return;
    // They came back to read on, before they knew.
    if (entry.kind === 'remove:member' && entry.reason === 'removed' && entry.username === this.#room.username)
      program.fail(new Failure(`${this.#room.id}: ${entry.by} removed you`));
    this.#waiting.push(entry);
    if (this.#waiting.length > MOST_WAITING) this.#end('full');
    else if (!this.#isTelling) void this.#tellWaiting();
  }

  async #tellWaiting(): Promise<void> {
    this.#isTelling = true;
    for (let entry = this.#waiting.shift(); entry; entry = this.#waiting.shift()) {
      const isEnough = await this.#tell(entry);
      if (isEnough) this.#end('enough');
      else if (this.#options.program.out.isFull) this.#end('full');
    }
    this.#isTelling = false;
    this.#leaveIfOver();
  }

  async #tell(entry: Missed): Promise<boolean> {
    const { tell, isAll, targets } = this.#options;
    const position = { epoch: entry.epoch, seq: entry.seq, id: entry.id };
    const chat = chatIn(entry);
    let isEnough = false;
    if (chat) isEnough = await tell({ chat, position, target: () => targetOf(chat, this.#room, targets) });
    else if (isAll) isEnough = await tell({ entry, position });
    this.#position = position;
    if (chat) targets.told(chat, entry.epoch);
    else targets.changed(entry);
    return isEnough;
  }

  #end(why: Left['why']): void {
    this.#why ??= why;
    this.#waiting = [];
    this.#leaveIfOver();
  }

  #leaveIfOver(): void {
    if (this.#why !== undefined && !this.#isTelling) this.#leave({ why: this.#why, position: this.#position });
  }
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

async function ask<Value extends { ok: true } | { ok: false; error: { message: string } }>(
  program: Program,
  question: Promise<Value>,
): Promise<Extract<Value, { ok: true }>> {
  const answer = await program.unlessOver(question);
  if (!answer.ok) throw new Failure(answer.error.message);
  return answer as Extract<Value, { ok: true }>;
}
