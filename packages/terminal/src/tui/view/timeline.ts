// Lays out the visible part of a timeline, from the scroll anchor upwards.

import { findSeqIndex, isConfirmed, type SystemNotes } from '@engawa/chat-view';
import type { Chat, TimelineChat } from '@engawa/client';
import type { Messages } from '../../i18n/messages.ts';
import { displayWidth } from '../../text/display-width.ts';
import { sanitizeLine } from '../../text/sanitize.ts';
import type { AuthorColor, Color, Row } from '../../text/styled-span.ts';
import { wrapRow } from '../../text/wrap.ts';
import { chatRows, replySeqOf } from './chat-rows.ts';

/** All inputs of the layout. */
export interface TimelineOptions {
  columns: number;
  height: number;
  messages: Messages;
  me: string;
  chats: readonly TimelineChat[];
  notes: SystemNotes;
  /** Whether the first chat is the first one of the room. */
  isStartLoaded: boolean;
  /** Whether the last chat is the newest one of the room. */
  isNewest: boolean;
  /** Chats after this seq are below the "new" line. */
  newAfter: number | undefined;
  selected: string | undefined;
  /** Columns of the widest name. */
  nameWidth: number;
  colorOf: (username: string) => AuthorColor;
  isConfusable: (username: string) => boolean;
  quotedChat: (seq: number) => Chat | undefined;
}

/** The chat in the last row of the screen, and how many of its rows are below. Without an anchor the newest is shown. */
export interface Anchor {
  key: string;
  seq: number;
  rowsBelow: number;
}

export interface TimelineRow {
  row: Row;
  /** The chat of the row. */
  chatKey?: string | undefined;
}

/** The visible part of a timeline. */
export interface VisibleRows {
  /** From the top; fewer than the height if there are no more. */
  rows: TimelineRow[];
  /** Index of the first visible block. */
  firstBlock: number;
  /** Seq of the last chat of which at least the end is visible. */
  lastVisibleSeq: number;
}

/** Position of a row. A block is a chat with the rows before it; there is one more block after the last chat. */
interface RowPosition {
  block: number;
  row: number;
}

/** Identifies a confirmed or pending chat. */
export const chatKey = (chat: TimelineChat): string => (chat.state === undefined ? `${chat.seq}` : chat.clientId);

const seqOf = (chat: TimelineChat): number => (isConfirmed(chat) ? chat.seq : Number.POSITIVE_INFINITY);

/** Lays out only the visible part, from the anchor on: the cost does not depend on the number of chats. */
export class TimelineLayout {
  readonly #options: TimelineOptions;
  readonly #blocks = new Map<number, TimelineRow[]>();

  constructor(options: TimelineOptions) {
    this.#options = options;
  }

  layOut(anchor: Anchor | undefined): VisibleRows {
    const bottom = this.#fillScreen(this.#rowPositionOf(anchor));
    const rows: TimelineRow[] = [];
    let { block, row } = bottom;
    for (; block >= 0 && rows.length < this.#options.height; block -= 1) {
      const shown = this.#blockRows(block).slice(0, row + 1);
      rows.unshift(...shown.slice(-(this.#options.height - rows.length)));
      row = Number.POSITIVE_INFINITY;
    }
    return { rows, firstBlock: block + 1, lastVisibleSeq: this.#lastVisibleSeq(bottom) };
  }

  /** Scrolls up by rows; down if negative. */
  anchorMovedBy(anchor: Anchor | undefined, by: number): Anchor | undefined {
    const from = this.#fillScreen(this.#rowPositionOf(anchor));
    return this.#anchorAt(this.#fillScreen(by > 0 ? this.#moveUp(from, by) : this.#moveDown(from, -by)));
  }

  /** Puts this chat, with the rows before it, at the top of the screen. */
  anchorStartingAt(index: number): Anchor | undefined {
    return this.#anchorAt(this.#fillScreen(this.#moveDown({ block: index, row: 0 }, this.#options.height - 1)));
  }

  /** Scrolls just enough to show this chat. */
  anchorRevealing(anchor: Anchor | undefined, index: number): Anchor | undefined {
    const bottom = this.#fillScreen(this.#rowPositionOf(anchor));
    const end: RowPosition = { block: index, row: this.#blockRows(index).length - 1 };
    if (index > bottom.block || (index === bottom.block && end.row > bottom.row)) return this.#anchorAt(end);
    const first: RowPosition = { block: index, row: Math.max(0, this.#blockRows(index).length - this.#chatRowCount(index)) };
    const top = this.#moveUp(bottom, this.#options.height - 1);
    const isAbove = first.block < top.block || (first.block === top.block && first.row < top.row);
    return isAbove ? this.#anchorAt(this.#fillScreen(this.#moveDown(first, this.#options.height - 1))) : anchor;
  }

  #chatRowCount(index: number): number {
    return this.#blockRows(index).filter(({ chatKey }) => chatKey !== undefined).length;
  }

  get #lastBlock(): number {
    return this.#options.chats.length;
  }

  get #end(): RowPosition {
    return { block: this.#lastBlock, row: this.#blockRows(this.#lastBlock).length - 1 };
  }

  #rowPositionOf(anchor: Anchor | undefined): RowPosition {
    if (!anchor) return this.#end;
    const block = this.#indexOf(anchor);
    return { block, row: Math.max(0, this.#blockRows(block).length - 1 - anchor.rowsBelow) };
  }

  /** A chat that is gone keeps its position. */
  #indexOf({ key, seq }: Anchor): number {
    const { chats } = this.#options;
    if (Number.isFinite(seq)) return findSeqIndex(chats, seqOf, seq);
    const pending = chats.findLastIndex((chat) => chatKey(chat) === key);
    return pending === -1 ? this.#lastBlock : pending;
  }

  #anchorAt(position: RowPosition): Anchor | undefined {
    const end = this.#end;
    if (position.block > end.block || (position.block === end.block && position.row >= end.row)) return undefined;
    // If the last block is empty, the end of the last chat is the end of the timeline.
    if (end.row < 0 && position.block === this.#lastBlock - 1 && position.row >= this.#blockRows(position.block).length - 1)
      return undefined;
    const chat = this.#options.chats[position.block];
    const rowsBelow = this.#blockRows(position.block).length - 1 - position.row;
    return chat ? { key: chatKey(chat), seq: seqOf(chat), rowsBelow } : { key: '', seq: Number.POSITIVE_INFINITY, rowsBelow };
  }

  #moveUp({ block, row }: RowPosition, by: number): RowPosition {
    let at = block;
    let inside = row - by;
    while (inside < 0 && at > 0) {
      at -= 1;
      inside += this.#blockRows(at).length;
    }
    return { block: at, row: Math.max(0, inside) };
  }

  #moveDown({ block, row }: RowPosition, by: number): RowPosition {
    let at = block;
    let inside = row + by;
    while (inside >= this.#blockRows(at).length && at < this.#lastBlock) {
      inside -= this.#blockRows(at).length;
      at += 1;
    }
    return { block: at, row: Math.min(inside, this.#blockRows(at).length - 1) };
  }

  /** Avoids empty rows: no space is shown above the first chat while there are chats below. */
  #fillScreen(bottom: RowPosition): RowPosition {
    let missing = this.#options.height;
    for (let { block, row } = bottom; missing > 0 && block >= 0; block -= 1) {
      missing -= Math.min(row, this.#blockRows(block).length - 1) + 1;
      row = Number.POSITIVE_INFINITY;
    }
    return missing > 0 ? this.#moveDown(bottom, missing) : bottom;
  }

  #lastVisibleSeq({ block, row }: RowPosition): number {
    const { chats } = this.#options;
    const isCut = row < this.#blockRows(block).length - 1;
    for (let at = Math.min(isCut ? block - 1 : block, chats.length - 1); at >= 0; at -= 1) {
      const chat = chats[at] as TimelineChat;
      if (isConfirmed(chat)) return chat.seq;
    }
    return 0;
  }

  #blockRows(index: number): TimelineRow[] {
    const known = this.#blocks.get(index);
    if (known) return known;
    const block = [...this.#rowsBefore(index), ...this.#chatRows(index)];
    this.#blocks.set(index, block);
    return block;
  }

  #chatRows(index: number): TimelineRow[] {
    const { chats, columns, me, messages, selected, nameWidth, colorOf, isConfusable, quotedChat, isNewest } = this.#options;
    const chat = chats[index];
    if (!chat) return isNewest ? [] : [{ row: ruleRow(messages.moreBelow, columns, 'muted') }];
    const key = chatKey(chat);
    const repliedSeq = replySeqOf(chat);
    const author = { authorColor: colorOf(chat.username), isConfusable: isConfusable(chat.username) };
    const rowOptions = { columns, me, messages, nameWidth, ...author, isSelected: key === selected };
    return chatRows(chat, { ...rowOptions, quotedChat: repliedSeq === undefined ? undefined : quotedChat(repliedSeq) }).map((row) => ({
      row,
      chatKey: key,
    }));
  }

  /** Rows before a chat: start of the room, date, system notes, and the "new" line. */
  #rowsBefore(index: number): TimelineRow[] {
    const { chats, columns, messages, isStartLoaded, newAfter } = this.#options;
    const chat = chats[index];
    const previous = chats[index - 1];
    const rows: Row[] = [];
    if (index === 0 && !isStartLoaded) rows.push(ruleRow(messages.moreAbove, columns, 'muted'));
    if (chat && dayOf(chat.at) !== (previous && dayOf(previous.at))) rows.push(ruleRow(messages.day(chat.at), columns, 'muted'));
    rows.push(...this.#notesBefore(chat, previous));
    const isFirstNew = newAfter !== undefined && chat && seqOf(chat) > newAfter && (previous ? seqOf(previous) <= newAfter : isStartLoaded);
    if (isFirstNew && isConfirmed(chat)) rows.push(ruleRow(messages.newChats, columns, 'warning'));
    return rows.map((row) => ({ row }));
  }

  #notesBefore(chat: TimelineChat | undefined, previous: TimelineChat | undefined): Row[] {
    const { notes, isStartLoaded, isNewest, messages, columns } = this.#options;
    if (!chat && !isNewest) return [];
    const before = chat ? seqOf(chat) : Number.POSITIVE_INFINITY;
    const after = previous ? seqOf(previous) : isStartLoaded ? 0 : before - 1;
    const between = notes.between(after, before);
    return messages
      .notes(between, sanitizeLine)
      .flatMap((text) => wrapRow([{ text: `· ${text}`, color: 'muted' }], columns, { indent: 2 }));
  }
}

const dayOf = (at: number): string => new Date(at).toDateString();

/** Such as `── text ────────`. */
export function ruleRow(text: string, columns: number, color: Color): Row {
  const head = `── ${text} `;
  return [{ text: head + '─'.repeat(Math.max(0, columns - displayWidth(head))), color }];
}
