import type { Chat, MissedEntry, Presence, RequestInput, Retention } from '@engawa/protocol';
import type { Position } from '@engawa/protocol/position';
import type { Emitter } from '../connection/emitter.ts';
import type { FailedResult, Result } from '../connection/result.ts';
import type { OutgoingEvent, StoredRequest } from '../storage/outbox-store.ts';
import type { Outbox, OutgoingChat, OutgoingRequest } from './outbox.ts';
import type { ReadMarks } from './read-marks.ts';
import type { RoomInfo } from './room-info.ts';
import { type RoomEnding, type RoomReset, type RoomState, type RoomSync, UNKNOWN_POSITION } from './room-sync.ts';
import type { RoomTimeline } from './timeline.ts';
import type { Typing } from './typing.ts';

/** What a room tells, and with what. */
export interface RoomEvents {
  /** The timeline, or anything else that the room shows, is another than before; told once for all that changed together. */
  change: undefined;
  /** A new chat. Told also of chats that were missed, never twice. */
  chat: Chat;
  /** Each entry once, in order, with none missing between two; a `reset` says when that could not be. */
  entry: MissedEntry;
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
  reset: RoomReset;
  /** A chat, an edit, a deletion or a reaction was refused for good, and `error` says why; it may have been written before a reload. */
  failed: OutgoingRequest;
  ended: RoomEnding;
  state: RoomState;
}

/** What a chat is beside its text. */
export interface SendOptions {
  /** The seq of the chat that it answers. */
  replyTo?: number;
}

/** What of a history is asked for; the newest chats when no seq is named. */
export type HistoryRange = Pick<RequestInput<'list:chats'>, 'before' | 'after' | 'around' | 'limit'>;

/** Which members are asked for: those after a name, and how many at most. */
export type MemberRange = Pick<RequestInput<'list:members'>, 'after' | 'limit'>;

/** @internal */
export interface RoomParts {
  roomSync: RoomSync;
  outbox: Outbox;
  roomInfo: RoomInfo;
  typing: Typing;
  readMarks: ReadMarks;
  timeline: RoomTimeline;
  emitter: Emitter<RoomEvents>;
  setPresence: (presence: 'online' | 'away') => void;
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
    return this.#parts.roomSync.roomId;
  }

  get state(): RoomState {
    return this.#parts.roomSync.state;
  }

  /** Why it has ended. */
  get ending(): RoomEnding | undefined {
    return this.#parts.roomSync.ending;
  }

  /** What is shown may be behind. */
  get isStale(): boolean {
    return this.state !== 'live';
  }

  /**
   * How many entries of those that were missed were told, and how many there are, while it catches up in several answers, as on a
   * slow line.
   */
  get catchUpProgress(): { readonly done: number; readonly total: number } | undefined {
    return this.#parts.roomSync.catchUpProgress;
  }

  /** One's own name here. */
  get username(): string {
    return this.#parts.roomSync.username;
  }

  get role(): 'owner' | 'member' {
    return this.#parts.roomInfo.role;
  }

  get topic(): string {
    return this.#parts.roomInfo.topic;
  }

  /** What is kept of the room's log, by its owner's wish; the server may keep less. */
  get retention(): Retention {
    return this.#parts.roomInfo.retention;
  }

  /** How many members. */
  get members(): number {
    return this.#parts.roomInfo.members;
  }

  /** How many of them are connected, as far as it was heard. */
  get online(): number {
    return this.#parts.roomInfo.online;
  }

  /** Up to where everything was told to the listeners. To be given to `join` as `from`, by who keeps it himself. */
  get position(): Position {
    return this.#parts.roomSync.position ?? UNKNOWN_POSITION;
  }

  /** How far oneself has read: the seq of an entry. It is kept for the session as long as the room is there. */
  get lastReadSeq(): number {
    return this.#parts.readMarks.own;
  }

  /**
   * How many chats by others there are after that, without those that were deleted. Of what was there at the join the server
   * counts a hundred at most (`limits.unreadMax`).
   */
  get unread(): number {
    return this.#parts.readMarks.unread;
  }

  /** How many of those name oneself. */
  get mentions(): number {
    return this.#parts.readMarks.mentions;
  }

  /** How far others have read, as far as it was heard: seqs by username. */
  get readMarks(): ReadonlyMap<string, number> {
    return this.#parts.readMarks.others;
  }

  /** More are typing than `whoIsTyping` names, as they may in a large room. */
  get hasMoreTypingUsers(): boolean {
    return this.#parts.typing.hasMore;
  }

  /** Who is typing, without oneself. */
  get typingUsers(): readonly string[] {
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
    this.#parts.typing.reset();
    return this.#parts.outbox.send('create:chat', { message, ...(replyTo !== undefined && { replyTo }) });
  }

  /** Replaces the text of an own chat; the owner may replace any. Shown at once, and kept and sent like a chat, as are the next three. */
  edit(seq: number, message: string): Promise<Result<'update:chat'>> {
    return this.#sendChange('update:chat', { chatSeq: seq, message });
  }

  /** Deletes an own chat; the owner may delete any. */
  delete(seq: number): Promise<Result<'delete:chat'>> {
    return this.#sendChange('delete:chat', { chatSeq: seq });
  }

  react(seq: number, emoji: string): Promise<Result<'add:reaction'>> {
    return this.#sendChange('add:reaction', { chatSeq: seq, reaction: emoji });
  }

  unreact(seq: number, emoji: string): Promise<Result<'remove:reaction'>> {
    return this.#sendChange('remove:reaction', { chatSeq: seq, reaction: emoji });
  }

  /** For the owner. */
  setTopic(topic: string): Promise<Result<'update:room'>> {
    return this.#parts.roomSync.sendCommand('update:room', { topic });
  }

  /** For the owner: what is kept of the log from now on; all of it with `{}`. What exceeds it goes for good, the oldest entries first. */
  setRetention(retention: Retention): Promise<Result<'update:room'>> {
    return this.#parts.roomSync.sendCommand('update:room', { retention });
  }

  /** For the owner: somebody is a member no more. Who removes himself leaves. */
  remove(username: string): Promise<{ ok: true } | FailedResult> {
    const name = username.normalize();
    return name === this.username ? this.leave() : this.#parts.roomSync.sendCommand('remove:member', { username: name });
  }

  /** The name is free again, and the room has ended. */
  leave(): Promise<{ ok: true } | FailedResult> {
    return this.#parts.roomSync.leave();
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
    const result = await this.#parts.roomSync.sendCommand('delete:room', {});
    if (result.ok) this.#parts.roomSync.end({ reason: 'deleted' });
    return result;
  }

  /** A page of chats, oldest first, which has nothing to do with the timeline. */
  history(range: HistoryRange = {}): Promise<Result<'list:chats'>> {
    return this.#parts.roomSync.requestUntilAnswered('list:chats', { roomId: this.id, ...range });
  }

  /** A page of the members, in the order of their names. */
  listMembers(range: MemberRange = {}): Promise<Result<'list:members'>> {
    return this.#parts.roomSync.requestUntilAnswered('list:members', { roomId: this.id, ...range });
  }

  /** To be called at every key: the room hears it every three seconds, and that it is over five seconds after the last. */
  typing(): void {
    this.#parts.typing.start();
  }

  stopTyping(): void {
    this.#parts.typing.stop();
  }

  setPresence(presence: 'online' | 'away'): void {
    this.#parts.setPresence(presence);
  }

  /** Everything up to here was read; up to the newest when no seq is given. A mark never goes back. */
  markRead(seq: number = this.position.seq): void {
    this.#parts.readMarks.markRead(Math.min(seq, this.position.seq));
  }

  #sendChange<E extends OutgoingEvent>(event: E, fields: StoredRequest['fields']): Promise<Result<E>> {
    return this.#parts.outbox.send(event, fields).settled;
  }
}
