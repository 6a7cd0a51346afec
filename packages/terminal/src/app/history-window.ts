import type { Chat, HistoryRange, Missed, Room, ShownChat } from '@engawa/client';

/** As much of a room as the window reads. */
export type HistorySource = Pick<Room, 'history' | 'position'> & { timeline: Pick<Room['timeline'], 'chats' | 'hasOlder'> };

/** A chat of the past, as it stood at an entry. */
interface Held {
  chat: Chat;
  asOf: number;
}

interface Change {
  /** The chat that it is about. */
  chatSeq: number;
  /** The entry that changed it. */
  seq: number;
}

interface Sizes {
  /** Chats of a page. */
  page: number;
  /** What is held of the past at most, beside the timeline: the end that is farther from the reader is forgotten. */
  held: number;
  /** Milliseconds in which changes gather before they are read. */
  rest: number;
}

const SIZES: Sizes = { page: 100, held: 2_000, rest: 100 };
/** Changes that a page which is on its way may not have yet. */
const MOST_CHANGES = 1_000;

/**
 * The chats of a room around the place where somebody reads, in order and without a hole. Who reads the newest reads the
 * SDK's timeline. Who scrolls back holds a stretch of the past beside it, so that what he reads stays when the timeline
 * forgets it, and pages are put before and after the stretch. Where it touches the timeline both are shown as one.
 */
export class HistoryWindow {
  readonly #source: HistorySource;
  readonly #changed: () => void;
  readonly #sizes: Sizes;
  #held: Held[] = [];
  #hasOlder = false;
  /** Chats of the stretch that are others by now, and by which entry. */
  readonly #stale = new Map<number, number>();
  #recent: Change[] = [];
  #settling: ReturnType<typeof setTimeout> | undefined;
  #loading: Promise<boolean> | undefined;
  /** Which stretch it is: a page for another one is of no use. */
  #stretch = 0;
  #shown: { of: readonly ShownChat[]; chats: readonly ShownChat[] } | undefined;

  constructor(source: HistorySource, changed: () => void, sizes: Sizes = SIZES) {
    this.#source = source;
    this.#changed = changed;
    this.#sizes = sizes;
  }

  /** The same array until something changes. */
  get chats(): readonly ShownChat[] {
    const of = this.#source.timeline.chats;
    if (this.#held.length === 0) return of;
    if (this.#shown?.of !== of) this.#shown = { of, chats: this.#together(of) };
    return this.#shown.chats;
  }

  /** The newest chats are among those that are shown. */
  get isNewest(): boolean {
    const last = this.#held.at(-1)?.chat.seq;
    const first = this.#source.timeline.chats[0];
    return last === undefined || (first !== undefined && isTold(first) && first.seq <= last);
  }

  get hasOlder(): boolean {
    return this.#held.length === 0 ? this.#source.timeline.hasOlder : this.#hasOlder;
  }

  /** What is shown stays, whatever is said from now on. */
  hold(): void {
    if (this.#held.length > 0) return;
    const { chats, hasOlder } = this.#source.timeline;
    const asOf = this.#source.position.seq;
    this.#begin(
      chats.filter(isTold).map((chat) => ({ chat, asOf })),
      hasOlder,
    );
  }

  /** Back to the newest. */
  follow(): void {
    if (this.#held.length > 0) this.#begin([], false);
  }

  /** The chats are of another log, or others than before. */
  reset(): void {
    this.#recent = [];
    this.#begin([], false);
  }

  /** Resolves with whether there is more than before. Waits for the connection as long as it takes. */
  older(): Promise<boolean> {
    return this.#load(async () => {
      this.hold();
      if (!this.#hasOlder) return false;
      const before = this.#held[0]?.chat.seq ?? this.#source.position.seq + 1;
      const page = await this.#read({ before, limit: this.#sizes.page });
      if (!page) return false;
      this.#hasOlder = page.before;
      this.#held = [...page.held, ...this.#held];
      if (this.#held.length > this.#sizes.held) this.#held.length = this.#sizes.held;
      return this.#put(page.held);
    });
  }

  newer(): Promise<boolean> {
    return this.#load(async () => {
      const after = this.#held.at(-1)?.chat.seq;
      if (after === undefined || this.isNewest) return false;
      const page = await this.#read({ after, limit: this.#sizes.page });
      if (!page) return false;
      this.#held.push(...page.held);
      if (this.#held.length > this.#sizes.held) {
        this.#held = this.#held.slice(-this.#sizes.held);
        this.#hasOlder = true;
      }
      return this.#put(page.held);
    });
  }

  /** Goes to where this chat is, or was, and resolves with whether that could be read. */
  async around(seq: number): Promise<boolean> {
    return this.#goTo({ around: seq, limit: this.#sizes.page });
  }

  /** Goes to the first chats that are kept. The first entry of a room is not a chat. */
  async oldest(): Promise<boolean> {
    return this.#goTo({ after: 1, limit: this.#sizes.page });
  }

  /** An entry of the room was told. */
  told(entry: Missed): void {
    const { chatSeq } = entry as { chatSeq?: unknown };
    if (typeof chatSeq !== 'number') return;
    const change = { chatSeq, seq: entry.seq };
    this.#recent.push(change);
    if (this.#recent.length > 2 * MOST_CHANGES) this.#recent = this.#recent.slice(-MOST_CHANGES);
    this.#note(change);
  }

  /** Nothing is read any more. */
  close(): void {
    clearTimeout(this.#settling);
    this.#stretch += 1;
    // A page that is on its way brings nothing up to date any more, nor has another one read.
    this.#stale.clear();
  }

  #together(timeline: readonly ShownChat[]): readonly ShownChat[] {
    const first = timeline[0];
    const isOne = first !== undefined && isTold(first) && first.seq <= (this.#held.at(-1)?.chat.seq ?? 0);
    if (!isOne) return this.#held.map(({ chat }) => chat);
    return [...this.#held.filter(({ chat }) => chat.seq < first.seq).map(({ chat }) => chat), ...timeline];
  }

  async #goTo(range: HistoryRange): Promise<boolean> {
    await this.#loading;
    return this.#load(async () => {
      const page = await this.#read(range);
      if (!page || page.held.length === 0) return false;
      this.#begin(page.held, page.before);
      return this.#put(page.held);
    });
  }

  #begin(held: Held[], hasOlder: boolean): void {
    this.#stretch += 1;
    this.#held = held;
    this.#hasOlder = hasOlder;
    this.#stale.clear();
    this.#shown = undefined;
  }

  /** One at a time: a page is put where the stretch ends when it comes. */
  #load(load: () => Promise<boolean>): Promise<boolean> {
    this.#loading ??= load().finally(() => {
      this.#loading = undefined;
      this.#changed();
    });
    return this.#loading;
  }

  /** Nothing when it is of no use any more. */
  async #read(range: HistoryRange): Promise<{ held: Held[]; before: boolean } | undefined> {
    const stretch = this.#stretch;
    const page = await this.#source.history(range);
    if (!page.ok || stretch !== this.#stretch || page.epoch !== this.#source.position.epoch) return undefined;
    return { held: page.chats.map((chat) => ({ chat, asOf: page.asOf })), before: page.more.before };
  }

  /** What was told while the page was on its way may not be in it. */
  #put(added: Held[]): boolean {
    this.#shown = undefined;
    for (const change of this.#recent) this.#note(change);
    return added.length > 0;
  }

  #note({ chatSeq, seq }: Change): void {
    const held = this.#held[this.#indexOf(chatSeq)];
    if (held?.chat.seq !== chatSeq || seq <= held.asOf) return;
    this.#stale.set(chatSeq, Math.max(seq, this.#stale.get(chatSeq) ?? 0));
    this.#settling ??= setTimeout(() => void this.#settle(), this.#sizes.rest);
  }

  /** Brings the stretch up to date: from the timeline where it has the chat, else by a page that begins at the first one. */
  async #settle(): Promise<void> {
    const { chats } = this.#source.timeline;
    const asOf = this.#source.position.seq;
    this.#renew(chats.filter(isTold).map((chat) => ({ chat, asOf })));
    const first = Math.min(...this.#stale.keys());
    if (Number.isFinite(first)) {
      const page = await this.#read({ after: Math.max(1, first - 1), limit: this.#sizes.page });
      if (page) this.#renew(page.held);
      // It is not there any more.
      if (page && page.held[0]?.chat.seq !== first) this.#stale.delete(first);
    }
    this.#settling = this.#stale.size > 0 ? setTimeout(() => void this.#settle(), this.#sizes.rest) : undefined;
    this.#shown = undefined;
    this.#changed();
  }

  #renew(fresh: Held[]): void {
    if (this.#stale.size === 0) return;
    for (const each of fresh) {
      const { seq } = each.chat;
      const changedBy = this.#stale.get(seq);
      if (changedBy === undefined || each.asOf < changedBy) continue;
      this.#stale.delete(seq);
      this.#held[this.#indexOf(seq)] = each;
    }
  }

  /** Where the chat is, or would be. */
  #indexOf(seq: number): number {
    return indexOfSeq(this.#held, ({ chat }) => chat.seq, seq);
  }
}

/** A chat that the room has told: one on its way has a `state`. */
export const isTold = (chat: ShownChat): chat is Chat & { state?: undefined } => chat.state === undefined;

/** Where the item with this seq is, or would be, among items in the order of their seqs. */
export function indexOfSeq<Item>(items: readonly Item[], seqOf: (item: Item) => number, seq: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (seqOf(items[middle] as Item) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
