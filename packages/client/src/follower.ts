import type { Answer, Ask, Chat, ChatPage, CommandName, EventName, Notice, Resumed, WireError } from '@engawa/protocol';
import { isSameRoom, type Position } from '@engawa/protocol/position';
import { backoff } from './backoff.ts';
import type { Behind, CatchUp } from './catch-up.ts';
import type { Connection } from './connection.ts';
import { Early } from './early.ts';
import { asEntry, type Entry, isKind } from './entry.ts';
import type { Counts, Membership } from './facts.ts';
import { closed, type Refusal, type Refused, type Result, refused } from './result.ts';
import { Timeline } from './timeline.ts';
import type { Place } from './unsent.ts';

/**
 * `joining` until the room was joined and its newest chats are there; `live`: what is shown is what is; `catching up`
 * after a drop or a gap; `offline` without a connection; `ended` for good.
 */
export type RoomState = 'joining' | 'live' | 'catching up' | 'offline' | 'ended';

/** Why a room is over. */
export interface Ending {
  /** `refused`: it could not be joined (again), and `error` says why. `closed`: it was closed, or the client was. */
  reason: 'left' | 'removed' | 'deleted' | 'refused' | 'closed';
  /** Who removed one, or deleted the room; not known when one was away. */
  by?: string;
  error?: Refusal;
}

/** The chats are others than before: `too_old`, too much was missed; `reset`, the log of the room was set back or replaced. */
export interface Reset {
  reason: 'too_old' | 'reset';
}

interface Listeners {
  /** Again when it may have changed unheard. */
  joined(membership: Membership): void;
  counted(counts: Counts): void;
  /** The room may be handed out: nothing is told before. */
  ready(): void;
  told(entry: Entry): void;
  moved(position: Position): void;
  /** `isLost`: which own chats the new log may not have. */
  reset(reset: Reset, isLost: (place: Place) => boolean): void;
  state(state: RoomState): void;
  /** Something was refused that is asked again by itself. */
  delayed(error: WireError): void;
  ended(ending: Ending): void;
}

export interface FollowerOptions {
  connection: Connection;
  catchUp: CatchUp;
  roomId: string;
  username: string;
  create: boolean;
  topic: string | undefined;
  maxChats: number;
  /** Where to go on; from the head when not given. */
  from: Position | undefined;
  newId: () => string;
  listeners: Listeners;
}

const CONTEXT_CHATS = 50;
/** A position that no log has. */
export const NOWHERE: Position = { epoch: '', seq: 0, id: null };
const MAX_ROUNDS = 5;
/** Refusals `not_a_member` in a row of one who is a member as far as the room says. */
const MAX_DENIALS = 5;

/** Follows the log of one room over connections that come and go, so that each entry is told once, in order, with none missing. */
export class Follower implements Behind {
  readonly #options: FollowerOptions;
  readonly #connection: Connection;
  readonly #listeners: Listeners;
  readonly #early = new Early();
  readonly roomId: string;
  readonly #askedAbout = new WeakSet<Entry>();
  state: RoomState = 'joining';
  ending: Ending | undefined;
  timeline: Timeline | undefined;
  username: string;
  #hasContext = false;
  #isHandedOut = false;
  /** What is shown once it is joined may be behind, and is to be asked for. */
  #isBehind = false;
  #hasRejoined = false;
  /** The log did not say what became of the position. */
  #isAstray = false;
  #isLeaving = false;
  /** The epoch of the last answer to a join. */
  #joinedIn: string | undefined;
  /** How far it is, in entries, while what was missed comes in several answers. */
  catchUp: { readonly done: number; readonly total: number } | undefined;
  /** Rounds of catching up that brought no end. */
  #rounds = 0;
  /** Until the room is live, or has ended. */
  #waiting: (() => void)[] = [];

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#listeners = options.listeners;
    this.username = options.username;
    this.roomId = options.roomId;
  }

  /** Those that the room has told. */
  get chats(): readonly Chat[] {
    return this.timeline?.chats ?? [];
  }

  /** Up to where it is told. */
  get position(): Position | undefined {
    return this.timeline?.position;
  }

  get held(): Position | undefined {
    return this.#isAstray ? NOWHERE : this.position;
  }

  /** There is a connection. */
  up(): void {
    if (!this.ending) void this.#come();
  }

  down(): void {
    this.#early.clear();
    this.#rounds = 0;
    if (!this.ending) this.#become(this.#hasContext ? 'offline' : 'joining');
  }

  /** What is shown may be behind: asks. */
  sync(): void {
    // Who is still joining asks when he has.
    if (!this.#hasContext) this.#isBehind = true;
    if (this.ending || !this.#hasContext || !this.#connection.isUp) return;
    this.#become('catching up');
    this.#options.catchUp.add(this);
  }

  heard(entry: Entry): void {
    if (this.ending) return;
    if (this.#isFlowing && this.#take(entry)) return;
    this.#early.hold(entry);
    if (this.#isFlowing) this.sync();
  }

  resetTo({ epoch }: Pick<Notice<'reset:room'>, 'epoch'>): void {
    if (epoch === null) this.end({ reason: 'deleted' });
    else if (epoch !== this.position?.epoch) this.sync();
  }

  /** The log does not say what became of the position: the newest chats, then, and an open word that it is so. */
  reload(): void {
    this.#isAstray = true;
    this.sync();
  }

  resumed(outcome: Resumed): void {
    if (this.ending) return;
    if ('entries' in outcome) this.#continue(outcome);
    else if ('page' in outcome) this.#restart(outcome);
    else if ('error' in outcome) void this.#refused(outcome.error);
  }

  end(ending: Ending): void {
    if (this.ending) return;
    this.ending = ending;
    this.#early.clear();
    this.#become('ended');
    this.#wake();
    this.#listeners.ended(ending);
  }

  /** Asks, over as many connections as it takes, until there is a definitive answer. What is asked, if anything, may change with the log. */
  async insist<E extends EventName>(event: E, payload: Ask<E> | (() => Ask<E> | Refused)): Promise<Result<E>> {
    for (let attempt = 0, denials = 0; ; attempt += 1) {
      if (!this.#isFlowing && !this.ending) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.ending) return this.refusal;
      const asked = typeof payload === 'function' ? payload() : payload;
      if ('error' in asked) return asked;
      const answer = await this.#connection.ask(event, asked);
      if (answer?.ok) return answer;
      const isDenied = answer?.error.code === 'not_a_member' && ++denials < MAX_DENIALS;
      if (isDenied || answer?.error.code === 'room_not_found') this.sync();
      if (answer && !answer.error.retryable && !isDenied) return { ok: false, error: answer.error };
      if (this.state === 'live') await this.#connection.sleeper.sleep(answer?.error.retryAfter ?? backoff(attempt));
    }
  }

  /** Does something as the member that this is, once. */
  command<E extends CommandName>(event: E, fields: object): Promise<Result<E>> {
    const { roomId, username } = this;
    return this.insist(event, { roomId, username, clientId: this.#options.newId(), ...fields } as unknown as Ask<E>);
  }

  /** Who leaves and finds that he has left is not to come back. */
  async leave(): Promise<{ ok: true } | Refused> {
    this.#isLeaving = true;
    const result = await this.command('remove:member', {});
    this.#isLeaving = false;
    if (result.ok) this.end({ reason: 'left' });
    return result.ok || this.ending?.reason === 'left' ? { ok: true } : result;
  }

  /** What is answered once it has ended. */
  get refusal(): Refused {
    const { reason, error } = this.ending ?? { reason: 'closed' };
    if (error) return { ok: false, error };
    if (reason === 'removed') return refused(reason, 'You were removed.');
    return reason === 'deleted' ? refused('room_not_found', 'Room does not exist.') : closed();
  }

  async #come(): Promise<void> {
    const { number } = this.#connection;
    if (this.timeline && this.#hasContext) return this.sync();
    if (!this.timeline && !(await this.#join())) return;
    await this.#readContext();
    if (number !== this.#connection.number || this.ending) return;
    this.#hasContext = true;
    // Nothing is told before the next turn, so that whoever waited for the room hears all of it.
    const isWhole = !this.#isBehind && this.position !== undefined && this.#early.isOldTo(this.position);
    this.#become(isWhole ? 'live' : 'catching up');
    this.#listeners.ready();
    await this.#connection.sleeper.sleep(0);
    this.#isHandedOut = true;
    if (number !== this.#connection.number) return;
    if (this.#isBehind) this.sync();
    else this.#release();
  }

  /** Entries are told as they are heard. */
  get #isFlowing(): boolean {
    return this.state === 'live' && this.#isHandedOut;
  }

  async #join(): Promise<boolean> {
    const joined = await this.#enter();
    if (!joined || this.ending) return false;
    if (!joined.ok) {
      this.end({ reason: 'refused', error: joined.error });
      return false;
    }
    const { from, maxChats } = this.#options;
    const head = { epoch: joined.epoch, seq: joined.seq, id: joined.tail };
    this.username = joined.username;
    this.#isBehind ||= from !== undefined && !(from.epoch === head.epoch && from.seq === head.seq && from.id === head.id);
    this.timeline = new Timeline({ me: joined.username, position: from ?? head, maxChats });
    this.#joined(joined);
    return true;
  }

  async #enter(): Promise<Answer<'add:member'> | undefined> {
    const { roomId, username, topic, create } = this.#options;
    const added = await this.#askWhileUp('add:member', { roomId, username });
    if (!create || !isRefusal(added, 'room_not_found')) return added;
    const created = await this.#askWhileUp('create:room', { roomId, username, ...(topic !== undefined && { topic }) });
    return isRefusal(created, 'room_exists') ? this.#askWhileUp('add:member', { roomId, username }) : created;
  }

  /** The chats before the position. Without them the room goes on all the same: they can be loaded as older ones. */
  async #readContext(): Promise<void> {
    const timeline = this.timeline;
    if (!timeline) return;
    const before = timeline.edge('before');
    timeline.expect();
    const limit = Math.min(CONTEXT_CHATS, timeline.maxChats);
    const page = await this.#askWhileUp('list:chats', { roomId: this.roomId, before, limit });
    if (page?.ok) timeline.add(page, 'before', before);
    // An own name may be a member no more, and after a drop something was told since the joining: resuming finds out.
    else this.#isBehind = true;
  }

  /** Takes the entry in if it is the next, and says whether nothing is missing. */
  #take(entry: Entry, isNow = true): boolean {
    const step = this.timeline?.tell(entry);
    if (step !== 'next') return step === 'known';
    this.#listeners.told(entry);
    if (this.position) this.#listeners.moved(this.position);
    if (isNow) this.#mayEnd(entry);
    return true;
  }

  /** Only an entry of now: in what was missed there may be an end that is long past. */
  #mayEnd(entry: Entry): void {
    if (isKind(entry, 'delete:room')) this.end({ reason: 'deleted', by: entry.by });
    if (!isKind(entry, 'remove:member') || entry.username !== this.username) return;
    if (entry.reason === 'gone') this.sync();
    else this.end(entry.reason === 'removed' ? { reason: 'removed', by: entry.by } : { reason: 'left' });
  }

  #continue({ outcome, entries, epoch, seq, id, counted, head = 0 }: Extract<Resumed, { entries: unknown[] }> & { head?: number }): void {
    const before = this.position?.seq ?? 0;
    const isWhole = entries.every((missed) => {
      const entry = asEntry(missed.kind, missed);
      return entry && this.#take(entry, false);
    });
    if (!isWhole || epoch !== this.position?.epoch) {
      this.reload();
      return;
    }
    if (this.timeline && seq > this.position.seq) this.timeline.position = { epoch, seq, id };
    if (counted) this.#listeners.counted({ epoch, ...counted });
    const done = (this.catchUp?.done ?? 0) + seq - before;
    if (head > seq) this.catchUp = { done, total: done + head - seq };
    this.#listeners.moved(this.position);
    if (this.position.seq !== before) this.#rounds = 0;
    // It was joined in a log that was lost again: what the room said of itself there is not so here.
    if (epoch !== this.#joinedIn) void this.#rejoin();
    else if (outcome === 'caught_up') this.#release();
    else void this.#again();
  }

  /** All up to the position is told: what was heard meanwhile follows, and if that is whole, the room is live. */
  #release(): void {
    const { entries, isWhole } = this.#early.take();
    const missing = entries.filter((entry) => !this.ending && !this.#take(entry) && this.#isWorthAsking(entry));
    if (this.ending) return;
    for (const entry of missing) this.#early.hold(entry);
    if (missing.length > 0 || !isWhole) return void this.#again();
    this.#rounds = 0;
    this.#hasRejoined = false;
    this.#become('live');
    this.#wake();
  }

  /** The log has what was heard before it was asked, or never will: an entry of another log, or of an end that was lost. */
  #isWorthAsking(entry: Entry): boolean {
    const isNew = !this.#askedAbout.has(entry);
    this.#askedAbout.add(entry);
    return isNew;
  }

  async #again(): Promise<void> {
    const { number } = this.#connection;
    this.#rounds += 1;
    this.#become('catching up');
    if (this.#rounds > 1) await this.#connection.sleeper.sleep(backoff(this.#rounds));
    if (number !== this.#connection.number) return;
    if (this.#rounds > MAX_ROUNDS) this.reload();
    else this.sync();
  }

  #restart(outcome: Extract<Resumed, { page: unknown }>): void {
    const { outcome: reason, page, epoch, seq, id } = outcome;
    this.#isAstray = false;
    const wentOn = reason === 'too_old' && epoch === this.position?.epoch && seq <= this.position.seq;
    if (wentOn) {
      this.#release();
      return;
    }
    const isLost = reason === 'too_old' ? () => false : this.#lostBy(page, epoch);
    this.timeline?.reset(page, { epoch, seq, id });
    this.#hasContext = true;
    this.#listeners.reset({ reason }, isLost);
    this.#joined(outcome);
    if (this.position) this.#listeners.moved(this.position);
    this.#release();
  }

  /**
   * A room that was opened anew did not lose what was said in the former one. A forked one may have lost whatever its
   * newest page does not show: what it has is known there by its client id, and not said a second time. Only if a chat of
   * the page was shown before, it has all that came before it, too: no two logs have one entry with different pasts.
   */
  #lostBy({ chats }: ChatPage, epoch: string): (place: Place) => boolean {
    const kept = new Set(chats.map(({ id }) => id));
    const hasSamePast = this.timeline?.chats.some(({ id }) => kept.has(id)) === true;
    const oldest = hasSamePast ? (chats[0]?.seq ?? 0) : 0;
    return ({ epoch: former, seq, id = '' }) => isSameRoom(former, epoch) && !kept.has(id) && seq >= oldest;
  }

  async #refused(error: WireError): Promise<void> {
    if (error.code === 'not_a_member') return this.#isLeaving ? this.end({ reason: 'left' }) : this.#rejoin();
    if (!error.retryable) return this.#endWith(error);
    const { number } = this.#connection;
    await this.#connection.sleeper.sleep(error.retryAfter ?? backoff(++this.#rounds));
    if (number === this.#connection.number) this.sync();
  }

  #endWith(error: WireError): void {
    this.end({ reason: error.code === 'room_not_found' ? 'deleted' : error.code === 'removed' ? 'removed' : 'refused', error });
  }

  /**
   * The name lapsed while he was away. However often it is asked he joins once: he may be removed before he hears the answer.
   * Another room that has the id now is none that he wanted to join.
   */
  async #rejoin(): Promise<void> {
    if (this.#hasRejoined) await this.#connection.sleeper.sleep(backoff(++this.#rounds));
    const { roomId, username, position } = this;
    const member = { roomId, username, clientId: this.#options.newId(), ...(position && { epoch: position.epoch }) };
    const joined = await this.#askWhileUp('add:member', member);
    if (!joined || this.ending) return;
    if (!joined.ok) return this.#endWith(joined.error);
    this.#hasRejoined = true;
    this.#joined(joined);
    this.sync();
  }

  /** Nothing when the connection went: whatever it was, it begins again with the next. */
  async #askWhileUp<E extends EventName>(event: E, payload: Ask<E>): Promise<Answer<E> | undefined> {
    const { number } = this.#connection;
    let leave: (() => void) | undefined;
    try {
      for (let attempt = 0; number === this.#connection.number && !this.ending; attempt += 1) {
        const answer = await this.#connection.ask(event, payload);
        if (number !== this.#connection.number) break;
        if (answer && (answer.ok || !answer.error.retryable)) return answer;
        if (answer) this.#listeners.delayed(answer.error);
        if (answer?.error.code === 'rate_limited') leave ??= await this.#connection.inLine(event);
        if (number === this.#connection.number) await this.#connection.sleeper.sleep(answer?.error.retryAfter ?? backoff(attempt));
      }
      return undefined;
    } finally {
      leave?.();
    }
  }

  #joined(membership: Membership): void {
    this.#joinedIn = membership.epoch;
    this.#listeners.joined(membership);
  }

  #become(state: RoomState): void {
    if (state === this.state) return;
    this.catchUp = undefined;
    this.state = state;
    this.#listeners.state(state);
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const isRefusal = (answer: Answer<'add:member'> | undefined, code: WireError['code']): boolean =>
  answer !== undefined && !answer.ok && answer.error.code === code;
