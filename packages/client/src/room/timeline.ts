/** The public timeline of a room: a window of chats that pages can extend or move. */
import type { RequestInput } from '@engawa/protocol';
import type { ErrorInfo, FailedResult } from '../connection/result.ts';
import { runSequentially } from '../storage/tabs.ts';
import type { OptimisticChat } from '../timeline/chat-reducer.ts';
import type { EpochChatPage, PageDirection } from '../timeline/chat-window.ts';
import type { Outbox, OutgoingChat, OutgoingState } from './outbox.ts';
import type { RoomSync } from './room-sync.ts';

/** An own chat that the room has not delivered yet. */
export interface PendingChat {
  readonly clientId: string;
  readonly username: string;
  readonly message: string;
  /** The seq of the chat that it replies to. */
  readonly replyTo: number | undefined;
  /** When it was written, by this machine's clock: milliseconds since 1970. */
  readonly at: number;
  readonly state: OutgoingState;
  /** Why it failed. */
  readonly error: ErrorInfo | undefined;
  /** Set when it is sent. */
  readonly seq: number | undefined;
  /** For `retry()` and `discard()`. */
  readonly outgoing: OutgoingChat;
}

/**
 * The chats of the room, then the own pending ones, which have a `state`. A chat is `pending` while an own edit, deletion or
 * reaction, which it already shows, is not acknowledged.
 */
export type TimelineChat = (OptimisticChat & { readonly state?: undefined }) | PendingChat;

const DEFAULT_PAGE_CHATS = 50;

type PageRequest = Omit<RequestInput<'list:chats'>, 'roomId'>;
type LoadResult = { ok: true; added: number } | FailedResult;

/**
 * The current chats of a room, in order, without gaps, with edits, deletions and reactions applied. It is a window of up to
 * `maxChats`, which ends with the newest chat until it is moved.
 */
export class RoomTimeline {
  readonly #roomSync: RoomSync;
  readonly #outbox: Outbox;
  readonly #onChange: () => void;
  #cachedChats: readonly TimelineChat[] | undefined;
  readonly #loading = new Map<PageDirection, Promise<LoadResult>>();

  /** @internal */
  constructor(roomSync: RoomSync, outbox: Outbox, onChange: () => void) {
    this.#roomSync = roomSync;
    this.#outbox = outbox;
    this.#onChange = onChange;
  }

  /** The same array until it changes; its items are never mutated. */
  get chats(): readonly TimelineChat[] {
    this.#cachedChats ??= [...this.#outbox.applyPendingChanges(this.#roomSync.chats), ...(this.hasNewer ? [] : this.#pending())];
    return this.#cachedChats;
  }

  /** Whether there are chats before the first one. */
  get hasOlder(): boolean {
    return this.#roomSync.chatWindow?.hasOlder ?? false;
  }

  /** Whether there are chats after the last one: the window was moved, and shows neither new nor pending chats. */
  get hasNewer(): boolean {
    return this.#roomSync.chatWindow?.hasNewer ?? false;
  }

  /**
   * Loads chats before the first one; `added` is their number. Beyond `maxChats` it drops as many at the other end. Waits for the
   * connection without a time limit.
   */
  loadOlder(limit: number = DEFAULT_PAGE_CHATS): Promise<LoadResult> {
    return this.#load('before', limit);
  }

  /** Loads chats after the last one, as `loadOlder` does before the first one. */
  loadNewer(limit: number = DEFAULT_PAGE_CHATS): Promise<LoadResult> {
    return this.#load('after', limit);
  }

  /**
   * Replaces the window by the chats around an entry; `added` is their number. `around(room.position.seq)` returns to the newest.
   */
  around(seq: number, limit: number = DEFAULT_PAGE_CHATS): Promise<LoadResult> {
    return runSequentially(this, () => this.#moveTo({ around: seq, limit }));
  }

  /** @internal */
  invalidate(): void {
    this.#cachedChats = undefined;
  }

  /**
   * Pages are loaded one after the other, since each starts at an edge of the window. A call during a load in the same direction
   * returns the same promise.
   */
  #load(direction: PageDirection, limit: number): Promise<LoadResult> {
    const isLoading = this.#loading.get(direction);
    if (isLoading) return isLoading;
    const loading = runSequentially(this, () => this.#extend(direction, limit)).finally(() => this.#loading.delete(direction));
    this.#loading.set(direction, loading);
    return loading;
  }

  async #moveTo(request: PageRequest): Promise<LoadResult> {
    return (await this.#readPage(request, (page) => this.#roomSync.chatWindow?.showPage(page))) ?? this.#moveTo(request);
  }

  async #extend(direction: PageDirection, limit: number): Promise<LoadResult> {
    const { chatWindow } = this.#roomSync;
    if (!chatWindow?.[direction === 'before' ? 'hasOlder' : 'hasNewer']) return { ok: true, added: 0 };
    const edge = chatWindow.edge(direction);
    const request = { [direction]: edge, limit: Math.min(limit, chatWindow.maxChats) };
    return (await this.#readPage(request, (page) => chatWindow.insertPage(page, direction, edge))) ?? this.#extend(direction, limit);
  }

  /** Undefined if the page does not fit any more. */
  async #readPage(request: PageRequest, insert: (page: EpochChatPage) => number | undefined): Promise<LoadResult | undefined> {
    const { roomId, chatWindow } = this.#roomSync;
    chatWindow?.beginLoad();
    const page = await this.#roomSync.requestUntilAnswered('list:chats', { roomId, ...request });
    if (!page.ok) return page;
    const added = insert(page);
    this.#roomSync.addReported(page);
    if (page.epoch !== this.#roomSync.position?.epoch) this.#roomSync.requestResume();
    if (added === undefined) return undefined;
    this.#onChange();
    return { ok: true, added };
  }

  #pending(): PendingChat[] {
    const { username } = this.#roomSync;
    return this.#outbox.pending.map((outgoing) => {
      const { clientId, message, replyTo, at, state, error, seq } = outgoing;
      return { clientId, username, message, replyTo, at, state, error, seq, outgoing };
    });
  }
}
