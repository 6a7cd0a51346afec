import type { Size } from '../screen/frame.ts';
import type { State } from './state.ts';
import type { Tab } from './tab.ts';
import { keyOf } from './view/timeline.ts';
import { answeredIn, type Composition, timelineOf } from './view/view.ts';

const AGAIN_MS = 2_000;
/** So many chats before the edge the next page is asked for. */
const AHEAD = 20;

/** Where in the room that is looked at somebody reads, and what is loaded around that. */
export class Reader {
  readonly #state: State;
  readonly #size: () => Size;
  readonly #changed: () => void;
  /** When a page could not be had: it is not asked for again at once. */
  #failedAt = 0;

  constructor(state: State, size: () => Size, changed: () => void) {
    this.#state = state;
    this.#size = size;
    this.#changed = changed;
  }

  /** Reading begins where the new does, when it does not fit on the screen; that may be before what is loaded. */
  async toNew(tab: Tab): Promise<void> {
    const { newAfter, joined } = tab;
    if (tab !== this.#state.active || !joined || tab.anchor || newAfter === undefined || tab.unread.count === 0) return;
    const isLoaded = this.#startAt(tab, newAfter) > 0 || !joined.history.hasOlder;
    // Somebody may look at another room by then: that one is then read on from where it was.
    if (!isLoaded && (await joined.history.around(newAfter)) && tab === this.#state.active) this.#startAt(tab, newAfter);
    this.#changed();
  }

  /** Puts the first chat after a seq at the top, and answers which that is of those that are loaded. */
  #startAt(tab: Tab, after: number): number {
    const first = tab.chats.findIndex((chat) => chat.state === undefined && chat.seq > after);
    if (first === -1) return first;
    tab.anchor = timelineOf(this.#state, this.#size())?.startingAt(first);
    if (tab.anchor) tab.joined?.history.hold();
    return first;
  }

  /** Rows up, or down when it is less than zero. */
  scroll(by: number, mostScroll: number): void {
    const { active, panel } = this.#state;
    if (panel) panel.scroll = Math.max(0, Math.min(panel.scroll - by, mostScroll));
    else if (active?.joined) {
      if (by > 0) active.joined.history.hold();
      const anchor = timelineOf(this.#state, this.#size())?.moved(active.anchor, by);
      if (anchor) active.anchor = anchor;
      else this.toNewest();
    }
    this.#changed();
  }

  /** As far down as is loaded, or all the way when that is the newest. */
  toNewest({ whole = false } = {}): void {
    const { active } = this.#state;
    if (!active?.joined) return;
    const { history } = active.joined;
    const last = history.chats.at(-1);
    if (whole || history.isNewest || !last || last.state !== undefined) {
      active.anchor = undefined;
      history.follow();
    } else active.anchor = { key: `${last.seq}`, seq: last.seq, below: 0 };
    this.#changed();
  }

  async toOldest(): Promise<void> {
    const { active } = this.#state;
    if (!active?.joined || !(await active.joined.history.oldest())) return;
    const [first] = active.chats;
    if (first?.state === undefined && first) active.anchor = { key: `${first.seq}`, seq: first.seq, below: 0 };
    this.#changed();
  }

  /** To a chat that may be far from what is loaded. */
  async goTo(seq: number): Promise<void> {
    const { active } = this.#state;
    if (!active?.joined) return;
    const at = () => active.chats.findIndex((chat) => chat.state === undefined && chat.seq === seq);
    if (at() < 0) await active.joined.history.around(seq);
    if (active !== this.#state.active) return;
    if (at() < 0) this.#state.notice = { text: this.#state.words.historyFailed, ink: 'warning' };
    else this.reveal(at());
  }

  /** Selects a chat of those that are loaded, and scrolls as far as it takes to see it. */
  reveal(index: number): void {
    const { active } = this.#state;
    const chat = active?.chats[index];
    if (!active?.joined || !chat) return;
    active.selected = keyOf(chat);
    active.anchor = timelineOf(this.#state, this.#size())?.revealing(active.anchor, index);
    if (active.anchor) active.joined.history.hold();
    else this.toNewest();
    this.#changed();
  }

  /** What is nearly in sight, and what is answered there. */
  load({ shown }: Composition): void {
    const { active } = this.#state;
    if (!shown || !active?.joined || active.room?.state === 'ended') return;
    const { history, quotes } = active.joined;
    for (const seq of answeredIn(this.#state, shown)) quotes.want(seq, history);
    for (const { username } of history.chats.slice(shown.above, shown.above + shown.rows.length)) active.names.learned(username);
    if (Date.now() - this.#failedAt < AGAIN_MS) return;
    if (shown.above < AHEAD && history.hasOlder) void this.#loaded(history.older());
    else if (!history.isNewest && shown.above + shown.rows.length + AHEAD > history.chats.length) void this.#loaded(history.newer());
  }

  async #loaded(loading: Promise<boolean>): Promise<void> {
    if (!(await loading)) this.#failedAt = Date.now();
  }
}
