// Scrolling in a room: keeps the anchor and loads the chats around it.
import type { Size } from '../screen/frame.ts';
import type { State } from './state.ts';
import type { Tab } from './tab.ts';
import { type Composition, repliedSeqs, timelineLayout } from './view/compose.ts';
import { chatKey } from './view/timeline.ts';

const RETRY_DELAY_MS = 2_000;
/** The next page is requested this many chats before the edge. */
const PREFETCH_CHATS = 20;

export class ScrollController {
  readonly #state: State;
  readonly #size: () => Size;
  readonly #onChange: () => void;
  /** Time of the last failed page: it is not requested again at once. */
  #lastFailureAt = 0;

  constructor(state: State, size: () => Size, onChange: () => void) {
    this.#state = state;
    this.#size = size;
    this.#onChange = onChange;
  }

  /** Scrolls to the first unread chat, if the unread chats exceed the screen. Loads it if necessary. */
  async scrollToFirstUnread(tab: Tab): Promise<void> {
    const { newAfter, joined } = tab;
    if (tab !== this.#state.active || !joined || tab.anchor || newAfter === undefined || tab.unread.count === 0) return;
    const isLoaded = this.#anchorAfter(tab, newAfter) > 0 || !joined.history.hasOlder;
    // If the user has changed rooms during the load, this room keeps its position.
    if (!isLoaded && (await joined.history.loadAround(newAfter)) && tab === this.#state.active) this.#anchorAfter(tab, newAfter);
    this.#onChange();
  }

  /** Puts the first chat after a seq at the top of the screen, and returns its index in the loaded chats. */
  #anchorAfter(tab: Tab, after: number): number {
    const first = tab.chats.findIndex((chat) => chat.state === undefined && chat.seq > after);
    if (first === -1) return first;
    tab.anchor = timelineLayout(this.#state, this.#size())?.anchorStartingAt(first);
    if (tab.anchor) tab.joined?.history.pin();
    return first;
  }

  /** Scrolls up by rows; down if negative. */
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

  /** Scrolls to the end of the loaded chats; to the newest if `whole` is true or if they end with it. */
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

  /** Scrolls to a chat, and loads it if necessary. */
  async scrollToChat(seq: number): Promise<void> {
    const { active } = this.#state;
    if (!active?.joined) return;
    const findIndex = () => active.chats.findIndex((chat) => chat.state === undefined && chat.seq === seq);
    if (findIndex() < 0) await active.joined.history.loadAround(seq);
    if (active !== this.#state.active) return;
    if (findIndex() < 0) this.#state.notice = { text: this.#state.messages.historyFailed, color: 'warning' };
    else this.revealChat(findIndex());
  }

  /** Selects a loaded chat and scrolls just enough to show it. */
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

  /** Loads the chats near the visible ones, and the targets of visible replies. */
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
