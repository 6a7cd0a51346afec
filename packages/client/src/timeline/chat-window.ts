/** The chat window: a contiguous run of a room's chats, with all changes applied. */
import type { Chat, ChatPage } from '@engawa/protocol';
import { advancePosition, classifyEntry, type EntryRelation, type Position } from '@engawa/protocol/position';
import { applyChange, chatFromEntry, sortReactions, targetSeqOf } from './chat-reducer.ts';
import type { Entry } from './entry.ts';

/** The limit for entries that are delivered during the load of a page. */
const MAX_BUFFERED_ENTRIES = 1_000;

interface VersionedChat {
  chat: Chat;
  /** The chat includes every change up to this entry. */
  asOf: number;
}

/** Where to add a page: before the chats, or after them. */
export type PageDirection = 'before' | 'after';

/** A response of `list:chats`. */
export type EpochChatPage = ChatPage & { epoch: string };

/**
 * A contiguous run of a room's chats, equal to a fresh load. It ends with the newest chat, unless it was moved: then new chats
 * are not added, but changes are applied. One rule covers chats of pages and of entries: an entry changes a chat only if its seq
 * is greater than the chat's `asOf`.
 */
export class ChatWindow {
  readonly #me: string;
  readonly maxChats: number;
  /** The last entry that was delivered, or that the server reported. */
  position: Position;
  #versionedChats: VersionedChat[] = [];
  hasOlder: boolean;
  hasNewer = false;
  /** Set during the load of a page: entries that the page may not include. */
  #entriesDuringLoad: Entry[] | undefined;

  constructor({ me, position, maxChats }: { me: string; position: Position; maxChats: number }) {
    this.#me = me;
    this.position = position;
    this.maxChats = maxChats;
    // An assumption until the first page arrives.
    this.hasOlder = position.seq > 0;
  }

  get chats(): Chat[] {
    return this.#versionedChats.map(({ chat }) => chat);
  }

  /** The seq before which older chats are, or after which newer ones are. */
  edge(direction: PageDirection): number {
    return direction === 'before'
      ? (this.#versionedChats[0]?.chat.seq ?? this.position.seq + 1)
      : (this.#versionedChats.at(-1)?.chat.seq ?? 0);
  }

  /** Applies an entry of any kind if it is the next one; otherwise changes nothing. */
  applyEntry(entry: Entry): EntryRelation {
    const relation = classifyEntry(this.position, entry);
    if (relation !== 'next') return relation;
    this.position = advancePosition(this.position, entry);
    if (this.#entriesDuringLoad && this.#entriesDuringLoad.length < MAX_BUFFERED_ENTRIES) this.#entriesDuringLoad.push(entry);
    this.#apply(entry);
    return relation;
  }

  /** Starts again with a page: the chats belong to another log, or are too far behind. */
  reset(page: ChatPage, position: Position): void {
    this.position = position;
    this.#entriesDuringLoad = undefined;
    this.#replaceAll(page);
  }

  /** Call it before the request of a page. */
  beginLoad(): void {
    this.#entriesDuringLoad = [];
  }

  /**
   * Adds a page at the edge for which it was requested. Returns the number of chats added. Undefined if the page does not fit:
   * request it again.
   */
  insertPage(page: EpochChatPage, direction: PageDirection, edge: number): number | undefined {
    return this.#finishLoad(edge === this.edge(direction) && page, () => {
      const fitting = this.#versionedChatsOf(page).filter(({ chat }) => (direction === 'before' ? chat.seq < edge : chat.seq > edge));
      if (direction === 'before') this.#prepend(fitting, page);
      else this.#appendPage(fitting, page);
      return fitting.length;
    });
  }

  /** Replaces all chats by a page. Returns undefined if the page has to be requested again. */
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

  /** Chats beyond the position are left out: they arrive as entries. */
  #versionedChatsOf({ chats, asOf }: ChatPage): VersionedChat[] {
    return chats.filter(({ seq }) => seq <= this.position.seq).map((chat) => ({ chat: sortReactions(chat), asOf }));
  }

  #replaceAll(page: ChatPage): number {
    this.#versionedChats = [];
    this.hasOlder = page.hasMore.before;
    this.#appendPage(this.#versionedChatsOf(page), page);
    return this.#versionedChats.length;
  }

  #prepend(chats: VersionedChat[], { hasMore }: ChatPage): void {
    this.#versionedChats.unshift(...chats);
    this.hasOlder = hasMore.before;
    if (this.#versionedChats.length <= this.maxChats) return;
    this.#versionedChats.length = this.maxChats;
    this.hasNewer = true;
  }

  #appendPage(added: VersionedChat[], { chats, hasMore }: ChatPage): void {
    this.hasNewer = hasMore.after && (chats.at(-1)?.seq ?? 0) <= this.position.seq;
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
