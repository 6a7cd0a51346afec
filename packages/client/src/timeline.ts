import type { Chat, ChatPage } from '@engawa/protocol';
import { after, type Position, type Step, stepTo } from '@engawa/protocol/position';
import { arranged, changedBy, changedSeq, chatOf } from './chat-changes.ts';
import type { Entry } from './entry.ts';

/** Entries told while a page is read. */
const MAX_TOLD = 1_000;

interface Held {
  chat: Chat;
  /** Every change up to this entry is in the chat. */
  asOf: number;
}

/** Where a page is put: before the chats, or after them. */
export type Way = 'before' | 'after';

/** An answer to `list:chats`. */
export type Page = ChatPage & { epoch: string };

/**
 * A window on the chats of a room, without a hole, as a fresh load would show them. It ends with the newest one, unless it was
 * moved: then chats that are told are not shown, and changes are. Whether a chat came on a page or as an entry, one rule holds:
 * an entry changes it only when it is later than what the chat is `asOf`.
 */
export class Timeline {
  readonly #me: string;
  readonly maxChats: number;
  /** Up to where everything was told, as entries or the server say. */
  position: Position;
  #held: Held[] = [];
  hasOlder: boolean;
  hasNewer = false;
  /** While a page is read: what was told meanwhile, which may not be in it. */
  #told: Entry[] | undefined;

  constructor({ me, position, maxChats }: { me: string; position: Position; maxChats: number }) {
    this.#me = me;
    this.position = position;
    this.maxChats = maxChats;
    // Until a page tells otherwise.
    this.hasOlder = position.seq > 0;
  }

  get chats(): Chat[] {
    return this.#held.map(({ chat }) => chat);
  }

  /** Before this seq the older chats are, or after it the newer ones. */
  edge(way: Way): number {
    return way === 'before' ? (this.#held[0]?.chat.seq ?? this.position.seq + 1) : (this.#held.at(-1)?.chat.seq ?? 0);
  }

  /** Takes an entry in when it is the next one, whatever it says; else changes nothing. */
  tell(entry: Entry): Step {
    const step = stepTo(this.position, entry);
    if (step !== 'next') return step;
    this.position = after(this.position, entry);
    if (this.#told && this.#told.length < MAX_TOLD) this.#told.push(entry);
    this.#take(entry);
    return step;
  }

  /** What was shown belongs to another log, or is too far behind: begins anew. */
  reset(page: ChatPage, position: Position): void {
    this.position = position;
    this.#told = undefined;
    this.#begin(page);
  }

  /** To be called before a page is asked for. */
  expect(): void {
    this.#told = [];
  }

  /** Puts a page where it was asked for. Returns how many were added, or nothing when it does not fit: then it is to be asked for again. */
  add(page: Page, way: Way, edge: number): number | undefined {
    return this.#put(edge === this.edge(way) && page, () => {
      const fitting = this.#heldOf(page).filter(({ chat }) => (way === 'before' ? chat.seq < edge : chat.seq > edge));
      if (way === 'before') this.#prepend(fitting, page);
      else this.#continue(fitting, page);
      return fitting.length;
    });
  }

  /** Shows a page instead of what it shows. Returns nothing when it is to be asked for again. */
  jump(page: Page): number | undefined {
    return this.#put(page, () => this.#begin(page));
  }

  #put(page: Page | false, put: () => number): number | undefined {
    const told = this.#told;
    this.#told = undefined;
    if (!page || !told || told.length === MAX_TOLD || page.epoch !== this.position.epoch) return undefined;
    const count = put();
    for (const entry of told) this.#take(entry);
    return count;
  }

  /** What is past the position will come as entries. */
  #heldOf({ chats, asOf }: ChatPage): Held[] {
    return chats.filter(({ seq }) => seq <= this.position.seq).map((chat) => ({ chat: arranged(chat), asOf }));
  }

  #begin(page: ChatPage): number {
    this.#held = [];
    this.hasOlder = page.more.before;
    this.#continue(this.#heldOf(page), page);
    return this.#held.length;
  }

  #prepend(held: Held[], { more }: ChatPage): void {
    this.#held.unshift(...held);
    this.hasOlder = more.before;
    if (this.#held.length <= this.maxChats) return;
    this.#held.length = this.maxChats;
    this.hasNewer = true;
  }

  #continue(held: Held[], { chats, more }: ChatPage): void {
    this.hasNewer = more.after && (chats.at(-1)?.seq ?? 0) <= this.position.seq;
    this.#append(held);
  }

  #append(held: Held[]): void {
    this.#held.push(...held);
    const excess = this.#held.length - this.maxChats;
    if (excess <= 0) return;
    this.#held.splice(0, excess);
    this.hasOlder = true;
  }

  #take(entry: Entry): void {
    const chat = chatOf(entry);
    if (!chat) this.#change(entry);
    else if (!this.hasNewer && chat.seq > this.edge('after')) this.#append([{ chat, asOf: chat.seq }]);
  }

  #change(entry: Entry): void {
    const seq = changedSeq(entry);
    const at = this.#held.findIndex(({ chat }) => chat.seq === seq);
    const held = this.#held[at];
    if (!held || entry.seq <= held.asOf) return;
    this.#held[at] = { chat: changedBy(entry, held.chat, this.#me), asOf: entry.seq };
  }
}
