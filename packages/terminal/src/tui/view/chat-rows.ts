// Lays out one chat as rows: time, name, text, quote and reactions.

import { isConfirmed } from '@engawa/chat-view';
import type { Chat, TimelineChat } from '@engawa/client';
import { mentions } from '@engawa/protocol/mentions';
import type { Messages } from '../../i18n/messages.ts';
import { displayWidth, truncate, widthMode } from '../../text/display-width.ts';
import { linkifyUrls } from '../../text/hyperlinks.ts';
import { sanitizeLine, sanitizeLines } from '../../text/sanitize.ts';
import type { AuthorColor, Row, Span } from '../../text/styled-span.ts';
import { wrapRow } from '../../text/wrap.ts';
import { fitRow, rowWidth } from './cells.ts';

/** How to display one chat. */
export interface ChatRowOptions {
  columns: number;
  me: string;
  messages: Messages;
  /** Color of the author. */
  authorColor: AuthorColor;
  /** Columns of the widest name in the room. */
  nameWidth: number;
  /** Whether another name in the room looks like the author's. */
  isConfusable: boolean;
  isSelected: boolean;
  /** The chat that this one replies to; undefined while it is not loaded. */
  quotedChat?: Chat | undefined;
}

/** From this width on, time and name have their own columns. */
const WIDE_LAYOUT_COLUMNS = 60;
/** Limits for the name column. They leave the text more than half of a screen of 80 columns. */
const MIN_NAME_COLUMNS = 3;
const maxNameColumns = (columns: number): number => (columns < 70 ? 10 : 14);
/** Columns of `12:03 ` and ` │ `. */
const TIME_COLUMNS = 6;
const BAR_COLUMNS = 3;

interface CachedRows {
  key: string;
  quotedChat: Chat | undefined;
  rows: readonly Row[];
}

const rowCache = new WeakMap<TimelineChat, CachedRows>();

/** The rows of a chat at this width. Layouts are cached. */
export function chatRows(chat: TimelineChat, options: ChatRowOptions): readonly Row[] {
  const { columns, me, messages, authorColor, nameWidth, isConfusable, isSelected, quotedChat } = options;
  const key = `${columns} ${widthMode()} ${messages.language} ${authorColor} ${nameWidth} ${isConfusable} ${isSelected} ${me}`;
  const known = rowCache.get(chat);
  if (known?.key === key && known.quotedChat === quotedChat) return known.rows;
  const rows = isSelected ? layOutChat(chat, options).map((row) => highlightRow(row, columns)) : layOutChat(chat, options);
  rowCache.set(chat, { key, quotedChat, rows });
  return rows;
}

function layOutChat(chat: TimelineChat, options: ChatRowOptions): Row[] {
  return options.columns >= WIDE_LAYOUT_COLUMNS ? layOutWide(chat, options) : layOutNarrow(chat, options);
}

/** Such as `12:03         aya │ hello`. */
function layOutWide(chat: TimelineChat, options: ChatRowOptions): Row[] {
  const nameColumns = Math.max(MIN_NAME_COLUMNS, Math.min(options.nameWidth, maxNameColumns(options.columns)));
  const gutter = TIME_COLUMNS + nameColumns + BAR_COLUMNS;
  const width = options.columns - gutter;
  const [time, name] = headSpans(chat, options);
  const shown = { ...name, text: truncate(name.text, nameColumns) };
  const space = { text: ' '.repeat(Math.max(0, nameColumns - displayWidth(shown.text))) };
  const bar: Span = { text: ' │ ', color: 'muted' };
  const rows = bodyRows(chat, options, width).flatMap((row) => wrapRow(row, width));
  return rows.map((row, at) => (at === 0 ? [time, space, shown, bar, ...row] : [{ text: ' '.repeat(gutter - BAR_COLUMNS) }, bar, ...row]));
}

/** Such as `12:03 aya: hello`; the following rows are indented. */
function layOutNarrow(chat: TimelineChat, options: ChatRowOptions): Row[] {
  const { columns } = options;
  const indent = columns > 12 ? 2 : 0;
  const [time, name] = headSpans(chat, options);
  const shown = { ...name, text: truncate(name.text, Math.max(1, columns - 10)) };
  const head: Row = [time, shown, { text: ': ', color: 'muted' }];
  const [first = [], ...others] = bodyRows(chat, options, columns - rowWidth(head));
  return [
    ...wrapRow([...head, ...first], columns, { indent }),
    ...others.flatMap((row) => wrapRow([{ text: ' '.repeat(indent) }, ...row], columns, { indent })),
  ];
}

function headSpans(chat: TimelineChat, { me, messages, authorColor, isConfusable }: ChatRowOptions): [time: Span, name: Span] {
  const { username, at, message } = chat;
  const isMine = username === me;
  const isMention = !isMine && message !== null && mentions(message, me);
  const time: Span = { text: `${messages.clock(at)} `, color: 'muted' };
  const name: Span = {
    text: (isConfusable ? '≈' : '') + sanitizeLine(username),
    color: isConfusable ? 'warning' : authorColor,
    bold: isMine,
  };
  return [time, isMention ? { ...name, background: 'mention', bold: true } : name];
}

/** The lines of the chat, not wrapped. */
function bodyRows(chat: TimelineChat, options: ChatRowOptions, columns: number): Row[] {
  const { messages } = options;
  const quoteRows = replySeqOf(chat) === undefined ? [] : [quoteRow(options, columns)];
  if (chat.message === null) return [...quoteRows, [{ text: messages.deleted, color: 'muted' }]];
  const lines: Row[] = sanitizeLines(chat.message).map((line) => linkifyUrls(line));
  const text = [...lines.slice(0, -1), [...(lines.at(-1) ?? []), ...statusMarks(chat, options)]];
  return [...quoteRows, ...text, ...rowsBelow(chat, options)];
}

function quoteRow({ quotedChat, messages }: ChatRowOptions, columns: number): Row {
  const text = quotedChat
    ? `${sanitizeLine(quotedChat.username)}: ${quotedChat.message === null ? messages.deleted : quoteText(quotedChat.message)}`
    : messages.unknownChat;
  return [{ text: truncate(`↪ ${text}`, columns), color: 'muted' }];
}

/** A quote is one line, so only the start of a long text is used. */
const quoteText = (message: string): string => sanitizeLine(message.slice(0, 400));

function statusMarks(chat: TimelineChat, { messages }: ChatRowOptions): Row {
  if (!isConfirmed(chat)) return chat.state === 'failed' ? [] : [{ text: chat.state === 'sent' ? ' ✓' : ' ○', color: 'muted' }];
  return chat.edited === undefined ? [] : [{ text: ` ${messages.edited}`, color: 'muted' }];
}

function rowsBelow(chat: TimelineChat, { messages }: ChatRowOptions): Row[] {
  if (!isConfirmed(chat))
    return chat.state === 'failed' ? [[{ text: messages.notSent(sanitizeLine(messages.refusal(chat.error))), color: 'bad' }]] : [];
  if (!chat.reactions?.length) return [];
  return [
    chat.reactions.flatMap(({ reaction, count, mine }, at): Row => {
      const text = `${at === 0 ? '' : '  '}${sanitizeLine(reaction)} ${count}`;
      return [mine ? { text, color: 'accent', bold: true } : { text, color: 'muted' }];
    }),
  ];
}

export const replySeqOf = (chat: TimelineChat): number | undefined => (chat as { replyTo?: number }).replyTo;

/** Gives the whole row the background of a selection. */
function highlightRow(row: Row, columns: number): Row {
  return fitRow(row, columns, 'selected');
}
