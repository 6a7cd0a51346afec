/** A joined room: what an application reads of it, and does in it. */
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

/** The events of a room, with their payloads. */
export interface RoomEvents {
  /** The timeline or any getter of the room has changed; once for all changes of the same tick. */
  change: undefined;
  /** A new chat, live or missed. Each chat once. */
  chat: Chat;
  /** Each entry once, in order, without gaps. After a gap that cannot be filled there is a `reset`. */
  entry: MissedEntry;
  /** The other members who are typing; see also `hasMoreTypingUsers`. */
  typing: readonly string[];
  presence: { username: string; presence: Presence; online: number };
  /**
   * The numbers of members, and a sample of those who joined or left. In a large room it replaces `presence` and the entries of
   * joins and leaves. In any room it follows when `online` was not up to date.
   */
  members: { members: number; online: number; joined: string[]; left: string[] };
  /** A member has read up to this seq. */
  read: { username: string; read: number };
  reset: RoomReset;
  /** A chat, edit, deletion or reaction failed for good; its `error` says why. It may be from before a reload. */
  failed: OutgoingRequest;
  ended: RoomEnding;
  state: RoomState;
}

/** Options of a chat. */
export interface SendOptions {
  /** The seq of the chat that this one replies to. */
  replyTo?: number;
}

/** A range of chats; the newest ones if no seq is given. */
export type HistoryRange = Pick<RequestInput<'list:chats'>, 'before' | 'after' | 'around' | 'limit'>;

/** A range of members: those after a name, and the largest number to return. */
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
 * A joined room. It stays joined across drops, sleep and restarts of the server, until it has `ended`. Commands wait for the
 * connection without a time limit and resolve with a result; they never throw.
 */
export class Room {
  /** The chats to show. */
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

  /** The timeline may be behind the room. */
  get isStale(): boolean {
    return this.state !== 'live';
  }

  /** Progress in entries, while the missed entries need several answers, as on a slow network. */
  get catchUpProgress(): { readonly done: number; readonly total: number } | undefined {
    return this.#parts.roomSync.catchUpProgress;
  }

  /** The own name in this room. */
  get username(): string {
    return this.#parts.roomSync.username;
  }

  get role(): 'owner' | 'member' {
    return this.#parts.roomInfo.role;
  }

  get topic(): string {
    return this.#parts.roomInfo.topic;
  }

  /** How much of the log the owner wants to retain; the server may retain less. */
  get retention(): Retention {
    return this.#parts.roomInfo.retention;
  }

  /** The number of members. */
  get members(): number {
    return this.#parts.roomInfo.members;
  }

  /** The number of connected members, as of the last event. */
  get online(): number {
    return this.#parts.roomInfo.online;
  }

  /** The last entry that was delivered to the listeners. Applications that store it themselves pass it to `join` as `from`. */
  get position(): Position {
    return this.#parts.roomSync.position ?? UNKNOWN_POSITION;
  }

  /** The own read mark: the seq of an entry. The server stores it for the session until the room is deleted. */
  get lastReadSeq(): number {
    return this.#parts.readMarks.own;
  }

  /**
   * The number of chats by others after the read mark, without deleted ones. At a join the server counts at most a hundred
   * (`limits.unreadMax`).
   */
  get unread(): number {
    return this.#parts.readMarks.unread;
  }

  /** The number of unread chats that mention this member. */
  get mentions(): number {
    return this.#parts.readMarks.mentions;
  }

  /** The read marks of the other members, as of the last events: seqs by username. */
  get readMarks(): ReadonlyMap<string, number> {
    return this.#parts.readMarks.others;
  }

  /** More members are typing than `typingUsers` has; only in a large room. */
  get hasMoreTypingUsers(): boolean {
    return this.#parts.typing.hasMore;
  }

  /** The other members who are typing. */
  get typingUsers(): readonly string[] {
    return this.#parts.typing.others;
  }

  /**
   * Calls the listener after each change, as `change` does; for `useSyncExternalStore` and similar APIs. A getter returns the
   * same value, by `===`, until it changes.
   */
  readonly subscribe = (listener: () => void): (() => void) => this.on('change', listener);

  /** Returns a function that removes the listener. */
  on<Name extends keyof RoomEvents>(name: Name, listener: (payload: RoomEvents[Name]) => void): () => void {
    return this.#parts.emitter.on(name, listener);
  }

  /** Sends a chat. It is shown at once, and delivered once, in order, as soon as there is a connection. */
  send(message: string, { replyTo }: SendOptions = {}): OutgoingChat {
    this.#parts.typing.reset();
    return this.#parts.outbox.send('create:chat', { message, ...(replyTo !== undefined && { replyTo }) });
  }

  /**
   * Replaces the text of an own chat; the owner may edit any chat. Like `delete`, `react` and `unreact` it is shown at once, and
   * stored and sent as chats are.
   */
  edit(seq: number, message: string): Promise<Result<'update:chat'>> {
    return this.#sendChange('update:chat', { chatSeq: seq, message });
  }

  /** Deletes an own chat; the owner may delete any chat. */
  delete(seq: number): Promise<Result<'delete:chat'>> {
    return this.#sendChange('delete:chat', { chatSeq: seq });
  }

  react(seq: number, emoji: string): Promise<Result<'add:reaction'>> {
    return this.#sendChange('add:reaction', { chatSeq: seq, reaction: emoji });
  }

  unreact(seq: number, emoji: string): Promise<Result<'remove:reaction'>> {
    return this.#sendChange('remove:reaction', { chatSeq: seq, reaction: emoji });
  }

  /** Only for the owner. */
  setTopic(topic: string): Promise<Result<'update:room'>> {
    return this.#parts.roomSync.sendCommand('update:room', { topic });
  }

  /**
   * Only for the owner: how much of the log to retain; everything with `{}`. Entries beyond it are removed for good, the oldest
   * first.
   */
  setRetention(retention: Retention): Promise<Result<'update:room'>> {
    return this.#parts.roomSync.sendCommand('update:room', { retention });
  }

  /** Only for the owner: removes a member. One's own name leaves the room. */
  remove(username: string): Promise<{ ok: true } | FailedResult> {
    const name = username.normalize();
    return name === this.username ? this.leave() : this.#parts.roomSync.sendCommand('remove:member', { username: name });
  }

  /** Frees the name and ends the room. */
  leave(): Promise<{ ok: true } | FailedResult> {
    return this.#parts.roomSync.leave();
  }

  /**
   * Call it once for each `join` of the room; the last call ends it. The room receives nothing more, and the member stays as
   * after a drop. The position and unsent chats stay in the storage for the next `join`.
   */
  close(): void {
    this.#parts.close();
  }

  /** Only for the owner: deletes the room and its log. */
  async deleteRoom(): Promise<Result<'delete:room'>> {
    const result = await this.#parts.roomSync.sendCommand('delete:room', {});
    if (result.ok) this.#parts.roomSync.end({ reason: 'deleted' });
    return result;
  }

  /** A page of chats, oldest first, independent of the timeline. */
  history(range: HistoryRange = {}): Promise<Result<'list:chats'>> {
    return this.#parts.roomSync.requestUntilAnswered('list:chats', { roomId: this.id, ...range });
  }

  /** A page of members, ordered by name. */
  listMembers(range: MemberRange = {}): Promise<Result<'list:members'>> {
    return this.#parts.roomSync.requestUntilAnswered('list:members', { roomId: this.id, ...range });
  }

  /**
   * Call it at every key press. The room is notified every three seconds, and five seconds after the last call that typing has
   * stopped.
   */
  typing(): void {
    this.#parts.typing.start();
  }

  stopTyping(): void {
    this.#parts.typing.stop();
  }

  setPresence(presence: 'online' | 'away'): void {
    this.#parts.setPresence(presence);
  }

  /** Marks everything up to this seq as read; up to the newest entry without one. A mark never moves back. */
  markRead(seq: number = this.position.seq): void {
    this.#parts.readMarks.markRead(Math.min(seq, this.position.seq));
  }

  #sendChange<E extends OutgoingEvent>(event: E, fields: StoredRequest['fields']): Promise<Result<E>> {
    return this.#parts.outbox.send(event, fields).settled;
  }
}
