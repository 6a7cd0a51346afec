import type { Chat, HistoryRange, MissedEntry, Room, TimelineChat } from '@engawa/client';

/** As much of a room as the window reads. */
export type HistorySource = Pick<Room, 'history' | 'position'> & { timeline: Pick<Room['timeline'], 'chats' | 'hasOlder'> };

/** A chat of the past, as it stood at an entry. */
interface VersionedChat {
  chat: Chat;
  asOf: number;
}

interface Change {
  /** The chat that it is about. */
  chatSeq: number;
  /** The entry that changed it. */
  seq: number;
}

interface WindowLimits {
  /** Chats of a page. */
  pageSize: number;
  /** What is held of the past at most, beside the timeline: the end that is farther from the reader is forgotten. */
  maxLoaded: number;
  /** Milliseconds in which changes gather before they are read. */
  debounceMs: number;
}

const DEFAULT_LIMITS: WindowLimits = { pageSize: 100, maxLoaded: 2_000, debounceMs: 100 };
/** Changes that a page which is on its way may not have yet. */
const MAX_RECENT_CHANGES = 1_000;

/**
 * The chats of a room around the place where somebody reads, in order and without a hole. Who reads the newest reads the
 * SDK's timeline. Who scrolls back holds a stretch of the past beside it, so that what he reads stays when the timeline
 * forgets it, and pages are put before and after the stretch. Where it touches the timeline both are shown as one.
 */
export class HistoryWindow {
  readonly #source: HistorySource;
  readonly #onChange: () => void;
  readonly #limits: WindowLimits;
  #loaded: VersionedChat[] = [];
  #hasOlder = false;
  /** Chats of the stretch that are others by now, and by which entry. */
  readonly #stale = new Map<number, number>();
  #recentChanges: Change[] = [];
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #loading: Promise<boolean> | undefined;
  /** Which stretch it is: a page for another one is of no use. */
  #generation = 0;
  #merged: { timeline: readonly TimelineChat[]; chats: readonly TimelineChat[] } | undefined;

  constructor(source: HistorySource, onChange: () => void, limits: WindowLimits = DEFAULT_LIMITS) {
    this.#source = source;
    this.#onChange = onChange;
    this.#limits = limits;
  }

  /** The same array until something changes. */
  get chats(): readonly TimelineChat[] {
    const timeline = this.#source.timeline.chats;
    if (this.#loaded.length === 0) return timeline;
    if (this.#merged?.timeline !== timeline) this.#merged = { timeline, chats: this.#merge(timeline) };
    return this.#merged.chats;
  }

  /** The newest chats are among those that are shown. */
  get isNewest(): boolean {
    const last = this.#loaded.at(-1)?.chat.seq;
    const first = this.#source.timeline.chats[0];
    return last === undefined || (first !== undefined && isConfirmed(first) && first.seq <= last);
  }

  get hasOlder(): boolean {
    return this.#loaded.length === 0 ? this.#source.timeline.hasOlder : this.#hasOlder;
  }

  /** What is shown stays, whatever is said from now on. */
  pin(): void {
    if (this.#loaded.length > 0) return;
    const { chats, hasOlder } = this.#source.timeline;
    const asOf = this.#source.position.seq;
    this.#replaceLoaded(
      chats.filter(isConfirmed).map((chat) => ({ chat, asOf })),
      hasOlder,
    );
  }

  /** Back to the newest. */
  followNewest(): void {
    if (this.#loaded.length > 0) this.#replaceLoaded([], false);
  }

  /** The chats are of another log, or others than before. */
  reset(): void {
    this.#recentChanges = [];
    this.#replaceLoaded([], false);
  }

  /** Resolves with whether there is more than before. Waits for the connection as long as it takes. */
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

  /** Goes to where this chat is, or was, and resolves with whether that could be read. */
  async loadAround(seq: number): Promise<boolean> {
    return this.#goTo({ around: seq, limit: this.#limits.pageSize });
  }

  /** Goes to the first chats that are kept. The first entry of a room is not a chat. */
  async loadOldest(): Promise<boolean> {
    return this.#goTo({ after: 1, limit: this.#limits.pageSize });
  }

  /** An entry of the room was told. */
  onEntry(entry: MissedEntry): void {
    const { chatSeq } = entry as { chatSeq?: unknown };
    if (typeof chatSeq !== 'number') return;
    const change = { chatSeq, seq: entry.seq };
    this.#recentChanges.push(change);
    if (this.#recentChanges.length > 2 * MAX_RECENT_CHANGES) this.#recentChanges = this.#recentChanges.slice(-MAX_RECENT_CHANGES);
    this.#markStale(change);
  }

  /** Nothing is read any more. */
  close(): void {
    clearTimeout(this.#refreshTimer);
    this.#generation += 1;
    // A page that is on its way brings nothing up to date any more, nor has another one read.
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

  /** One at a time: a page is put where the stretch ends when it comes. */
  #load(load: () => Promise<boolean>): Promise<boolean> {
    this.#loading ??= load().finally(() => {
      this.#loading = undefined;
      this.#onChange();
    });
    return this.#loading;
  }

  /** Nothing when it is of no use any more. */
  async #readPage(range: HistoryRange): Promise<{ chats: VersionedChat[]; hasOlder: boolean } | undefined> {
    const generation = this.#generation;
    const page = await this.#source.history(range);
    if (!page.ok || generation !== this.#generation || page.epoch !== this.#source.position.epoch) return undefined;
    return { chats: page.chats.map((chat) => ({ chat, asOf: page.asOf })), hasOlder: page.more.before };
  }

  /** What was told while the page was on its way may not be in it. */
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

  /** Brings the stretch up to date: from the timeline where it has the chat, else by a page that begins at the first one. */
  async #refreshStale(): Promise<void> {
    const { chats } = this.#source.timeline;
    const asOf = this.#source.position.seq;
    this.#replaceStale(chats.filter(isConfirmed).map((chat) => ({ chat, asOf })));
    const first = Math.min(...this.#stale.keys());
    if (Number.isFinite(first)) {
      const page = await this.#readPage({ after: Math.max(1, first - 1), limit: this.#limits.pageSize });
      if (page) this.#replaceStale(page.chats);
      // It is not there any more.
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

  /** Where the chat is, or would be. */
  #indexOf(seq: number): number {
    return findSeqIndex(this.#loaded, ({ chat }) => chat.seq, seq);
  }
}

/** A chat that the room has told: one on its way has a `state`. */
export const isConfirmed = (chat: TimelineChat): chat is Chat & { state?: undefined } => chat.state === undefined;

/** Where the item with this seq is, or would be, among items in the order of their seqs. */
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
