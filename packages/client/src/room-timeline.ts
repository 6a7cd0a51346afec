import type { Ask } from '@engawa/protocol';
import type { ChangingChat } from './chat-changes.ts';
import type { Follower } from './follower.ts';
import type { Outbox, OutgoingChat, OutgoingState } from './outbox.ts';
import type { Refusal, Refused } from './result.ts';
import { inTurn } from './tabs.ts';
import type { Page, Way } from './timeline.ts';

/** An own chat that the room has not told yet. */
export interface PendingChat {
  readonly clientId: string;
  readonly username: string;
  readonly message: string;
  /** The seq of the chat that it answers. */
  readonly replyTo: number | undefined;
  /** When it was written, by the clock of this machine: milliseconds since 1970. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: Refusal | undefined;
  /** Only once it is sent. */
  readonly seq: number | undefined;
  /** To `retry()` or `discard()` it. */
  readonly outgoing: OutgoingChat;
}

/**
 * What a timeline shows: chats of the room, then own ones on their way, which have a `state`. A chat is `pending` when an own edit,
 * deletion or reaction, which it shows, is on its way.
 */
export type ShownChat = (ChangingChat & { readonly state?: undefined }) | PendingChat;

const PAGE_CHATS = 50;

type Range = Omit<Ask<'list:chats'>, 'roomId'>;
type Loaded = { ok: true; added: number } | Refused;

/**
 * Chats of a room as they stand: in order, with no hole, edits, deletions and reactions applied. It is a window of up to `maxChats`,
 * which ends with the newest chat until it is moved.
 */
export class RoomTimeline {
  readonly #follower: Follower;
  readonly #outbox: Outbox;
  readonly #changed: () => void;
  #shown: readonly ShownChat[] | undefined;
  readonly #loading = new Map<Way, Promise<Loaded>>();

  /** @internal */
  constructor(follower: Follower, outbox: Outbox, changed: () => void) {
    this.#follower = follower;
    this.#outbox = outbox;
    this.#changed = changed;
  }

  /** The same array until something changes; what it holds never changes. */
  get chats(): readonly ShownChat[] {
    this.#shown ??= [...this.#outbox.shown(this.#follower.chats), ...(this.hasNewer ? [] : this.#pending())];
    return this.#shown;
  }

  /** Whether there are chats before the first one. */
  get hasOlder(): boolean {
    return this.#follower.timeline?.hasOlder ?? false;
  }

  /** Whether there are chats after the last one: the window was moved, and shows neither new chats nor own ones on their way. */
  get hasNewer(): boolean {
    return this.#follower.timeline?.hasNewer ?? false;
  }

  /**
   * Puts older chats before those that are shown; `added` says how many. Past `maxChats` as many leave at the other end. Waits for
   * the connection as long as it takes.
   */
  loadOlder(limit: number = PAGE_CHATS): Promise<Loaded> {
    return this.#load('before', limit);
  }

  /** Puts newer chats after those that are shown, as `loadOlder` does before them. */
  loadNewer(limit: number = PAGE_CHATS): Promise<Loaded> {
    return this.#load('after', limit);
  }

  /**
   * Shows the chats around an entry instead: `around(room.position.seq)` is back at the newest. `added` says how many are shown.
   */
  around(seq: number, limit: number = PAGE_CHATS): Promise<Loaded> {
    return inTurn(this, () => this.#jump({ around: seq, limit }));
  }

  /** @internal */
  refresh(): void {
    this.#shown = undefined;
  }

  /** Pages are read one after the other: each begins where the last one left the window. Asked again before its answer, it is the same one. */
  #load(way: Way, limit: number): Promise<Loaded> {
    const isLoading = this.#loading.get(way);
    if (isLoading) return isLoading;
    const loading = inTurn(this, () => this.#extend(way, limit)).finally(() => this.#loading.delete(way));
    this.#loading.set(way, loading);
    return loading;
  }

  async #jump(range: Range): Promise<Loaded> {
    return (await this.#read(range, (page) => this.#follower.timeline?.jump(page))) ?? this.#jump(range);
  }

  async #extend(way: Way, limit: number): Promise<Loaded> {
    const { timeline } = this.#follower;
    if (!timeline?.[way === 'before' ? 'hasOlder' : 'hasNewer']) return { ok: true, added: 0 };
    const edge = timeline.edge(way);
    const range = { [way]: edge, limit: Math.min(limit, timeline.maxChats) };
    return (await this.#read(range, (page) => timeline.add(page, way, edge))) ?? this.#extend(way, limit);
  }

  /** Nothing where the page does not fit any more. */
  async #read(range: Range, put: (page: Page) => number | undefined): Promise<Loaded | undefined> {
    const { roomId, timeline } = this.#follower;
    timeline?.expect();
    const page = await this.#follower.insist('list:chats', { roomId, ...range });
    if (!page.ok) return page;
    const added = put(page);
    if (page.epoch !== this.#follower.position?.epoch) this.#follower.sync();
    if (added === undefined) return undefined;
    this.#changed();
    return { ok: true, added };
  }

  #pending(): PendingChat[] {
    const { username } = this.#follower;
    return this.#outbox.pending.map((outgoing) => {
      const { clientId, message, replyTo, at, state, error, seq } = outgoing;
      return { clientId, username, message, replyTo, at, state, error, seq, outgoing };
    });
  }
}
