import type { Chat, ChatPage } from '@engawa/protocol';
import { after, type Position, type Step, stepTo } from '@engawa/protocol/position';
import { arranged, changedBy, changedSeq, chatOf } from './chat-changes.ts';
import type { Entry } from './entry.ts';

const LATE_CHANGES = 1_000;

interface Held {
  chat: Chat;
  /** Every change up to this entry is in the chat. */
  asOf: number;
}

/**
 * The newest chats of a room, contiguous up to a position, as a fresh load would show them. Whether they came on a page
 * or as entries, one rule holds for each: an entry changes it only when it is later than what the chat is `asOf`.
 */
export class Timeline {
  readonly #me: string;
  readonly #maxChats: number;
  /** Up to where everything was told, as entries or the server say. */
  position: Position;
  #held: Held[] = [];
  hasOlder: boolean;
  /** While a page of older chats is read: the changes told meanwhile, which may not be in it. */
  #late: Entry[] | undefined;

  constructor({ me, position, maxChats }: { me: string; position: Position; maxChats: number }) {
    this.#me = me;
    this.position = position;
    this.#maxChats = maxChats;
    // Until a page tells otherwise.
    this.hasOlder = position.seq > 0;
  }

  get chats(): Chat[] {
    return this.#held.map(({ chat }) => chat);
  }

  get room(): number {
    return this.#maxChats - this.#held.length;
  }

  /** Where the chats begin: older ones are before this seq. */
  get beginning(): number {
    return this.#held[0]?.chat.seq ?? this.position.seq + 1;
  }

  /** Takes an entry in when it is the next one, whatever it says; else changes nothing. */
  tell(entry: Entry): Step {
    const step = stepTo(this.position, entry);
    if (step !== 'next') return step;
    this.position = after(this.position, entry);
    const chat = chatOf(entry);
    if (chat) this.#append(chat);
    else this.#change(entry);
    return step;
  }

  /** What was shown belongs to another log, or is too far behind: begins anew. */
  reset(page: ChatPage, position: Position): void {
    this.position = position;
    this.#held = [];
    this.#late = undefined;
    this.hasOlder = page.more.before;
    this.#put(page);
  }

  /** To be called before a page of older chats is asked for. */
  expectOlder(): void {
    this.#late = [];
  }

  /** Puts a page before the chats. Returns how many were added, or nothing when it does not fit: then it is to be asked for again. */
  addOlder(page: ChatPage & { epoch: string }, before: number): number | undefined {
    const late = this.#late;
    this.#late = undefined;
    const fits = late && late.length < LATE_CHANGES && before === this.beginning && page.epoch === this.position.epoch;
    if (!fits) return undefined;
    const count = this.#put(page);
    for (const entry of late) this.#change(entry);
    return count;
  }

  /** The newest that there is place for; what is past the position will come as entries. */
  #put({ chats, asOf, more }: ChatPage): number {
    const fitting = chats.filter(({ seq }) => seq < this.beginning);
    const taken = this.room > 0 ? fitting.slice(-this.room) : [];
    this.hasOlder = more.before || taken.length < fitting.length;
    this.#held.unshift(...taken.map((chat) => ({ chat: arranged(chat), asOf })));
    return taken.length;
  }

  #append(chat: Chat): void {
    this.#held.push({ chat, asOf: chat.seq });
    if (this.#held.length <= this.#maxChats) return;
    this.#held.shift();
    this.hasOlder = true;
  }

  #change(entry: Entry): void {
    const seq = changedSeq(entry);
    if (seq === undefined) return;
    if (seq < this.beginning && this.#late && this.#late.length < LATE_CHANGES) this.#late.push(entry);
    const at = this.#held.findIndex(({ chat }) => chat.seq === seq);
    const held = this.#held[at];
    if (!held || entry.seq <= held.asOf) return;
    this.#held[at] = { chat: changedBy(entry, held.chat, this.#me), asOf: entry.seq };
  }
}
