// Lays out the input row, the reply or edit row above it and the hint row.

import { formatUnread, isConfirmed } from '@engawa/chat-view';
import type { Room } from '@engawa/client';
import { CHAT_TEXT } from '@engawa/protocol/text';
import type { Messages } from '../../i18n/messages.ts';
import { displayWidth, truncate } from '../../text/display-width.ts';
import { codePointLength } from '../../text/length.ts';
import { sanitizeLine } from '../../text/sanitize.ts';
import type { Row } from '../../text/styled-span.ts';
import { splitIntoChats } from '../../view-model/split-long-text.ts';
import { activeEditor, inputPurpose, type State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { alignEnds, fitRow, rowWidth } from './cells.ts';
import { replySeqOf } from './chat-rows.ts';
import { chatKey } from './timeline.ts';

/** The length of the input is shown from this many code points on. */
const COUNTER_THRESHOLD = 0.8 * CHAT_TEXT.codePoints;

/** The input, its purpose and the cursor. */
export function inputRows(state: State, columns: number, maxRows: number): { rows: Row[]; cursor: { row: number; column: number } } {
  const { messages, active } = state;
  const purpose = inputPurpose(state);
  const prompt = purpose === 'room' ? `${messages.roomPrompt}› ` : purpose === 'name' ? `${messages.namePrompt}› ` : '› ';
  const width = columns - displayWidth(prompt);
  const editor = activeEditor(state);
  const { rows: all, cursor } = editor.rows(width);
  const composingRows = purpose === 'chat' && active?.composing && maxRows > 1 ? [composingRow(state, active, columns)] : [];
  const space = maxRows - composingRows.length;
  const first = Math.max(0, Math.min(cursor.row - Math.floor(space / 2), all.length - space));
  const isEmpty = editor.text === '' && purpose === 'chat' && active?.composing === undefined;
  const shown = isEmpty
    ? [[{ text: truncate(active ? messages.placeholder : messages.noRoom, width), color: 'muted' as const }]]
    : all.slice(first, first + space);
  const rows = shown.map(
    (row, at): Row => fitRow([{ text: first + at === 0 ? prompt : ' '.repeat(displayWidth(prompt)), color: 'accent' }, ...row], columns),
  );
  return {
    rows: [...composingRows, ...rows],
    cursor: { row: composingRows.length + cursor.row - first, column: displayWidth(prompt) + cursor.column },
  };
}

function composingRow({ messages }: State, { composing }: Tab, columns: number): Row {
  if (!composing) return [];
  const { kind, chat } = composing;
  const text = sanitizeLine((chat.message ?? '').slice(0, 400));
  const label = kind === 'edit' ? messages.editing(text) : messages.replyingTo(sanitizeLine(chat.username), text);
  const hint = ` ${messages.escape}`;
  return alignEnds(
    [{ text: truncate(`↪ ${label}`, Math.max(10, columns - displayWidth(hint) - 1)), color: 'accent' }],
    [{ text: hint, color: 'muted' }],
    columns,
  );
}

/** The row above the input: completion, notice, typing users, or rows below the visible part. */
export function hintRow(state: State, columns: number): Row {
  const { active, completion, notice } = state;
  if (completion) return fitRow(completionRow(completion, columns), columns);
  if (notice) return fitRow([{ text: truncate(notice.text, columns), color: notice.color }], columns);
  if (state.connectionError !== undefined) return fitRow([{ text: truncate(state.connectionError, columns), color: 'warning' }], columns);
  const right = [...lengthCounter(state), ...belowIndicator(state)];
  if (!active?.joined) return alignEnds([], right, columns);
  const space = columns - (right.length === 0 ? 0 : rowWidth(right) + 2);
  return alignEnds([{ text: truncate(hintText(state, active, active.joined.room), Math.max(0, space)), color: 'muted' }], right, columns);
}

/** The length of the text, if it is close to the limit of one chat or above. */
function lengthCounter(state: State): Row {
  const { text } = activeEditor(state);
  if (inputPurpose(state) !== 'chat' || text.length < COUNTER_THRESHOLD) return [];
  const length = codePointLength(text);
  const chats = splitIntoChats(text).length;
  return chats === 1 && length < COUNTER_THRESHOLD
    ? []
    : [{ text: state.messages.lengthOfLine(length, chats), color: chats > 1 ? 'warning' : 'muted' }];
}

function belowIndicator({ messages, active }: State): Row {
  if (!active?.joined || (active.anchor === undefined && active.joined.history.isNewest)) return [];
  const isNew = active.unread.count > 0;
  return [
    { text: ` ${isNew ? messages.unreadBelow(formatUnread(active.unread)) : messages.newestBelow}`, color: isNew ? 'accent' : 'muted' },
  ];
}

function hintText({ messages, client }: State, tab: Tab, room: Room): string {
  const { search, selected, composing } = tab;
  if (search) return messages.searchPosition(search.index + 1, search.count);
  if (selected !== undefined && !composing) return selectionHint(messages, tab, room);
  // Offline, typing users are unknown.
  if (client.state !== 'online') return '';
  const { typingUsers, hasMoreTypingUsers } = room;
  return typingUsers.length > 0 || hasMoreTypingUsers ? messages.typing(typingUsers.map(sanitizeLine), hasMoreTypingUsers) : '';
}

/** Actions for the selected chat that the user is allowed. Keys are named only if letters act on the chat. */
function selectionHint(messages: Messages, { chats, selected, takesLetters, editor }: Tab, { role, username }: Room): string {
  if (!takesLetters || editor.text !== '') return messages.selectedByMouse;
  const chat = chats.findLast((each) => chatKey(each) === selected);
  if (!chat || !isConfirmed(chat) || chat.deleted) return messages.escapeHint;
  const { reply, edit, delete: remove, react, copy, jump } = messages.letters;
  const canChange = role === 'owner' || chat.username === username;
  const all = [
    reply,
    ...(canChange ? [edit, remove] : []),
    react,
    copy,
    ...(replySeqOf(chat) === undefined ? [] : [jump]),
    messages.escapeHint,
  ];
  return all.join(' · ');
}

function completionRow({ options, at }: NonNullable<State['completion']>, columns: number): Row {
  const first = at === undefined ? 0 : Math.max(0, at - 2);
  const row: Row = options.slice(first, first + columns).flatMap(({ label }, index) => [
    {
      text: sanitizeLine(label),
      ...(first + index === at ? { background: 'selected' as const, bold: true } : { color: 'muted' as const }),
    },
    { text: '  ' },
  ]);
  return row;
}
