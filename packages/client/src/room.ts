import type { Ask, Chat, Missed, Presence, Retention } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';
import type { Emitter } from './emitter.ts';
import type { Facts } from './facts.ts';
import { type Ending, type Follower, NOWHERE, type Reset, type RoomState } from './follower.ts';
import type { Outbox, Outgoing, OutgoingChat } from './outbox.ts';
import type { ReadMarks } from './read-marks.ts';
import type { Refused, Result } from './result.ts';
import type { RoomTimeline } from './room-timeline.ts';
import type { Typing } from './typing.ts';
import type { OutgoingEvent, StoredRequest } from './unsent.ts';

/** What a room tells, and with what. */
export interface RoomEvents {
  /** The timeline, or anything else that the room shows, is another than before; told once for all that changed together. */
  change: undefined;
  /** A new chat. Told also of chats that were missed, never twice. */
  chat: Chat;
  /** Each entry once, in order, with none missing between two; a `reset` says when that could not be. */
  entry: Missed;
  /** Who is typing now, without oneself; see also `severalAreTyping`. */
  typing: readonly string[];
  presence: { username: string; presence: Presence; online: number };
  /**
   * How many there are, and some who joined or left: in a large room instead of `presence` and of entries of joins and leaves, in
   * any room when another number is online than was told.
   */
  members: { members: number; online: number; joined: string[]; left: string[] };
  /** Somebody has read up to this seq. */
  read: { username: string; read: number };
  reset: Reset;
  /** A chat, an edit, a deletion or a reaction was refused for good, and `error` says why; it may have been written before a reload. */
  failed: Outgoing;
  ended: Ending;
  state: RoomState;
}

/** What a chat is beside its text. */
export interface SendOptions {
  /** The seq of the chat that it answers. */
  replyTo?: number;
}

/** What of a history is asked for; the newest chats when no seq is named. */
export type HistoryRange = Pick<Ask<'list:chats'>, 'before' | 'after' | 'around' | 'limit'>;

/** Which members are asked for: those after a name, and how many at most. */
export type MemberRange = Pick<Ask<'list:members'>, 'after' | 'limit'>;

/** @internal */
export interface RoomParts {
  follower: Follower;
  outbox: Outbox;
  facts: Facts;
  typing: Typing;
  marks: ReadMarks;
  timeline: RoomTimeline;
  emitter: Emitter<RoomEvents>;
  present: (presence: 'online' | 'away') => void;
  close: () => void;
}

/**
 * A room that was joined. It stays joined over drops, sleeps and restarts, until it has `ended`. Commands wait for the
 * connection as long as it takes, and resolve with a result; they never throw.
 */
export class Room {
  /** The chats, as they are to be shown. */
  readonly timeline: RoomTimeline;
  readonly #parts: RoomParts;

  /** @internal */
  constructor(parts: RoomParts) {
    this.#parts = parts;
    this.timeline = parts.timeline;
  }

  get id(): string {
    return this.#parts.follower.roomId;
  }

  get state(): RoomState {
    return this.#parts.follower.state;
  }

  /** Why it has ended. */
  get ending(): Ending | undefined {
    return this.#parts.follower.ending;
  }

  /** What is shown may be behind. */
  get stale(): boolean {
    return this.state !== 'live';
  }

  /**
   * How many entries of those that were missed were told, and how many there are, while it catches up in several answers, as on a
   * slow line.
   */
  get catchUp(): { readonly done: number; readonly total: number } | undefined {
    return this.#parts.follower.catchUp;
  }

  /** One's own name here. */
  get username(): string {
    return this.#parts.follower.username;
  }

  get role(): 'owner' | 'member' {
    return this.#parts.facts.role;
  }

  get topic(): string {
    return this.#parts.facts.topic;
  }

  /** What is kept of the room's log, by its owner's wish; the server may keep less. */
  get retention(): Retention {
    return this.#parts.facts.retention;
  }

  /** How many members. */
  get members(): number {
    return this.#parts.facts.members;
  }

  /** How many of them are connected, as far as it was heard. */
  get online(): number {
    return this.#parts.facts.online;
  }

  /** Up to where everything was told to the listeners. To be given to `join` as `from`, by who keeps it himself. */
  get position(): Position {
    return this.#parts.follower.position ?? NOWHERE;
  }

  /** How far oneself has read: the seq of an entry. It is kept for the session as long as the room is there. */
  get read(): number {
    return this.#parts.marks.own;
  }

  /**
   * How many chats by others there are after that, without those that were deleted. Of what was there at the join the server
   * counts a hundred at most (`limits.unreadMax`).
   */
  get unread(): number {
    return this.#parts.marks.unread;
  }

  /** How many of those name oneself. */
  get mentions(): number {
    return this.#parts.marks.mentions;
  }

  /** How far others have read, as far as it was heard: seqs by username. */
  get readers(): ReadonlyMap<string, number> {
    return this.#parts.marks.others;
  }

  /** More are typing than `whoIsTyping` names, as they may in a large room. */
  get severalAreTyping(): boolean {
    return this.#parts.typing.several;
  }

  /** Who is typing, without oneself. */
  get whoIsTyping(): readonly string[] {
    return this.#parts.typing.others;
  }

  /**
   * Calls the listener after every change, as `change` does; for `useSyncExternalStore` and its like. What a getter returns stays
   * the same, by `===`, until it is another.
   */
  readonly subscribe = (listener: () => void): (() => void) => this.on('change', listener);

  /** Returns what ends the listening. */
  on<Name extends keyof RoomEvents>(name: Name, listener: (payload: RoomEvents[Name]) => void): () => void {
    return this.#parts.emitter.on(name, listener);
  }

  /** Says something. It is shown at once, and sent in order, once, as soon as that can be. */
  send(message: string, { replyTo }: SendOptions = {}): OutgoingChat {
    this.#parts.typing.sent();
    return this.#parts.outbox.send('create:chat', { message, ...(replyTo !== undefined && { replyTo }) });
  }

  /** Replaces the text of an own chat; the owner may replace any. Shown at once, and kept and sent like a chat, as are the next three. */
  edit(seq: number, message: string): Promise<Result<'update:chat'>> {
    return this.#change('update:chat', { chatSeq: seq, message });
  }

  /** Deletes an own chat; the owner may delete any. */
  delete(seq: number): Promise<Result<'delete:chat'>> {
    return this.#change('delete:chat', { chatSeq: seq });
  }

  react(seq: number, emoji: string): Promise<Result<'add:reaction'>> {
    return this.#change('add:reaction', { chatSeq: seq, reaction: emoji });
  }

  unreact(seq: number, emoji: string): Promise<Result<'remove:reaction'>> {
    return this.#change('remove:reaction', { chatSeq: seq, reaction: emoji });
  }

  /** For the owner. */
  setTopic(topic: string): Promise<Result<'update:room'>> {
    return this.#parts.follower.command('update:room', { topic });
  }

  /** For the owner: what is kept of the log from now on; all of it with `{}`. What exceeds it goes for good, the oldest entries first. */
  setRetention(retention: Retention): Promise<Result<'update:room'>> {
    return this.#parts.follower.command('update:room', { retention });
  }

  /** For the owner: somebody is a member no more. Who removes himself leaves. */
  remove(username: string): Promise<{ ok: true } | Refused> {
    const name = username.normalize();
    return name === this.username ? this.leave() : this.#parts.follower.command('remove:member', { username: name });
  }

  /** The name is free again, and the room has ended. */
  leave(): Promise<{ ok: true } | Refused> {
    return this.#parts.follower.leave();
  }

  /**
   * To be called once for each `join` of the room: the last one ends it. Then it follows the room no more, and stays a member as who drops does. What was not sent, and where one was, is kept in the
   * storage, for the next `join`.
   */
  close(): void {
    this.#parts.close();
  }

  /** For the owner: the room is gone, with all that was said in it. */
  async deleteRoom(): Promise<Result<'delete:room'>> {
    const result = await this.#parts.follower.command('delete:room', {});
    if (result.ok) this.#parts.follower.end({ reason: 'deleted' });
    return result;
  }

  /** A page of chats, oldest first, which has nothing to do with the timeline. */
  history(range: HistoryRange = {}): Promise<Result<'list:chats'>> {
    return this.#parts.follower.insist('list:chats', { roomId: this.id, ...range });
  }

  /** A page of the members, in the order of their names. */
  listMembers(range: MemberRange = {}): Promise<Result<'list:members'>> {
    return this.#parts.follower.insist('list:members', { roomId: this.id, ...range });
  }

  /** To be called at every key: the room hears it every three seconds, and that it is over five seconds after the last. */
  typing(): void {
    this.#parts.typing.start();
  }

  stopTyping(): void {
    this.#parts.typing.stop();
  }

  setPresence(presence: 'online' | 'away'): void {
    this.#parts.present(presence);
  }

  /** Everything up to here was read; up to the newest when no seq is given. A mark never goes back. */
  markRead(seq: number = this.position.seq): void {
    this.#parts.marks.mark(Math.min(seq, this.position.seq));
  }

  #change<E extends OutgoingEvent>(event: E, fields: StoredRequest['fields']): Promise<Result<E>> {
    return this.#parts.outbox.send(event, fields).settled;
  }
}
