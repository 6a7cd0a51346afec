import type { Chat, ShownChat } from '@engawa/client';
import { mentions } from '@engawa/protocol/mentions';
import { columnsOf, fitted, measure } from '../../text/columns.ts';
import { linked } from '../../text/linked.ts';
import { safeLine, safeLines } from '../../text/safe.ts';
import type { AuthorInk, Row, Span } from '../../text/span.ts';
import { wrapped } from '../../text/wrap.ts';
import type { Words } from '../../words/words.ts';
import { isTold } from '../history-window.ts';
import { exactly, widthOf } from './cells.ts';

/** How one chat is to look. */
export interface ChatLook {
  columns: number;
  me: string;
  words: Words;
  /** The author's. */
  ink: AuthorInk;
  /** That the widest name of the room takes. */
  nameColumns: number;
  /** Somebody else in the room has a name that looks like the author's. */
  isAlike: boolean;
  isSelected: boolean;
  /** The chat that it answers: nothing when that is not loaded. */
  quoted?: Chat | undefined;
}

/** From so many columns on times and names stand in columns of their own. */
const WIDE = 60;
/** Of a name at least, and at most: so that the text has more than half of a screen of 80 columns. */
const LEAST_NAME = 3;
const mostName = (columns: number): number => (columns < 70 ? 10 : 14);
/** `12:03 ` and ` │ `. */
const TIME_COLUMNS = 6;
const BAR_COLUMNS = 3;

interface Laid {
  look: string;
  quoted: Chat | undefined;
  rows: readonly Row[];
}

const laid = new WeakMap<ShownChat, Laid>();

/** A chat in rows of the width; laid out once for each way to look. */
export function chatRows(chat: ShownChat, look: ChatLook): readonly Row[] {
  const { columns, me, words, ink, nameColumns, isAlike, isSelected, quoted } = look;
  const key = `${columns} ${measure()} ${words.language} ${ink} ${nameColumns} ${isAlike} ${isSelected} ${me}`;
  const known = laid.get(chat);
  if (known?.look === key && known.quoted === quoted) return known.rows;
  const rows = isSelected ? layOut(chat, look).map((row) => onGround(row, columns)) : layOut(chat, look);
  laid.set(chat, { look: key, quoted, rows });
  return rows;
}

function layOut(chat: ShownChat, look: ChatLook): Row[] {
  return look.columns >= WIDE ? inColumns(chat, look) : inLines(chat, look);
}

/** `12:03         aya │ hello` */
function inColumns(chat: ShownChat, look: ChatLook): Row[] {
  const names = Math.max(LEAST_NAME, Math.min(look.nameColumns, mostName(look.columns)));
  const gutter = TIME_COLUMNS + names + BAR_COLUMNS;
  const width = look.columns - gutter;
  const [time, name] = headOf(chat, look);
  const shown = { ...name, text: fitted(name.text, names) };
  const space = { text: ' '.repeat(Math.max(0, names - columnsOf(shown.text))) };
  const bar: Span = { text: ' │ ', ink: 'muted' };
  const rows = bodyOf(chat, look, width).flatMap((row) => wrapped(row, width));
  return rows.map((row, at) => (at === 0 ? [time, space, shown, bar, ...row] : [{ text: ' '.repeat(gutter - BAR_COLUMNS) }, bar, ...row]));
}

/** `12:03 aya: hello`, what follows indented. */
function inLines(chat: ShownChat, look: ChatLook): Row[] {
  const { columns } = look;
  const indent = columns > 12 ? 2 : 0;
  const [time, name] = headOf(chat, look);
  const shown = { ...name, text: fitted(name.text, Math.max(1, columns - 10)) };
  const head: Row = [time, shown, { text: ': ', ink: 'muted' }];
  const [first = [], ...others] = bodyOf(chat, look, columns - widthOf(head));
  return [
    ...wrapped([...head, ...first], columns, { indent }),
    ...others.flatMap((row) => wrapped([{ text: ' '.repeat(indent) }, ...row], columns, { indent })),
  ];
}

function headOf(chat: ShownChat, { me, words, ink, isAlike }: ChatLook): [time: Span, name: Span] {
  const { username, at, message } = chat;
  const isMine = username === me;
  const isMention = !isMine && message !== null && mentions(message, me);
  const time: Span = { text: `${words.clock(at)} `, ink: 'muted' };
  const name: Span = { text: (isAlike ? '≈' : '') + safeLine(username), ink: isAlike ? 'warning' : ink, bold: isMine };
  return [time, isMention ? { ...name, on: 'mention', bold: true } : name];
}

/** Its lines, not wrapped yet. */
function bodyOf(chat: ShownChat, look: ChatLook, columns: number): Row[] {
  const { words } = look;
  const quote = replyTo(chat) === undefined ? [] : [quoteOf(look, columns)];
  if (chat.message === null) return [...quote, [{ text: words.deleted, ink: 'muted' }]];
  const lines: Row[] = safeLines(chat.message).map((line) => linked(line));
  const text = [...lines.slice(0, -1), [...(lines.at(-1) ?? []), ...marksOf(chat, look)]];
  return [...quote, ...text, ...belowOf(chat, look)];
}

function quoteOf({ quoted, words }: ChatLook, columns: number): Row {
  const text = quoted
    ? `${safeLine(quoted.username)}: ${quoted.message === null ? words.deleted : firstOf(quoted.message)}`
    : words.unknownChat;
  return [{ text: fitted(`↪ ${text}`, columns), ink: 'muted' }];
}

/** A quote is one line: no more of a long text is looked at. */
const firstOf = (message: string): string => safeLine(message.slice(0, 400));

function marksOf(chat: ShownChat, { words }: ChatLook): Row {
  if (!isTold(chat)) return chat.state === 'failed' ? [] : [{ text: chat.state === 'sent' ? ' ✓' : ' ○', ink: 'muted' }];
  return chat.edited === undefined ? [] : [{ text: ` ${words.edited}`, ink: 'muted' }];
}

function belowOf(chat: ShownChat, { words }: ChatLook): Row[] {
  if (!isTold(chat)) return chat.state === 'failed' ? [[{ text: words.notSent(safeLine(words.refusal(chat.error))), ink: 'bad' }]] : [];
  if (!chat.reactions?.length) return [];
  return [
    chat.reactions.flatMap(({ reaction, count, mine }, at): Row => {
      const text = `${at === 0 ? '' : '  '}${safeLine(reaction)} ${count}`;
      return [mine ? { text, ink: 'accent', bold: true } : { text, ink: 'muted' }];
    }),
  ];
}

export const replyTo = (chat: ShownChat): number | undefined => (chat as { replyTo?: number }).replyTo;

/** The whole row on the ground of what is selected. */
function onGround(row: Row, columns: number): Row {
  return exactly(row, columns, 'selected');
}
