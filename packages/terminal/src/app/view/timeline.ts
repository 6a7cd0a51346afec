import type { Chat, ShownChat } from '@engawa/client';
import { columnsOf } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { AuthorInk, Ink, Row } from '../../text/span.ts';
import { wrapped } from '../../text/wrap.ts';
import type { Words } from '../../words/words.ts';
import { indexOfSeq, isTold } from '../history-window.ts';
import type { Notes } from '../notes.ts';
import { chatRows, replyTo } from './chat-rows.ts';

/** All that the rows of a timeline are made of. */
export interface TimelineLook {
  columns: number;
  height: number;
  words: Words;
  me: string;
  chats: readonly ShownChat[];
  notes: Notes;
  /** The first chat is the first one that there is. */
  isWhole: boolean;
  /** The last chat is the newest one. */
  isNewest: boolean;
  /** What comes after this seq is new to the reader. */
  newAfter: number | undefined;
  selected: string | undefined;
  /** That the widest name takes. */
  nameColumns: number;
  inkOf: (username: string) => AuthorInk;
  isAlike: (username: string) => boolean;
  quoted: (seq: number) => Chat | undefined;
}

/** What stands in the last row of the screen: a chat, and how many of its rows are below. Nothing: the newest. */
export interface Anchor {
  key: string;
  seq: number;
  below: number;
}

export interface PlacedRow {
  row: Row;
  /** The chat that it belongs to. */
  key?: string | undefined;
}

/** What of a timeline is on the screen. */
export interface Shown {
  /** From the top; fewer than the height when there are no more. */
  rows: PlacedRow[];
  /** Blocks above the first that is shown. */
  above: number;
  /** The last chat that is seen, at least its end. */
  lastSeen: number;
}

/** The place of a row: blocks are chats with what stands before them, and after all of them one more. */
interface Spot {
  block: number;
  row: number;
}

/** What names a chat, told or on its way. */
export const keyOf = (chat: ShownChat): string => (chat.state === undefined ? `${chat.seq}` : chat.clientId);

const seqOf = (chat: ShownChat): number => (isTold(chat) ? chat.seq : Number.POSITIVE_INFINITY);

/** Lays out as much as is seen, beginning where the reader is: what it costs does not depend on how many chats there are. */
export class TimelineRows {
  readonly #look: TimelineLook;
  readonly #blocks = new Map<number, PlacedRow[]>();

  constructor(look: TimelineLook) {
    this.#look = look;
  }

  show(anchor: Anchor | undefined): Shown {
    const bottom = this.#filled(this.#spotOf(anchor));
    const rows: PlacedRow[] = [];
    let { block, row } = bottom;
    for (; block >= 0 && rows.length < this.#look.height; block -= 1) {
      const shown = this.#block(block).slice(0, row + 1);
      rows.unshift(...shown.slice(-(this.#look.height - rows.length)));
      row = Number.POSITIVE_INFINITY;
    }
    return { rows, above: block + 1, lastSeen: this.#lastSeen(bottom) };
  }

  /** Rows up, or down when it is less than zero. */
  moved(anchor: Anchor | undefined, by: number): Anchor | undefined {
    const from = this.#filled(this.#spotOf(anchor));
    return this.#anchorAt(this.#filled(by > 0 ? this.#up(from, by) : this.#down(from, -by)));
  }

  /** With this chat, and what stands before it, at the top of the screen. */
  startingAt(index: number): Anchor | undefined {
    return this.#anchorAt(this.#filled(this.#down({ block: index, row: 0 }, this.#look.height - 1)));
  }

  /** Moved no more than it takes to see this chat. */
  revealing(anchor: Anchor | undefined, index: number): Anchor | undefined {
    const bottom = this.#filled(this.#spotOf(anchor));
    const end: Spot = { block: index, row: this.#block(index).length - 1 };
    if (index > bottom.block || (index === bottom.block && end.row > bottom.row)) return this.#anchorAt(end);
    const first: Spot = { block: index, row: Math.max(0, this.#block(index).length - this.#ownRows(index)) };
    const top = this.#up(bottom, this.#look.height - 1);
    const isAbove = first.block < top.block || (first.block === top.block && first.row < top.row);
    return isAbove ? this.#anchorAt(this.#filled(this.#down(first, this.#look.height - 1))) : anchor;
  }

  #ownRows(index: number): number {
    return this.#block(index).filter(({ key }) => key !== undefined).length;
  }

  get #last(): number {
    return this.#look.chats.length;
  }

  get #end(): Spot {
    return { block: this.#last, row: this.#block(this.#last).length - 1 };
  }

  #spotOf(anchor: Anchor | undefined): Spot {
    if (!anchor) return this.#end;
    const block = this.#indexOf(anchor);
    return { block, row: Math.max(0, this.#block(block).length - 1 - anchor.below) };
  }

  /** One that is gone is where it would be. */
  #indexOf({ key, seq }: Anchor): number {
    const { chats } = this.#look;
    if (Number.isFinite(seq)) return indexOfSeq(chats, seqOf, seq);
    const pending = chats.findLastIndex((chat) => keyOf(chat) === key);
    return pending === -1 ? this.#last : pending;
  }

  #anchorAt(spot: Spot): Anchor | undefined {
    const end = this.#end;
    if (spot.block > end.block || (spot.block === end.block && spot.row >= end.row)) return undefined;
    // The last block may be empty: then the end of the last chat is the end of all.
    if (end.row < 0 && spot.block === this.#last - 1 && spot.row >= this.#block(spot.block).length - 1) return undefined;
    const chat = this.#look.chats[spot.block];
    const below = this.#block(spot.block).length - 1 - spot.row;
    return chat ? { key: keyOf(chat), seq: seqOf(chat), below } : { key: '', seq: Number.POSITIVE_INFINITY, below };
  }

  #up({ block, row }: Spot, by: number): Spot {
    let at = block;
    let inside = row - by;
    while (inside < 0 && at > 0) {
      at -= 1;
      inside += this.#block(at).length;
    }
    return { block: at, row: Math.max(0, inside) };
  }

  #down({ block, row }: Spot, by: number): Spot {
    let at = block;
    let inside = row + by;
    while (inside >= this.#block(at).length && at < this.#last) {
      inside -= this.#block(at).length;
      at += 1;
    }
    return { block: at, row: Math.min(inside, this.#block(at).length - 1) };
  }

  /** No emptier than it must be: what is above the first chat is not shown while there is something below. */
  #filled(bottom: Spot): Spot {
    let missing = this.#look.height;
    for (let { block, row } = bottom; missing > 0 && block >= 0; block -= 1) {
      missing -= Math.min(row, this.#block(block).length - 1) + 1;
      row = Number.POSITIVE_INFINITY;
    }
    return missing > 0 ? this.#down(bottom, missing) : bottom;
  }

  #lastSeen({ block, row }: Spot): number {
    const { chats } = this.#look;
    const isCut = row < this.#block(block).length - 1;
    for (let at = Math.min(isCut ? block - 1 : block, chats.length - 1); at >= 0; at -= 1) {
      const chat = chats[at] as ShownChat;
      if (isTold(chat)) return chat.seq;
    }
    return 0;
  }

  #block(index: number): PlacedRow[] {
    const known = this.#blocks.get(index);
    if (known) return known;
    const block = [...this.#before(index), ...this.#chat(index)];
    this.#blocks.set(index, block);
    return block;
  }

  #chat(index: number): PlacedRow[] {
    const { chats, columns, me, words, selected, nameColumns, inkOf, isAlike, quoted, isNewest } = this.#look;
    const chat = chats[index];
    if (!chat) return isNewest ? [] : [{ row: ruled(words.moreBelow, columns, 'muted') }];
    const key = keyOf(chat);
    const answered = replyTo(chat);
    const by = { ink: inkOf(chat.username), isAlike: isAlike(chat.username) };
    const look = { columns, me, words, nameColumns, ...by, isSelected: key === selected };
    return chatRows(chat, { ...look, quoted: answered === undefined ? undefined : quoted(answered) }).map((row) => ({ row, key }));
  }

  /** Where the room begins, the day, what else happened, and where the new begins. */
  #before(index: number): PlacedRow[] {
    const { chats, columns, words, isWhole, newAfter } = this.#look;
    const chat = chats[index];
    const previous = chats[index - 1];
    const rows: Row[] = [];
    if (index === 0 && !isWhole) rows.push(ruled(words.moreAbove, columns, 'muted'));
    if (chat && dayOf(chat.at) !== (previous && dayOf(previous.at))) rows.push(ruled(words.day(chat.at), columns, 'muted'));
    rows.push(...this.#notesBefore(chat, previous));
    const isFirstNew = newAfter !== undefined && chat && seqOf(chat) > newAfter && (previous ? seqOf(previous) <= newAfter : isWhole);
    if (isFirstNew && isTold(chat)) rows.push(ruled(words.newChats, columns, 'warning'));
    return rows.map((row) => ({ row }));
  }

  #notesBefore(chat: ShownChat | undefined, previous: ShownChat | undefined): Row[] {
    const { notes, isWhole, isNewest, words, columns } = this.#look;
    if (!chat && !isNewest) return [];
    const before = chat ? seqOf(chat) : Number.POSITIVE_INFINITY;
    const after = previous ? seqOf(previous) : isWhole ? 0 : before - 1;
    const between = notes.between(after, before);
    return words.notes(between, safeLine).flatMap((text) => wrapped([{ text: `· ${text}`, ink: 'muted' }], columns, { indent: 2 }));
  }
}

const dayOf = (at: number): string => new Date(at).toDateString();

/** `── text ────────` */
export function ruled(text: string, columns: number, ink: Ink): Row {
  const head = `── ${text} `;
  return [{ text: head + '─'.repeat(Math.max(0, columns - columnsOf(head))), ink }];
}
