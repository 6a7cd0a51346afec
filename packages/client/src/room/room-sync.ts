import type { Ack, Chat, ChatPage, CommandName, ErrorPayload, EventName, RequestInput, ResumeResult, ServerNotice } from '@engawa/protocol';
import { isSameLineage, type Position } from '@engawa/protocol/position';
import { backoff } from '../connection/backoff.ts';
import type { Connection } from '../connection/connection.ts';
import { closedResult, type ErrorInfo, type FailedResult, failedResult, type Result } from '../connection/result.ts';
import type { EntryRef } from '../storage/outbox-store.ts';
import { ChatWindow } from '../timeline/chat-window.ts';
import { type Entry, isKind, parseEntry } from '../timeline/entry.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import type { ResumableRoom, ResumeBatcher } from './resume-batcher.ts';
import type { MemberCounts, Membership } from './room-info.ts';

/**
 * `joining` until the room was joined and its newest chats are there; `live`: what is shown is what is; `catching up`
 * after a drop or a gap; `offline` without a connection; `ended` for good.
 */
export type RoomState = 'joining' | 'live' | 'catching up' | 'offline' | 'ended';

/** Why a room is over. */
export interface RoomEnding {
  /** `refused`: it could not be joined (again), and `error` says why. `closed`: it was closed, or the client was. */
  reason: 'left' | 'removed' | 'deleted' | 'refused' | 'closed';
  /** Who removed one, or deleted the room; not known when one was away. */
  by?: string;
  error?: ErrorInfo;
}

/** The chats are others than before: `too_old`, too much was missed; `reset`, the log of the room was set back or replaced. */
export interface RoomReset {
  reason: 'too_old' | 'reset';
}

interface RoomSyncListeners {
  /** Again when it may have changed unheard. */
  onJoin(membership: Membership): void;
  onMemberCounts(counts: MemberCounts): void;
  /** The room may be handed out: nothing is told before. */
  onReady(): void;
  onEntry(entry: Entry): void;
  onPosition(position: Position): void;
  /** `isLost`: which own chats the new log may not have. */
  onReset(reset: RoomReset, isLost: (place: EntryRef) => boolean): void;
  onStateChange(state: RoomState): void;
  /** Something was refused that is asked again by itself. */
  onRetryableError(error: ErrorPayload): void;
  onEnd(ending: RoomEnding): void;
}

export interface RoomSyncOptions {
  connection: Connection;
  resumeBatcher: ResumeBatcher;
  roomId: string;
  username: string;
  create: boolean;
  topic: string | undefined;
  maxChats: number;
  /** Where to go on; from the head when not given. */
  from: Position | undefined;
  newId: () => string;
  listeners: RoomSyncListeners;
}

const INITIAL_CHATS = 50;
/** A position that no log has. */
export const UNKNOWN_POSITION: Position = { epoch: '', seq: 0, id: null };
const MAX_RESUME_ROUNDS = 5;
/** Refusals `not_a_member` in a row of one who is a member as far as the room says. */
const MAX_DENIALS = 5;

/** Follows the log of one room over connections that come and go, so that each entry is told once, in order, with none missing. */
export class RoomSync implements ResumableRoom {
  readonly #options: RoomSyncOptions;
  readonly #connection: Connection;
  readonly #listeners: RoomSyncListeners;
  readonly #reorderBuffer = new ReorderBuffer();
  readonly roomId: string;
  readonly #requestedEntries = new WeakSet<Entry>();
  state: RoomState = 'joining';
  ending: RoomEnding | undefined;
  chatWindow: ChatWindow | undefined;
  username: string;
  #hasInitialChats = false;
  #isReady = false;
  /** What is shown once it is joined may be behind, and is to be asked for. */
  #needsResume = false;
  #hasRejoined = false;
  /** The log did not say what became of the position. */
  #hasDiverged = false;
  #isLeaving = false;
  /** The epoch of the last answer to a join. */
  #joinedEpoch: string | undefined;
  /** How far it is, in entries, while what was missed comes in several answers. */
  catchUpProgress: { readonly done: number; readonly total: number } | undefined;
  /** Rounds of catching up that brought no end. */
  #resumeRounds = 0;
  /** Until the room is live, or has ended. */
  #liveWaiters: (() => void)[] = [];

  constructor(options: RoomSyncOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#listeners = options.listeners;
    this.username = options.username;
    this.roomId = options.roomId;
  }

  /** Those that the room has told. */
  get chats(): readonly Chat[] {
    return this.chatWindow?.chats ?? [];
  }

  /** Up to where it is told. */
  get position(): Position | undefined {
    return this.chatWindow?.position;
  }

  get heldPosition(): Position | undefined {
    return this.#hasDiverged ? UNKNOWN_POSITION : this.position;
  }

  /** There is a connection. */
  onConnect(): void {
    if (!this.ending) void this.#start();
  }

  onDisconnect(): void {
    this.#reorderBuffer.clear();
    this.#resumeRounds = 0;
    if (!this.ending) this.#setState(this.#hasInitialChats ? 'offline' : 'joining');
  }

  /** What is shown may be behind: asks. */
  requestResume(): void {
    // Who is still joining asks when he has.
    if (!this.#hasInitialChats) this.#needsResume = true;
    if (this.ending || !this.#hasInitialChats || !this.#connection.isUp) return;
    this.#setState('catching up');
    this.#options.resumeBatcher.add(this);
  }

  receive(entry: Entry): void {
    if (this.ending) return;
    if (this.#canDeliver && this.#deliver(entry)) return;
    this.#reorderBuffer.add(entry);
    if (this.#canDeliver) this.requestResume();
  }

  onResetNotice({ epoch }: Pick<ServerNotice<'reset:room'>, 'epoch'>): void {
    if (epoch === null) this.end({ reason: 'deleted' });
    else if (epoch !== this.position?.epoch) this.requestResume();
  }

  /** The log does not say what became of the position: the newest chats, then, and an open word that it is so. */
  resyncFromNewest(): void {
    this.#hasDiverged = true;
    this.requestResume();
  }

  onResumeResult(outcome: ResumeResult): void {
    if (this.ending) return;
    if ('entries' in outcome) this.#applyMissed(outcome);
    else if ('page' in outcome) this.#restartFromPage(outcome);
    else if ('error' in outcome) void this.#onResumeError(outcome.error);
  }

  end(ending: RoomEnding): void {
    if (this.ending) return;
    this.ending = ending;
    this.#reorderBuffer.clear();
    this.#setState('ended');
    this.#wakeWaiters();
    this.#listeners.onEnd(ending);
  }

  /** Asks, over as many connections as it takes, until there is a definitive answer. What is asked, if anything, may change with the log. */
  async requestUntilAnswered<E extends EventName>(
    event: E,
    payload: RequestInput<E> | (() => RequestInput<E> | FailedResult),
  ): Promise<Result<E>> {
    for (let attempt = 0, denials = 0; ; attempt += 1) {
      if (!this.#canDeliver && !this.ending) await new Promise<void>((resolve) => this.#liveWaiters.push(resolve));
      if (this.ending) return this.endedResult;
      const request = typeof payload === 'function' ? payload() : payload;
      if ('error' in request) return request;
      const answer = await this.#connection.request(event, request);
      if (answer?.ok) return answer;
      const isDenied = answer?.error.code === 'not_a_member' && ++denials < MAX_DENIALS;
      if (isDenied || answer?.error.code === 'room_not_found') this.requestResume();
      if (answer && !answer.error.retryable && !isDenied) return { ok: false, error: answer.error };
      if (this.state === 'live') await this.#connection.timers.sleep(answer?.error.retryAfter ?? backoff(attempt));
    }
  }

  /** Does something as the member that this is, once. */
  sendCommand<E extends CommandName>(event: E, fields: object): Promise<Result<E>> {
    const { roomId, username } = this;
    return this.requestUntilAnswered(event, { roomId, username, clientId: this.#options.newId(), ...fields } as unknown as RequestInput<E>);
  }

  /** Who leaves and finds that he has left is not to come back. */
  async leave(): Promise<{ ok: true } | FailedResult> {
    this.#isLeaving = true;
    const result = await this.sendCommand('remove:member', {});
    this.#isLeaving = false;
    if (result.ok) this.end({ reason: 'left' });
    return result.ok || this.ending?.reason === 'left' ? { ok: true } : result;
  }

  /** What is answered once it has ended. */
  get endedResult(): FailedResult {
    const { reason, error } = this.ending ?? { reason: 'closed' };
    if (error) return { ok: false, error };
    if (reason === 'removed') return failedResult(reason, 'You were removed.');
    return reason === 'deleted' ? failedResult('room_not_found', 'Room does not exist.') : closedResult();
  }

  async #start(): Promise<void> {
    const { generation } = this.#connection;
    if (this.chatWindow && this.#hasInitialChats) return this.requestResume();
    if (!this.chatWindow && !(await this.#join())) return;
    await this.#loadInitialChats();
    if (generation !== this.#connection.generation || this.ending) return;
    this.#hasInitialChats = true;
    // Nothing is told before the next turn, so that whoever waited for the room hears all of it.
    const isUpToDate = !this.#needsResume && this.position !== undefined && this.#reorderBuffer.hasNothingNewFor(this.position);
    this.#setState(isUpToDate ? 'live' : 'catching up');
    this.#listeners.onReady();
    await this.#connection.timers.sleep(0);
    this.#isReady = true;
    if (generation !== this.#connection.generation) return;
    if (this.#needsResume) this.requestResume();
    else this.#drainBuffer();
  }

  /** Entries are told as they are heard. */
  get #canDeliver(): boolean {
    return this.state === 'live' && this.#isReady;
  }

  async #join(): Promise<boolean> {
    const joined = await this.#requestJoin();
    if (!joined || this.ending) return false;
    if (!joined.ok) {
      this.end({ reason: 'refused', error: joined.error });
      return false;
    }
    const { from, maxChats } = this.#options;
    const head = { epoch: joined.epoch, seq: joined.seq, id: joined.tail };
    this.username = joined.username;
    this.#needsResume ||= from !== undefined && !(from.epoch === head.epoch && from.seq === head.seq && from.id === head.id);
    this.chatWindow = new ChatWindow({ me: joined.username, position: from ?? head, maxChats });
    this.#onJoined(joined);
    return true;
  }

  async #requestJoin(): Promise<Ack<'add:member'> | undefined> {
    const { roomId, username, topic, create } = this.#options;
    const added = await this.#requestWhileConnected('add:member', { roomId, username });
    if (!create || !hasErrorCode(added, 'room_not_found')) return added;
    const created = await this.#requestWhileConnected('create:room', { roomId, username, ...(topic !== undefined && { topic }) });
    return hasErrorCode(created, 'room_exists') ? this.#requestWhileConnected('add:member', { roomId, username }) : created;
  }

  /** The chats before the position. Without them the room goes on all the same: they can be loaded as older ones. */
  async #loadInitialChats(): Promise<void> {
    const chatWindow = this.chatWindow;
    if (!chatWindow) return;
    const edge = chatWindow.edge('before');
    chatWindow.beginLoad();
    const limit = Math.min(INITIAL_CHATS, chatWindow.maxChats);
    const page = await this.#requestWhileConnected('list:chats', { roomId: this.roomId, before: edge, limit });
    if (page?.ok) chatWindow.insertPage(page, 'before', edge);
    // An own name may be a member no more, and after a drop something was told since the joining: resuming finds out.
    else this.#needsResume = true;
  }

  /** Takes the entry in if it is the next, and says whether nothing is missing. */
  #deliver(entry: Entry, isLive = true): boolean {
    const relation = this.chatWindow?.applyEntry(entry);
    if (relation !== 'next') return relation === 'known';
    this.#listeners.onEntry(entry);
    if (this.position) this.#listeners.onPosition(this.position);
    if (isLive) this.#endIfTerminal(entry);
    return true;
  }

  /** Only an entry of now: in what was missed there may be an end that is long past. */
  #endIfTerminal(entry: Entry): void {
    if (isKind(entry, 'delete:room')) this.end({ reason: 'deleted', by: entry.by });
    if (!isKind(entry, 'remove:member') || entry.username !== this.username) return;
    if (entry.reason === 'gone') this.requestResume();
    else this.end(entry.reason === 'removed' ? { reason: 'removed', by: entry.by } : { reason: 'left' });
  }

  #applyMissed({
    outcome,
    entries,
    epoch,
    seq,
    id,
    counted,
    head = 0,
  }: Extract<ResumeResult, { entries: unknown[] }> & { head?: number }): void {
    const previousSeq = this.position?.seq ?? 0;
    const isComplete = entries.every((missed) => {
      const entry = parseEntry(missed.kind, missed);
      return entry && this.#deliver(entry, false);
    });
    if (!isComplete || epoch !== this.position?.epoch) {
      this.resyncFromNewest();
      return;
    }
    if (this.chatWindow && seq > this.position.seq) this.chatWindow.position = { epoch, seq, id };
    if (counted) this.#listeners.onMemberCounts({ epoch, ...counted });
    const done = (this.catchUpProgress?.done ?? 0) + seq - previousSeq;
    if (head > seq) this.catchUpProgress = { done, total: done + head - seq };
    this.#listeners.onPosition(this.position);
    if (this.position.seq !== previousSeq) this.#resumeRounds = 0;
    // It was joined in a log that was lost again: what the room said of itself there is not so here.
    if (epoch !== this.#joinedEpoch) void this.#rejoin();
    else if (outcome === 'caught_up') this.#drainBuffer();
    else void this.#retryResume();
  }

  /** All up to the position is told: what was heard meanwhile follows, and if that is whole, the room is live. */
  #drainBuffer(): void {
    const { entries, isComplete } = this.#reorderBuffer.takeAll();
    const missing = entries.filter((entry) => !this.ending && !this.#deliver(entry) && this.#shouldRequestGap(entry));
    if (this.ending) return;
    for (const entry of missing) this.#reorderBuffer.add(entry);
    if (missing.length > 0 || !isComplete) return void this.#retryResume();
    this.#resumeRounds = 0;
    this.#hasRejoined = false;
    this.#setState('live');
    this.#wakeWaiters();
  }

  /** The log has what was heard before it was asked, or never will: an entry of another log, or of an end that was lost. */
  #shouldRequestGap(entry: Entry): boolean {
    const isNew = !this.#requestedEntries.has(entry);
    this.#requestedEntries.add(entry);
    return isNew;
  }

  async #retryResume(): Promise<void> {
    const { generation } = this.#connection;
    this.#resumeRounds += 1;
    this.#setState('catching up');
    if (this.#resumeRounds > 1) await this.#connection.timers.sleep(backoff(this.#resumeRounds));
    if (generation !== this.#connection.generation) return;
    if (this.#resumeRounds > MAX_RESUME_ROUNDS) this.resyncFromNewest();
    else this.requestResume();
  }

  #restartFromPage(outcome: Extract<ResumeResult, { page: unknown }>): void {
    const { outcome: reason, page, epoch, seq, id } = outcome;
    this.#hasDiverged = false;
    const isAlreadyPast = reason === 'too_old' && epoch === this.position?.epoch && seq <= this.position.seq;
    if (isAlreadyPast) {
      this.#drainBuffer();
      return;
    }
    const isLost = reason === 'too_old' ? () => false : this.#lostChatsAfter(page, epoch);
    this.chatWindow?.reset(page, { epoch, seq, id });
    this.#hasInitialChats = true;
    this.#listeners.onReset({ reason }, isLost);
    this.#onJoined(outcome);
    if (this.position) this.#listeners.onPosition(this.position);
    this.#drainBuffer();
  }

  /**
   * A room that was opened anew did not lose what was said in the former one. A forked one may have lost whatever its
   * newest page does not show: what it has is known there by its client id, and not said a second time. Only if a chat of
   * the page was shown before, it has all that came before it, too: no two logs have one entry with different pasts.
   */
  #lostChatsAfter({ chats }: ChatPage, epoch: string): (place: EntryRef) => boolean {
    const presentIds = new Set(chats.map(({ id }) => id));
    const hasSamePast = this.chatWindow?.chats.some(({ id }) => presentIds.has(id)) === true;
    const oldest = hasSamePast ? (chats[0]?.seq ?? 0) : 0;
    return ({ epoch: former, seq, id = '' }) => isSameLineage(former, epoch) && !presentIds.has(id) && seq >= oldest;
  }

  async #onResumeError(error: ErrorPayload): Promise<void> {
    if (error.code === 'not_a_member') return this.#isLeaving ? this.end({ reason: 'left' }) : this.#rejoin();
    if (!error.retryable) return this.#endWithError(error);
    const { generation } = this.#connection;
    await this.#connection.timers.sleep(error.retryAfter ?? backoff(++this.#resumeRounds));
    if (generation === this.#connection.generation) this.requestResume();
  }

  #endWithError(error: ErrorPayload): void {
    this.end({ reason: error.code === 'room_not_found' ? 'deleted' : error.code === 'removed' ? 'removed' : 'refused', error });
  }

  /**
   * The name lapsed while he was away. However often it is asked he joins once: he may be removed before he hears the answer.
   * Another room that has the id now is none that he wanted to join.
   */
  async #rejoin(): Promise<void> {
    if (this.#hasRejoined) await this.#connection.timers.sleep(backoff(++this.#resumeRounds));
    const { roomId, username, position } = this;
    const member = { roomId, username, clientId: this.#options.newId(), ...(position && { epoch: position.epoch }) };
    const joined = await this.#requestWhileConnected('add:member', member);
    if (!joined || this.ending) return;
    if (!joined.ok) return this.#endWithError(joined.error);
    this.#hasRejoined = true;
    this.#onJoined(joined);
    this.requestResume();
  }

  /** Nothing when the connection went: whatever it was, it begins again with the next. */
  async #requestWhileConnected<E extends EventName>(event: E, payload: RequestInput<E>): Promise<Ack<E> | undefined> {
    const { generation } = this.#connection;
    let releaseQueue: (() => void) | undefined;
    try {
      for (let attempt = 0; generation === this.#connection.generation && !this.ending; attempt += 1) {
        const answer = await this.#connection.request(event, payload);
        if (generation !== this.#connection.generation) break;
        if (answer && (answer.ok || !answer.error.retryable)) return answer;
        if (answer) this.#listeners.onRetryableError(answer.error);
        if (answer?.error.code === 'rate_limited') releaseQueue ??= await this.#connection.waitInRateLimitQueue(event);
        if (generation === this.#connection.generation) await this.#connection.timers.sleep(answer?.error.retryAfter ?? backoff(attempt));
      }
      return undefined;
    } finally {
      releaseQueue?.();
    }
  }

  #onJoined(membership: Membership): void {
    this.#joinedEpoch = membership.epoch;
    this.#listeners.onJoin(membership);
  }

  #setState(state: RoomState): void {
    if (state === this.state) return;
    this.catchUpProgress = undefined;
    this.state = state;
    this.#listeners.onStateChange(state);
  }

  #wakeWaiters(): void {
    for (const resolve of this.#liveWaiters.splice(0)) resolve();
  }
}

const hasErrorCode = (answer: Ack<'add:member'> | undefined, code: ErrorPayload['code']): boolean =>
  answer !== undefined && !answer.ok && answer.error.code === code;
