/**
 * Room sync: follows the log of one room across connections, and delivers each entry once, in order.
 *
 * | from                         | event                                       | to          |
 * | ---------------------------- | ------------------------------------------- | ----------- |
 * | joining                      | the server accepted the join                | loading     |
 * | loading                      | the newest chats are loaded                 | starting    |
 * | starting                     | the next tick, and nothing is missing       | live        |
 * | starting                     | the next tick, and something is missing     | catching up |
 * | starting, live               | a gap, a notice or `sync` shows a lag       | catching up |
 * | catching up                  | everything missing is delivered or replaced | live        |
 * | starting, live, catching up  | the connection is lost                      | offline     |
 * | offline                      | there is a connection                       | catching up |
 * | any                          | left, removed, deleted, refused or closed   | ended       |
 *
 * Joining and loading begin again on the next connection.
 */
import type { Ack, Chat, ChatPage, CommandName, ErrorPayload, EventName, RequestInput, ResumeResult, ServerNotice } from '@engawa/protocol';
import { isSameLineage, type Position } from '@engawa/protocol/position';
import type { Connection } from '../connection/connection.ts';
import { closedResult, type ErrorInfo, type FailedResult, failedResult, type Result } from '../connection/result.ts';
import { retry, retryDelayMs } from '../connection/retry.ts';
import type { EntryRef } from '../storage/outbox-store.ts';
import { ChatWindow } from '../timeline/chat-window.ts';
import { type Entry, isKind, parseEntry } from '../timeline/entry.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import type { ResumableRoom, ResumeBatcher } from './resume-batcher.ts';
import type { MemberCounts, Membership } from './room-info.ts';

/**
 * `joining`: until the room is joined and its newest chats are loaded. `live`: up to date. `catching up`: after a drop or a gap.
 * `offline`: without a connection. `ended`: for good.
 */
export type RoomState = 'joining' | 'live' | 'catching up' | 'offline' | 'ended';

/** Why a room has ended. */
export interface RoomEnding {
  /** `refused`: a join failed, `error` says why. `closed`: the room or the client was closed. */
  reason: 'left' | 'removed' | 'deleted' | 'refused' | 'closed';
  /** The member who removed this one, or deleted the room. Undefined if it happened while this client was away. */
  by?: string;
  error?: ErrorInfo;
}

/** The timeline was replaced. `too_old`: too many entries were missed. `reset`: the log was set back or replaced. */
export interface RoomReset {
  reason: 'too_old' | 'reset';
}

/** What is known to be missing: the worst that was noticed. `LOG`: the log does not contain the position, all chats are replaced. */
const NOTHING = 0;
const ENTRIES = 1;
const LOG = 2;
type Missing = typeof NOTHING | typeof ENTRIES | typeof LOG;

/** Each transition makes a new object: after an `await`, compare it to see whether the state is still the same. */
type SyncState =
  | ({ ending?: undefined; progress?: undefined } & (
      | { name: 'joining' | 'loading' | 'offline'; missing: Missing }
      /** The application can add listeners before the first entry. */
      | { name: 'starting'; missing: Missing }
      | { name: 'live'; missing: typeof NOTHING }
    ))
  | CatchingUp
  | { name: 'ended'; missing: typeof NOTHING; ending: RoomEnding; progress?: undefined };

interface CatchingUp {
  name: 'catching up';
  missing: Missing;
  /** Requests without progress. */
  rounds: number;
  /** In entries, while the missed entries need several answers. */
  progress?: { readonly done: number; readonly total: number };
  ending?: undefined;
}

interface RoomSyncListeners {
  /** Called again after each rejoin and each reset. */
  onJoin(membership: Membership): void;
  onMemberCounts(counts: MemberCounts): void;
  /** `join` may return the room. No entry is delivered before. */
  onReady(): void;
  onEntry(entry: Entry): void;
  onPosition(position: Position): void;
  /** `isLost`: whether the new log may lack an own chat. */
  onReset(reset: RoomReset, isLost: (place: EntryRef) => boolean): void;
  onStateChange(state: RoomState): void;
  /** A join or page was refused, and is retried. */
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
  /** The position after which entries are delivered; the newest if undefined. */
  from: Position | undefined;
  newId: () => string;
  listeners: RoomSyncListeners;
}

const INITIAL_CHATS = 50;
/** A position that is in no log. */
export const UNKNOWN_POSITION: Position = { epoch: '', seq: 0, id: null };
const MAX_RESUME_ROUNDS = 5;
/** Rounds for a reported entry that the log lacks: another node may have read the log a moment before the entry was stored. */
const MAX_LOST_ROUNDS = 2;
/** The limit for entries that are reported and not delivered. */
const MAX_REPORTED_ENTRIES = 1_000;
/** After so many `not_a_member` in a row the error is returned, although the room counts this client as a member. */
const MAX_DENIALS = 5;

/** Follows the log of one room across connections. Each entry is delivered once, in order, without gaps. */
export class RoomSync implements ResumableRoom {
  readonly #options: RoomSyncOptions;
  readonly #connection: Connection;
  readonly #listeners: RoomSyncListeners;
  readonly #reorderBuffer = new ReorderBuffer();
  readonly roomId: string;
  readonly #requestedEntries = new WeakSet<Entry>();
  #state: SyncState = { name: 'joining', missing: NOTHING };
  /** Set by the join. */
  chatWindow: ChatWindow | undefined;
  username: string;
  /** A member who is not in the room any more does not rejoin while they leave. */
  #isLeaving = false;
  /** The epoch of the last successful join. */
  #joinedEpoch: string | undefined;
  /** Ids of entries that an answer was based on, and that are not delivered yet. */
  readonly #reportedIds = new Set<string>();
  /** Resolved when the room is live or has ended. */
  #liveWaiters: (() => void)[] = [];

  constructor(options: RoomSyncOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#listeners = options.listeners;
    this.username = options.username;
    this.roomId = options.roomId;
  }

  /** The chats that the room has delivered. */
  get chats(): readonly Chat[] {
    return this.chatWindow?.chats ?? [];
  }

  /** The last delivered entry. */
  get position(): Position | undefined {
    return this.chatWindow?.position;
  }

  get heldPosition(): Position | undefined {
    return this.#state.missing === LOG ? UNKNOWN_POSITION : this.position;
  }

  get state(): RoomState {
    const { name, missing } = this.#state;
    if (name === 'starting') return missing ? 'catching up' : 'live';
    return name === 'loading' ? 'joining' : name;
  }

  get ending(): RoomEnding | undefined {
    return this.#state.ending;
  }

  get catchUpProgress(): CatchingUp['progress'] {
    return this.#state.progress;
  }

  onConnect(): void {
    const { name, missing } = this.#state;
    if (name === 'joining') void this.#join();
    if (name === 'loading') void this.#loadInitialChats();
    if (name !== 'offline') return;
    this.#catchUp(missing);
    this.requestResume();
  }

  onDisconnect(): void {
    this.#reorderBuffer.clear();
    const { name, missing } = this.#state;
    if (name === 'joining') this.#enter({ name, missing });
    else this.#enter({ name: name === 'loading' ? name : 'offline', missing: worseOf(missing, ENTRIES) });
  }

  /** Requests missed entries: the room may be behind. */
  requestResume(missing: Missing = ENTRIES): void {
    const state = this.#state;
    // The next step takes care of it.
    if (state.name === 'joining' || state.name === 'loading' || state.name === 'offline') state.missing = worseOf(state.missing, missing);
    else if (state.name !== 'ended') {
      this.#catchUp(missing);
      if (this.#connection.isUp) this.#options.resumeBatcher.add(this);
    }
  }

  receive(entry: Entry): void {
    if (this.ending) return;
    const isLive = this.#state.name === 'live';
    if (isLive && this.#deliver(entry)) return;
    this.#reorderBuffer.add(entry);
    if (isLive) this.requestResume();
  }

  onResetNotice({ epoch }: Pick<ServerNotice<'reset:room'>, 'epoch'>): void {
    if (epoch === null) this.end({ reason: 'deleted' });
    else if (epoch !== this.position?.epoch) this.requestResume();
  }

  /** The log does not contain the position: load the newest chats instead, and emit `reset`. */
  resyncFromNewest(): void {
    this.requestResume(LOG);
  }

  /**
   * Remembers that an answer was based on this entry, or on the log up to `lastId`. If the log does not contain it when
   * everything missed is delivered, the log was set back, and the answer does not apply any more. The server cannot detect that
   * from a position before the loss.
   */
  addReported({ epoch, seq, id, lastId = id }: EntryRef & { lastId?: string | null | undefined }): void {
    const { position } = this;
    if (!lastId || epoch !== position?.epoch || seq <= position.seq || lastId === position.id) return;
    if (this.#reportedIds.size < MAX_REPORTED_ENTRIES) this.#reportedIds.add(lastId);
  }

  onResumeResult(outcome: ResumeResult): void {
    if (this.ending) return;
    if ('entries' in outcome) this.#applyMissed(outcome);
    else if ('page' in outcome) this.#restartFromPage(outcome);
    else if ('error' in outcome) void this.#onResumeError(outcome.error);
  }

  end(ending: RoomEnding): void {
    if (this.ending) return;
    this.#reorderBuffer.clear();
    this.#enter({ name: 'ended', missing: NOTHING, ending });
    this.#listeners.onEnd(ending);
  }

  /**
   * Repeats the request, over as many connections as necessary, until there is a definitive answer. A function returns the
   * payload for the current log, or the error to return.
   */
  async requestUntilAnswered<E extends EventName>(
    event: E,
    payload: RequestInput<E> | (() => RequestInput<E> | FailedResult),
  ): Promise<Result<E>> {
    let denials = 0;
    let failure: FailedResult | undefined;
    const request = async () => {
      if (this.#state.name !== 'live' && !this.ending) await new Promise<void>((resolve) => this.#liveWaiters.push(resolve));
      if (this.ending) return undefined;
      const fields = typeof payload === 'function' ? payload() : payload;
      if (!('error' in fields)) return this.#connection.request(event, fields);
      failure = fields;
      return undefined;
    };
    const isFinal = ({ code, retryable }: ErrorInfo) => {
      const isDenied = code === 'not_a_member' && ++denials < MAX_DENIALS;
      if (isDenied || code === 'room_not_found') this.requestResume();
      return !retryable && !isDenied;
    };
    // A room that is not live sends the request as soon as it is.
    const sleep = (milliseconds: number) => (this.#state.name === 'live' ? this.#connection.timers.sleep(milliseconds) : undefined);
    const answer = await retry({ sleep }, request, () => (this.ending ?? failure) !== undefined, isFinal);
    return answer ?? failure ?? this.endedResult;
  }

  /** Sends a command as this member. Retries have the same client id, so it takes effect once. */
  sendCommand<E extends CommandName>(event: E, fields: object): Promise<Result<E>> {
    const { roomId, username } = this;
    return this.requestUntilAnswered(event, { roomId, username, clientId: this.#options.newId(), ...fields } as unknown as RequestInput<E>);
  }

  /** The member may be removed before the answer arrives: a leaving member must not rejoin. */
  async leave(): Promise<{ ok: true } | FailedResult> {
    this.#isLeaving = true;
    const result = await this.sendCommand('remove:member', {});
    this.#isLeaving = false;
    if (result.ok) this.end({ reason: 'left' });
    return result.ok || this.ending?.reason === 'left' ? { ok: true } : result;
  }

  /** The result of all requests after the end. */
  get endedResult(): FailedResult {
    const { reason, error } = this.ending ?? { reason: 'closed' };
    if (error) return { ok: false, error };
    if (reason === 'removed') return failedResult(reason, 'You were removed.');
    return reason === 'deleted' ? failedResult('room_not_found', 'Room does not exist.') : closedResult();
  }

  async #join(): Promise<void> {
    const joined = await this.#requestJoin();
    if (!joined || this.ending) return;
    if (!joined.ok) {
      this.end({ reason: 'refused', error: joined.error });
      return;
    }
    const { from, maxChats } = this.#options;
    const head = { epoch: joined.epoch, seq: joined.seq, id: joined.lastId };
    const isAtHead = from === undefined || (from.epoch === head.epoch && from.seq === head.seq && from.id === head.id);
    this.username = joined.username;
    this.chatWindow = new ChatWindow({ me: joined.username, position: from ?? head, maxChats });
    this.#enter({ name: 'loading', missing: worseOf(this.#state.missing, isAtHead ? NOTHING : ENTRIES) });
    this.addReported(joined);
    this.#onJoined(joined);
    await this.#loadInitialChats();
  }

  async #requestJoin(): Promise<Ack<'add:member'> | undefined> {
    const { roomId, username, topic, create } = this.#options;
    const join = () => this.#requestWhileConnected('add:member', { roomId, username });
    const added = await join();
    if (!create || !hasErrorCode(added, 'room_not_found')) return added;
    const created = await this.#requestWhileConnected('create:room', { roomId, username, ...(topic !== undefined && { topic }) });
    return hasErrorCode(created, 'room_exists') ? join() : created;
  }

  /** Loads the chats before the position. If that fails the room continues without them: they can be loaded as older ones. */
  async #loadInitialChats(): Promise<void> {
    const { chatWindow } = this;
    const loading = this.#state;
    if (!chatWindow || loading.name !== 'loading') return;
    const edge = chatWindow.edge('before');
    chatWindow.beginLoad();
    const limit = Math.min(INITIAL_CHATS, chatWindow.maxChats);
    const page = await this.#requestWhileConnected('list:chats', { roomId: this.roomId, before: edge, limit });
    if (this.#state !== loading) return;
    // The member may have expired, and entries may have been missed since the join: a resume finds out.
    if (!page?.ok) loading.missing = worseOf(loading.missing, ENTRIES);
    else {
      chatWindow.insertPage(page, 'before', edge);
      this.addReported(page);
    }
    const { missing } = loading;
    const starting: SyncState = { name: 'starting', missing };
    this.#enter(starting);
    this.#listeners.onReady();
    // Deliver nothing before the next tick, so that the caller of `join` can add listeners before the first entry.
    await this.#connection.timers.sleep(0);
    if ((this.#state as SyncState) !== starting) return;
    if (missing) this.requestResume(missing);
    else this.#drainBuffer();
  }

  /** Applies the entry if it is the next one. Returns false if entries before it are missing. */
  #deliver(entry: Entry, isLive = true): boolean {
    const relation = this.chatWindow?.applyEntry(entry);
    if (relation !== 'next') return relation === 'known';
    this.#reportedIds.delete(entry.id);
    this.#listeners.onEntry(entry);
    if (this.position) this.#listeners.onPosition(this.position);
    if (isLive) this.#endIfTerminal(entry);
    return true;
  }

  /** Only for live entries: a missed entry may remove a member who has rejoined since. */
  #endIfTerminal(entry: Entry): void {
    if (isKind(entry, 'delete:room')) this.end({ reason: 'deleted', by: entry.by });
    if (!isKind(entry, 'remove:member') || entry.username !== this.username) return;
    if (entry.reason === 'timed_out') this.requestResume();
    else this.end(entry.reason === 'removed' ? { reason: 'removed', by: entry.by } : { reason: 'left' });
  }

  #applyMissed({
    outcome,
    entries,
    epoch,
    seq,
    id,
    counts,
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
    if (counts) this.#listeners.onMemberCounts({ epoch, ...counts });
    const done = (this.catchUpProgress?.done ?? 0) + seq - previousSeq;
    if (head > seq) this.#catchUp().progress = { done, total: done + head - seq };
    this.#listeners.onPosition(this.position);
    if (this.position.seq !== previousSeq && this.#state.name === 'catching up') this.#state.rounds = 0;
    // The join was in a log that was lost: what it returned does not apply to this one.
    if (epoch !== this.#joinedEpoch) void this.#rejoin();
    else if (outcome === 'caught_up') this.#drainBuffer(true);
    else void this.#retryResume();
  }

  /** Everything up to the position is delivered: deliver the buffered entries, and go live if none is missing. */
  #drainBuffer(hasResumed = false): void {
    // If the log does not contain the position, its newest chats are requested already.
    if (this.#state.missing === LOG) return;
    const { entries, isComplete } = this.#reorderBuffer.takeAll();
    // Request the gap before an entry only once. If it is still there, the entry is of another log, or of a lost part of this one.
    const missing = entries.filter((entry) => !this.ending && !this.#deliver(entry) && !this.#requestedEntries.has(entry));
    if (this.ending) return;
    for (const entry of missing) {
      this.#reorderBuffer.add(entry);
      this.#requestedEntries.add(entry);
    }
    const isEntryLost = hasResumed && this.#reportedIds.size > 0;
    if (missing.length > 0 || !isComplete || isEntryLost) return void this.#retryResume(isEntryLost ? MAX_LOST_ROUNDS : MAX_RESUME_ROUNDS);
    this.#enter({ name: 'live', missing: NOTHING });
  }

  async #retryResume(maxRounds = MAX_RESUME_ROUNDS): Promise<void> {
    const catchingUp = await this.#startRound();
    if (catchingUp) this.requestResume(catchingUp.rounds > maxRounds ? LOG : ENTRIES);
  }

  /** Waits before each round but the first, or as long as the server demands. Undefined if the catch-up is over by then. */
  async #startRound(error?: ErrorPayload): Promise<CatchingUp | undefined> {
    const catchingUp = this.#catchUp();
    catchingUp.rounds += 1;
    if (error || catchingUp.rounds > 1) await this.#connection.timers.sleep(retryDelayMs(catchingUp.rounds, error));
    return this.#state === catchingUp ? catchingUp : undefined;
  }

  #catchUp(missing: Missing = ENTRIES): CatchingUp {
    let state = this.#state;
    if (state.name !== 'catching up') {
      state = { name: 'catching up', missing, rounds: 0 };
      this.#enter(state);
    }
    state.missing = worseOf(state.missing, missing);
    return state;
  }

  #restartFromPage(outcome: Extract<ResumeResult, { page: unknown }>): void {
    const { outcome: reason, page, epoch, seq, id } = outcome;
    if (this.#state.name === 'catching up') this.#state.missing = ENTRIES;
    const isAlreadyPast = reason === 'too_old' && epoch === this.position?.epoch && seq <= this.position.seq;
    if (isAlreadyPast) {
      this.#drainBuffer();
      return;
    }
    const isLost = reason === 'too_old' ? () => false : this.#lostChatsAfter(page, epoch);
    this.chatWindow?.reset(page, { epoch, seq, id });
    this.#reportedIds.clear();
    this.#listeners.onReset({ reason }, isLost);
    this.#onJoined(outcome);
    if (this.position) this.#listeners.onPosition(this.position);
    this.#drainBuffer();
  }

  /**
   * A room that was deleted and created again lost no chats of the former one. A forked log may have lost every chat that is not
   * on its newest page. Its own chats it knows by their client ids, so a resend is stored once. If the page has a chat that was
   * shown before, the log also has all chats before that one: no two logs share an entry and differ before it.
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
    if (await this.#startRound(error)) this.requestResume();
  }

  #endWithError(error: ErrorPayload): void {
    this.end({ reason: error.code === 'room_not_found' ? 'deleted' : error.code === 'removed' ? 'removed' : 'refused', error });
  }

  /**
   * The membership expired during an absence. Only the first rejoin is at once: the member may be removed before the answer
   * arrives. The epoch prevents a join of a new room with the same id.
   */
  async #rejoin(): Promise<void> {
    if (!(await this.#startRound())) return;
    const { roomId, username, position } = this;
    const member = { roomId, username, clientId: this.#options.newId(), ...(position && { epoch: position.epoch }) };
    const joined = await this.#requestWhileConnected('add:member', member);
    if (!joined || this.ending) return;
    if (!joined.ok) return this.#endWithError(joined.error);
    this.addReported(joined);
    this.#onJoined(joined);
    this.requestResume();
  }

  /** Undefined if the connection was lost: the caller starts again on the next one. */
  async #requestWhileConnected<E extends EventName>(event: E, payload: RequestInput<E>): Promise<Ack<E> | undefined> {
    const { generation, timers } = this.#connection;
    const isOver = () => generation !== this.#connection.generation || this.ending !== undefined;
    let releaseQueue: (() => void) | undefined;
    const request = async () => {
      const answer = await this.#connection.request(event, payload);
      if (isOver() || !answer || answer.ok || !answer.error.retryable) return isOver() ? undefined : answer;
      this.#listeners.onRetryableError(answer.error);
      if (answer.error.code === 'rate_limited') releaseQueue ??= await this.#connection.waitInRateLimitQueue(event);
      return answer;
    };
    const answer = await retry(timers, request, isOver);
    releaseQueue?.();
    return answer;
  }

  #onJoined(membership: Membership): void {
    this.#joinedEpoch = membership.epoch;
    this.#listeners.onJoin(membership);
  }

  #enter(next: SyncState): void {
    if (this.ending) return;
    const before = this.state;
    this.#state = next;
    if (this.state !== before) this.#listeners.onStateChange(this.state);
    if (next.name === 'live' || next.name === 'ended') for (const resolve of this.#liveWaiters.splice(0)) resolve();
  }
}

const worseOf = (one: Missing, other: Missing): Missing => (one > other ? one : other);

const hasErrorCode = (answer: Ack<'add:member'> | undefined, code: ErrorPayload['code']): boolean =>
  answer?.ok === false && answer.error.code === code;
