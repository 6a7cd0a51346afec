// One open room of the full-screen client: editor, scroll position, unread count.

import { countUnread, HistoryWindow, KnownNames, ReplyQuotes, SystemNotes, type Unread } from '@engawa/chat-view';
import type { Chat, Room, TimelineChat } from '@engawa/client';
import { Editor } from '../input/editor.ts';
import { type Alerts, DEFAULT_ALERTS } from '../view-model/alerts.ts';
import { NameColumnWidth } from '../view-model/name-column.ts';
import type { Anchor } from './view/timeline.ts';

/** The reply or edit in progress. */
export interface Composing {
  kind: 'reply' | 'edit';
  chat: Chat;
  /** The input before the reply or edit began. */
  draft: string;
}

/** A search in the loaded chats, and the current result. */
export interface Search {
  query: string;
  index: number;
  count: number;
}

const NO_UNREAD: Unread = { count: 0, hasMore: false, mentions: 0 };

/** The state of a room that the SDK does not have. */
export class Tab {
  readonly id: string;
  username: string;
  readonly editor = new Editor();
  readonly names = new KnownNames();
  readonly nameColumn = new NameColumnWidth();
  readonly notes = new SystemNotes();
  readonly #onChange: () => void;
  /** Undefined until the room is joined. */
  joined: { room: Room; history: HistoryWindow; quotes: ReplyQuotes; unsubscribe: () => void } | undefined;
  /** Why the room could not be joined or has ended; `name_taken` and `name_confusable` need another name. */
  problem: { code: string; text: string } | undefined;
  /** Undefined while the newest chats are shown. */
  anchor: Anchor | undefined;
  selected: string | undefined;
  /** Whether the chat was selected by keys, so that letters act on it. After a click, letters are text. */
  takesLetters = false;
  composing: Composing | undefined;
  search: Search | undefined;
  alerts: Alerts = DEFAULT_ALERTS;
  /** Chats up to this seq are read. */
  readSeq = 0;
  /** Position of the "new" line: the last read seq when the room was last activated. */
  newAfter: number | undefined;
  #unreadCache: { chats: readonly TimelineChat[]; readSeq: number; unread: Unread } | undefined;

  constructor(id: string, username: string, onChange: () => void) {
    this.id = id;
    this.username = username;
    this.#onChange = onChange;
  }

  get room(): Room | undefined {
    return this.joined?.room;
  }

  get chats(): readonly TimelineChat[] {
    return this.joined?.history.chats ?? [];
  }

  attachRoom(room: Room, unsubscribe: () => void): void {
    this.username = room.username;
    this.joined = { room, history: new HistoryWindow(room, this.#onChange), quotes: new ReplyQuotes(room, this.#onChange), unsubscribe };
    for (const { username } of room.timeline.chats) this.names.recordActivity(username);
    this.names.recordActivity(room.username);
  }

  /** Ends the subscription to the room. */
  detachRoom(): void {
    this.joined?.unsubscribe();
    this.joined?.room.close();
    this.joined?.history.close();
    Object.assign(this, { joined: undefined, problem: undefined, anchor: undefined, selected: undefined, search: undefined });
  }

  /** The chats were replaced. */
  reset(): void {
    this.notes.reset();
    this.joined?.history.reset();
    this.joined?.quotes.reset();
    this.readSeq = Math.min(this.readSeq, this.room?.position.seq ?? 0);
    Object.assign(this, { anchor: undefined, selected: undefined, search: undefined, newAfter: undefined });
  }

  get unread(): Unread {
    if (!this.room) return NO_UNREAD;
    const { chats, hasOlder } = this.room.timeline;
    const { readSeq, username: me } = this;
    if (this.#unreadCache?.chats !== chats || this.#unreadCache.readSeq !== readSeq) {
      this.#unreadCache = { chats, readSeq, unread: countUnread(chats, { readSeq, me, hasOlder }) };
    }
    return this.#unreadCache.unread;
  }

  /** The unread chats that count towards the totals of other rooms. */
  get alertingUnread(): Unread {
    const { unread } = this;
    return this.alerts.isMuted ? { count: unread.mentions, hasMore: false, mentions: unread.mentions } : unread;
  }

  /** Own chats without an acknowledgement. */
  get pendingCount(): number {
    const chats = this.room?.timeline.chats ?? [];
    let count = 0;
    for (let at = chats.length - 1; at >= 0 && chats[at]?.state !== undefined; at -= 1) if (chats[at]?.state === 'sending') count += 1;
    return count;
  }
}
