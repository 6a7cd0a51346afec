// The chats around the scroll position: loads pages, keeps them current, joins them with the timeline.
import type { Chat, HistoryRange, MissedEntry, Room, TimelineChat } from '@engawa/client';

/** The part of a room that the window uses. */
export type HistorySource = Pick<Room, 'history' | 'position'> & { timeline: Pick<Room['timeline'], 'chats' | 'hasOlder'> };

/** A loaded chat, in its state at an entry. */
interface VersionedChat {
  chat: Chat;
  asOf: number;
}

interface Change {
  /** Seq of the chat that changed. */
  chatSeq: number;
  /** Seq of the entry that changed it. */
  seq: number;
}

export interface WindowLimits {
  /** Chats in one page. */
  pageSize: number;
  /** Limit for loaded chats, beside the timeline. The end farther from the reader is dropped. */
  maxLoaded: number;
  /** Changes are collected for this many milliseconds before they are fetched. */
  debounceMs: number;
}

const DEFAULT_LIMITS: WindowLimits = { pageSize: 100, maxLoaded: 2_000, debounceMs: 100 };
/** Changes that a page in flight may lack. */
const MAX_RECENT_CHANGES = 1_000;

/**
 * The chats around the scroll position, in order and without gaps. At the newest chat the window is the timeline of the SDK.
 * When the user scrolls back, the window holds a contiguous range of loaded chats, so that the visible ones stay when the
 * timeline drops them. Pages extend the range at both ends. Where the range touches the timeline, both are shown as one.
 */
export class HistoryWindow {
  readonly #source: HistorySource;
  readonly #onChange: () => void;
  readonly #limits: WindowLimits;
  #loaded: VersionedChat[] = [];
  #hasOlder = false;
  /** Loaded chats that have changed, and the seq of the changing entry. */
  readonly #stale = new Map<number, number>();
  #recentChanges: Change[] = [];
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #loading: Promise<boolean> | undefined;
  /** Incremented when the range is replaced: pages for an older range are ignored. */
  #generation = 0;
  #merged: { timeline: readonly TimelineChat[]; chats: readonly TimelineChat[] } | undefined;

  constructor(source: HistorySource, onChange: () => void, limits: WindowLimits = DEFAULT_LIMITS) {
    this.#source = source;
    this.#onChange = onChange;
    this.#limits = limits;
  }

  /** Returns the same array until something changes. */
  get chats(): readonly TimelineChat[] {
    const timeline = this.#source.timeline.chats;
    if (this.#loaded.length === 0) return timeline;
    if (this.#merged?.timeline !== timeline) this.#merged = { timeline, chats: this.#merge(timeline) };
    return this.#merged.chats;
  }

  /** Whether the newest chats are in the window. */
  get isNewest(): boolean {
    const last = this.#loaded.at(-1)?.chat.seq;
    const first = this.#source.timeline.chats[0];
    return last === undefined || (first !== undefined && isConfirmed(first) && first.seq <= last);
  }

  get hasOlder(): boolean {
    return this.#loaded.length === 0 ? this.#source.timeline.hasOlder : this.#hasOlder;
  }

  /** Keeps the visible chats when new ones arrive. */
  pin(): void {
    if (this.#loaded.length > 0) return;
    const { chats, hasOlder } = this.#source.timeline;
    const asOf = this.#source.position.seq;
    this.#replaceLoaded(
      chats.filter(isConfirmed).map((chat) => ({ chat, asOf })),
      hasOlder,
    );
  }

  /** Returns to the newest chats. */
  followNewest(): void {
    if (this.#loaded.length > 0) this.#replaceLoaded([], false);
  }

  /** The chats were replaced, for example in a new epoch. */
  reset(): void {
    this.#recentChanges = [];
    this.#replaceLoaded([], false);
  }

  /** Resolves with whether chats were added. Waits for the connection without a time limit. */
  loadOlder(): Promise<boolean> {
    return this.#load(async () => {
      this.pin();
      if (!this.#hasOlder) return false;
      const before = this.#loaded[0]?.chat.seq ?? this.#source.position.seq + 1;
      const page = await this.#readPage({ before, limit: this.#limits.pageSize });
      if (!page) return false;
      this.#hasOlder = page.hasOlder;
      this.#loaded = [...page.chats, ...this.#loaded];
      if (this.#loaded.length > this.#limits.maxLoaded) this.#loaded.length = this.#limits.maxLoaded;
      return this.#onPageLoaded(page.chats);
    });
  }

  loadNewer(): Promise<boolean> {
    return this.#load(async () => {
      const after = this.#loaded.at(-1)?.chat.seq;
      if (after === undefined || this.isNewest) return false;
      const page = await this.#readPage({ after, limit: this.#limits.pageSize });
      if (!page) return false;
      this.#loaded.push(...page.chats);
      if (this.#loaded.length > this.#limits.maxLoaded) {
        this.#loaded = this.#loaded.slice(-this.#limits.maxLoaded);
        this.#hasOlder = true;
      }
      return this.#onPageLoaded(page.chats);
    });
  }

  /** Moves to this chat, or its former position. Resolves with whether it could be loaded. */
  async loadAround(seq: number): Promise<boolean> {
    return this.#goTo({ around: seq, limit: this.#limits.pageSize });
  }

  /** Moves to the oldest stored chats. The first entry of a room is not a chat. */
  async loadOldest(): Promise<boolean> {
    return this.#goTo({ after: 1, limit: this.#limits.pageSize });
  }

  /** An entry was broadcast. */
  onEntry(entry: MissedEntry): void {
    const { chatSeq } = entry as { chatSeq?: unknown };
    if (typeof chatSeq !== 'number') return;
    const change = { chatSeq, seq: entry.seq };
    this.#recentChanges.push(change);
    if (this.#recentChanges.length > 2 * MAX_RECENT_CHANGES) this.#recentChanges = this.#recentChanges.slice(-MAX_RECENT_CHANGES);
    this.#markStale(change);
  }

  /** Stops all loading. */
  close(): void {
    clearTimeout(this.#refreshTimer);
    this.#generation += 1;
    // Pages in flight must not start further requests.
    this.#stale.clear();
  }

  #merge(timeline: readonly TimelineChat[]): readonly TimelineChat[] {
    const first = timeline[0];
    const isContiguous = first !== undefined && isConfirmed(first) && first.seq <= (this.#loaded.at(-1)?.chat.seq ?? 0);
    if (!isContiguous) return this.#loaded.map(({ chat }) => chat);
    return [...this.#loaded.filter(({ chat }) => chat.seq < first.seq).map(({ chat }) => chat), ...timeline];
  }

  async #goTo(range: HistoryRange): Promise<boolean> {
    await this.#loading;
    return this.#load(async () => {
      const page = await this.#readPage(range);
      if (!page || page.chats.length === 0) return false;
      this.#replaceLoaded(page.chats, page.hasOlder);
      return this.#onPageLoaded(page.chats);
    });
  }

  #replaceLoaded(loaded: VersionedChat[], hasOlder: boolean): void {
    this.#generation += 1;
    this.#loaded = loaded;
    this.#hasOlder = hasOlder;
    this.#stale.clear();
    this.#merged = undefined;
  }

  /** Loads one page at a time, because each page extends the range at its end. */
  #load(load: () => Promise<boolean>): Promise<boolean> {
    this.#loading ??= load().finally(() => {
      this.#loading = undefined;
      this.#onChange();
    });
    return this.#loading;
  }

  /** Undefined if the range was replaced in the meantime. */
  async #readPage(range: HistoryRange): Promise<{ chats: VersionedChat[]; hasOlder: boolean } | undefined> {
    const generation = this.#generation;
    const page = await this.#source.history(range);
    if (!page.ok || generation !== this.#generation || page.epoch !== this.#source.position.epoch) return undefined;
    return { chats: page.chats.map((chat) => ({ chat, asOf: page.asOf })), hasOlder: page.hasMore.before };
  }

  /** Changes that were broadcast while the page was in flight may be missing in it. */
  #onPageLoaded(added: VersionedChat[]): boolean {
    this.#merged = undefined;
    for (const change of this.#recentChanges) this.#markStale(change);
    return added.length > 0;
  }

  #markStale({ chatSeq, seq }: Change): void {
    const loaded = this.#loaded[this.#indexOf(chatSeq)];
    if (loaded?.chat.seq !== chatSeq || seq <= loaded.asOf) return;
    this.#stale.set(chatSeq, Math.max(seq, this.#stale.get(chatSeq) ?? 0));
    this.#refreshTimer ??= setTimeout(() => void this.#refreshStale(), this.#limits.debounceMs);
  }

  /** Updates changed chats: from the timeline if it has them, otherwise by a page that begins with the first one. */
  async #refreshStale(): Promise<void> {
    const { chats } = this.#source.timeline;
    const asOf = this.#source.position.seq;
    this.#replaceStale(chats.filter(isConfirmed).map((chat) => ({ chat, asOf })));
    const first = Math.min(...this.#stale.keys());
    if (Number.isFinite(first)) {
      const page = await this.#readPage({ after: Math.max(1, first - 1), limit: this.#limits.pageSize });
      if (page) this.#replaceStale(page.chats);
      // The chat no longer exists.
      if (page && page.chats[0]?.chat.seq !== first) this.#stale.delete(first);
    }
    this.#refreshTimer = this.#stale.size > 0 ? setTimeout(() => void this.#refreshStale(), this.#limits.debounceMs) : undefined;
    this.#merged = undefined;
    this.#onChange();
  }

  #replaceStale(fresh: VersionedChat[]): void {
    if (this.#stale.size === 0) return;
    for (const each of fresh) {
      const { seq } = each.chat;
      const changedBy = this.#stale.get(seq);
      if (changedBy === undefined || each.asOf < changedBy) continue;
      this.#stale.delete(seq);
      this.#loaded[this.#indexOf(seq)] = each;
    }
  }

  /** Index of the chat, or where it would be. */
  #indexOf(seq: number): number {
    return findSeqIndex(this.#loaded, ({ chat }) => chat.seq, seq);
  }
}

/** A chat that the server has acknowledged. A pending one has a `state`. */
export const isConfirmed = (chat: TimelineChat): chat is Chat & { state?: undefined } => chat.state === undefined;

/** Binary search by seq: index of the item, or where it would be. */
export function findSeqIndex<Item>(items: readonly Item[], seqOf: (item: Item) => number, seq: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (seqOf(items[middle] as Item) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
