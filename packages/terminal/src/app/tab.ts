import type { Chat, Room, ShownChat } from '@engawa/client';
import { Editor } from '../input/editor.ts';
import { type Alerts, USUAL } from './alerts.ts';
import { HistoryWindow } from './history-window.ts';
import { NameColumn } from './name-column.ts';
import { Names } from './names.ts';
import { Notes } from './notes.ts';
import { Quotes } from './quotes.ts';
import { type Unread, unreadOf } from './unread.ts';
import type { Anchor } from './view/timeline.ts';

/** What the text that is being typed will be. */
export interface Composing {
  kind: 'reply' | 'edit';
  chat: Chat;
  /** What was being typed before. */
  draft: string;
}

/** A search in the chats that are loaded, and which of those found one is at. */
export interface Search {
  words: string;
  at: number;
  all: number;
}

const NOTHING: Unread = { count: 0, more: false, mentions: 0 };

/** A room as it is looked at: what the SDK does not know of it. */
export class Tab {
  readonly id: string;
  username: string;
  readonly editor = new Editor();
  readonly names = new Names();
  readonly nameColumn = new NameColumn();
  readonly notes = new Notes();
  readonly #changed: () => void;
  /** Nothing until it is joined. */
  joined: { room: Room; history: HistoryWindow; quotes: Quotes; unlisten: () => void } | undefined;
  /** Why it could not be joined, or is over; `name_taken` and `name_confusable` ask for another name. */
  problem: { code: string; text: string } | undefined;
  /** Nothing while the newest is looked at. */
  anchor: Anchor | undefined;
  selected: string | undefined;
  /** The selected chat was selected by keys, so that single letters act on it; after a click they are text. */
  takesLetters = false;
  composing: Composing | undefined;
  search: Search | undefined;
  alerts: Alerts = USUAL;
  /** Up to this seq it was read. */
  readTo = 0;
  /** Where the new began when it was last looked at. */
  newAfter: number | undefined;
  #counted: { of: readonly ShownChat[]; readTo: number; unread: Unread } | undefined;

  constructor(id: string, username: string, changed: () => void) {
    this.id = id;
    this.username = username;
    this.#changed = changed;
  }

  get room(): Room | undefined {
    return this.joined?.room;
  }

  get chats(): readonly ShownChat[] {
    return this.joined?.history.chats ?? [];
  }

  begin(room: Room, unlisten: () => void): void {
    this.username = room.username;
    this.joined = { room, history: new HistoryWindow(room, this.#changed), quotes: new Quotes(room, this.#changed), unlisten };
    for (const { username } of room.timeline.chats) this.names.seen(username);
    this.names.seen(room.username);
  }

  /** Nothing of the room is heard any more. */
  end(): void {
    this.joined?.unlisten();
    this.joined?.room.close();
    this.joined?.history.close();
    Object.assign(this, { joined: undefined, problem: undefined, anchor: undefined, selected: undefined, search: undefined });
  }

  /** The chats are others than before. */
  reset(): void {
    this.notes.reset();
    this.joined?.history.reset();
    this.joined?.quotes.reset();
    this.readTo = Math.min(this.readTo, this.room?.position.seq ?? 0);
    Object.assign(this, { anchor: undefined, selected: undefined, search: undefined, newAfter: undefined });
  }

  get unread(): Unread {
    if (!this.room) return NOTHING;
    const { chats: of, hasOlder } = this.room.timeline;
    const { readTo, username: me } = this;
    if (this.#counted?.of !== of || this.#counted.readTo !== readTo) {
      this.#counted = { of, readTo, unread: unreadOf(of, { readTo, me, hasOlder }) };
    }
    return this.#counted.unread;
  }

  /** What of the unread counts as new, where rooms are counted together. */
  get news(): Unread {
    const { unread } = this;
    return this.alerts.isMuted ? { count: unread.mentions, more: false, mentions: unread.mentions } : unread;
  }

  /** Own chats that the server has yet to keep. */
  get waiting(): number {
    const chats = this.room?.timeline.chats ?? [];
    let count = 0;
    for (let at = chats.length - 1; at >= 0 && chats[at]?.state !== undefined; at -= 1) if (chats[at]?.state === 'sending') count += 1;
    return count;
  }
}
