import type { Size } from '../screen/frame.ts';
import type { State } from './state.ts';
import type { Tab } from './tab.ts';
import { type Composition, repliedSeqs, timelineLayout } from './view/compose.ts';
import { chatKey } from './view/timeline.ts';

const RETRY_DELAY_MS = 2_000;
/** So many chats before the edge the next page is asked for. */
const PREFETCH_CHATS = 20;

/** Where in the room that is looked at somebody reads, and what is loaded around that. */
export class ScrollController {
  readonly #state: State;
  readonly #size: () => Size;
  readonly #onChange: () => void;
  /** When a page could not be had: it is not asked for again at once. */
  #lastFailureAt = 0;

  constructor(state: State, size: () => Size, onChange: () => void) {
    this.#state = state;
    this.#size = size;
    this.#onChange = onChange;
  }

  /** Reading begins where the new does, when it does not fit on the screen; that may be before what is loaded. */
  async scrollToFirstUnread(tab: Tab): Promise<void> {
    const { newAfter, joined } = tab;
    if (tab !== this.#state.active || !joined || tab.anchor || newAfter === undefined || tab.unread.count === 0) return;
    const isLoaded = this.#anchorAfter(tab, newAfter) > 0 || !joined.history.hasOlder;
    // Somebody may look at another room by then: that one is then read on from where it was.
    if (!isLoaded && (await joined.history.loadAround(newAfter)) && tab === this.#state.active) this.#anchorAfter(tab, newAfter);
    this.#onChange();
  }

  /** Puts the first chat after a seq at the top, and answers which that is of those that are loaded. */
  #anchorAfter(tab: Tab, after: number): number {
    const first = tab.chats.findIndex((chat) => chat.state === undefined && chat.seq > after);
    if (first === -1) return first;
    tab.anchor = timelineLayout(this.#state, this.#size())?.anchorStartingAt(first);
    if (tab.anchor) tab.joined?.history.pin();
    return first;
  }

  /** Rows up, or down when it is less than zero. */
  scrollBy(by: number, maxScroll: number): void {
    const { active, panel } = this.#state;
    if (panel) panel.scroll = Math.max(0, Math.min(panel.scroll - by, maxScroll));
    else if (active?.joined) {
      if (by > 0) active.joined.history.pin();
      const anchor = timelineLayout(this.#state, this.#size())?.anchorMovedBy(active.anchor, by);
      if (anchor) active.anchor = anchor;
      else this.scrollToNewest();
    }
    this.#onChange();
  }

  /** As far down as is loaded, or all the way when that is the newest. */
  scrollToNewest({ whole = false } = {}): void {
    const { active } = this.#state;
    if (!active?.joined) return;
    const { history } = active.joined;
    const last = history.chats.at(-1);
    if (whole || history.isNewest || !last || last.state !== undefined) {
      active.anchor = undefined;
      history.followNewest();
    } else active.anchor = { key: `${last.seq}`, seq: last.seq, rowsBelow: 0 };
    this.#onChange();
  }

  async scrollToOldest(): Promise<void> {
    const { active } = this.#state;
    if (!active?.joined || !(await active.joined.history.loadOldest())) return;
    const [first] = active.chats;
    if (first?.state === undefined && first) active.anchor = { key: `${first.seq}`, seq: first.seq, rowsBelow: 0 };
    this.#onChange();
  }

  /** To a chat that may be far from what is loaded. */
  async scrollToChat(seq: number): Promise<void> {
    const { active } = this.#state;
    if (!active?.joined) return;
    const findIndex = () => active.chats.findIndex((chat) => chat.state === undefined && chat.seq === seq);
    if (findIndex() < 0) await active.joined.history.loadAround(seq);
    if (active !== this.#state.active) return;
    if (findIndex() < 0) this.#state.notice = { text: this.#state.messages.historyFailed, color: 'warning' };
    else this.revealChat(findIndex());
  }

  /** Selects a chat of those that are loaded, and scrolls as far as it takes to see it. */
  revealChat(index: number): void {
    const { active } = this.#state;
    const chat = active?.chats[index];
    if (!active?.joined || !chat) return;
    active.selected = chatKey(chat);
    active.anchor = timelineLayout(this.#state, this.#size())?.anchorRevealing(active.anchor, index);
    if (active.anchor) active.joined.history.pin();
    else this.scrollToNewest();
    this.#onChange();
  }

  /** What is nearly in sight, and what is answered there. */
  loadVisible({ visible }: Composition): void {
    const { active } = this.#state;
    if (!visible || !active?.joined || active.room?.state === 'ended') return;
    const { history, quotes } = active.joined;
    for (const seq of repliedSeqs(this.#state, visible)) quotes.load(seq, history);
    for (const { username } of history.chats.slice(visible.firstBlock, visible.firstBlock + visible.rows.length))
      active.names.addIfUnknown(username);
    if (Date.now() - this.#lastFailureAt < RETRY_DELAY_MS) return;
    if (visible.firstBlock < PREFETCH_CHATS && history.hasOlder) void this.#recordLoad(history.loadOlder());
    else if (!history.isNewest && visible.firstBlock + visible.rows.length + PREFETCH_CHATS > history.chats.length)
      void this.#recordLoad(history.loadNewer());
  }

  async #recordLoad(loading: Promise<boolean>): Promise<void> {
    if (!(await loading)) this.#lastFailureAt = Date.now();
  }
}
