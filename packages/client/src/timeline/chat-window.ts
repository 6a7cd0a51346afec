import type { Chat, ChatPage } from '@engawa/protocol';
import { advancePosition, classifyEntry, type EntryRelation, type Position } from '@engawa/protocol/position';
import { applyChange, chatFromEntry, sortReactions, targetSeqOf } from './chat-reducer.ts';
import type { Entry } from './entry.ts';

/** Entries told while a page is read. */
const MAX_BUFFERED_ENTRIES = 1_000;

interface VersionedChat {
  chat: Chat;
  /** Every change up to this entry is in the chat. */
  asOf: number;
}

/** Where a page is put: before the chats, or after them. */
export type PageDirection = 'before' | 'after';

/** An answer to `list:chats`. */
export type EpochChatPage = ChatPage & { epoch: string };

/**
 * A window on the chats of a room, without a hole, as a fresh load would show them. It ends with the newest one, unless it was
 * moved: then chats that are told are not shown, and changes are. Whether a chat came on a page or as an entry, one rule holds:
 * an entry changes it only when it is later than what the chat is `asOf`.
 */
export class ChatWindow {
  readonly #me: string;
  readonly maxChats: number;
  /** Up to where everything was told, as entries or the server say. */
  position: Position;
  #versionedChats: VersionedChat[] = [];
  hasOlder: boolean;
  hasNewer = false;
  /** While a page is read: what was told meanwhile, which may not be in it. */
  #entriesDuringLoad: Entry[] | undefined;

  constructor({ me, position, maxChats }: { me: string; position: Position; maxChats: number }) {
    this.#me = me;
    this.position = position;
    this.maxChats = maxChats;
    // Until a page tells otherwise.
    this.hasOlder = position.seq > 0;
  }

  get chats(): Chat[] {
    return this.#versionedChats.map(({ chat }) => chat);
  }

  /** Before this seq the older chats are, or after it the newer ones. */
  edge(direction: PageDirection): number {
    return direction === 'before'
      ? (this.#versionedChats[0]?.chat.seq ?? this.position.seq + 1)
      : (this.#versionedChats.at(-1)?.chat.seq ?? 0);
  }

  /** Takes an entry in when it is the next one, whatever it says; else changes nothing. */
  applyEntry(entry: Entry): EntryRelation {
    const relation = classifyEntry(this.position, entry);
    if (relation !== 'next') return relation;
    this.position = advancePosition(this.position, entry);
    if (this.#entriesDuringLoad && this.#entriesDuringLoad.length < MAX_BUFFERED_ENTRIES) this.#entriesDuringLoad.push(entry);
    this.#apply(entry);
    return relation;
  }

  /** What was shown belongs to another log, or is too far behind: begins anew. */
  reset(page: ChatPage, position: Position): void {
    this.position = position;
    this.#entriesDuringLoad = undefined;
    this.#replaceAll(page);
  }

  /** To be called before a page is asked for. */
  beginLoad(): void {
    this.#entriesDuringLoad = [];
  }

  /** Puts a page where it was asked for. Returns how many were added, or nothing when it does not fit: then it is to be asked for again. */
  insertPage(page: EpochChatPage, direction: PageDirection, edge: number): number | undefined {
    return this.#finishLoad(edge === this.edge(direction) && page, () => {
      const fitting = this.#versionedChatsOf(page).filter(({ chat }) => (direction === 'before' ? chat.seq < edge : chat.seq > edge));
      if (direction === 'before') this.#prepend(fitting, page);
      else this.#appendPage(fitting, page);
      return fitting.length;
    });
  }

  /** Shows a page instead of what it shows. Returns nothing when it is to be asked for again. */
  showPage(page: EpochChatPage): number | undefined {
    return this.#finishLoad(page, () => this.#replaceAll(page));
  }

  #finishLoad(page: EpochChatPage | false, insert: () => number): number | undefined {
    const entries = this.#entriesDuringLoad;
    this.#entriesDuringLoad = undefined;
    if (!page || !entries || entries.length === MAX_BUFFERED_ENTRIES || page.epoch !== this.position.epoch) return undefined;
    const count = insert();
    for (const entry of entries) this.#apply(entry);
    return count;
  }

  /** What is past the position will come as entries. */
  #versionedChatsOf({ chats, asOf }: ChatPage): VersionedChat[] {
    return chats.filter(({ seq }) => seq <= this.position.seq).map((chat) => ({ chat: sortReactions(chat), asOf }));
  }

  #replaceAll(page: ChatPage): number {
    this.#versionedChats = [];
    this.hasOlder = page.more.before;
    this.#appendPage(this.#versionedChatsOf(page), page);
    return this.#versionedChats.length;
  }

  #prepend(chats: VersionedChat[], { more }: ChatPage): void {
    this.#versionedChats.unshift(...chats);
    this.hasOlder = more.before;
    if (this.#versionedChats.length <= this.maxChats) return;
    this.#versionedChats.length = this.maxChats;
    this.hasNewer = true;
  }

  #appendPage(added: VersionedChat[], { chats, more }: ChatPage): void {
    this.hasNewer = more.after && (chats.at(-1)?.seq ?? 0) <= this.position.seq;
    this.#append(added);
  }

  #append(added: VersionedChat[]): void {
    this.#versionedChats.push(...added);
    const excess = this.#versionedChats.length - this.maxChats;
    if (excess <= 0) return;
    this.#versionedChats.splice(0, excess);
    this.hasOlder = true;
  }

  #apply(entry: Entry): void {
    const chat = chatFromEntry(entry);
    if (!chat) this.#applyChange(entry);
    else if (!this.hasNewer && chat.seq > this.edge('after')) this.#append([{ chat, asOf: chat.seq }]);
  }

  #applyChange(entry: Entry): void {
    const seq = targetSeqOf(entry);
    const index = this.#versionedChats.findIndex(({ chat }) => chat.seq === seq);
    const current = this.#versionedChats[index];
    if (!current || entry.seq <= current.asOf) return;
    this.#versionedChats[index] = { chat: applyChange(entry, current.chat, this.#me), asOf: entry.seq };
  }
}
