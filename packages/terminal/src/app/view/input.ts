import type { Room } from '@engawa/client';
import { CHAT_TEXT } from '@engawa/protocol/text';
import { columnsOf, fitted } from '../../text/columns.ts';
import { lengthOf } from '../../text/length.ts';
import { safeLine } from '../../text/safe.ts';
import type { Row } from '../../text/span.ts';
import type { Words } from '../../words/words.ts';
import { isTold } from '../history-window.ts';
import { chatsOf } from '../long-text.ts';
import { editorOf, purposeOf, type State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { countOf } from '../unread.ts';
import { ends, exactly, widthOf } from './cells.ts';
import { replyTo } from './chat-rows.ts';
import { keyOf } from './timeline.ts';

/** Code points from which on the length of a line is shown. */
const COUNTED_FROM = 0.8 * CHAT_TEXT.codePoints;

/** The line that is typed, what it will be, and where in it one types. */
export function inputRows(state: State, columns: number, most: number): { rows: Row[]; cursor: { row: number; column: number } } {
  const { words, active } = state;
  const purpose = purposeOf(state);
  const prompt = purpose === 'room' ? `${words.roomPrompt}› ` : purpose === 'name' ? `${words.namePrompt}› ` : '› ';
  const width = columns - columnsOf(prompt);
  const editor = editorOf(state);
  const { rows: all, cursor } = editor.rows(width);
  const about = purpose === 'chat' && active?.composing && most > 1 ? [composingRow(state, active, columns)] : [];
  const space = most - about.length;
  const first = Math.max(0, Math.min(cursor.row - Math.floor(space / 2), all.length - space));
  const isEmpty = editor.text === '' && purpose === 'chat' && active?.composing === undefined;
  const shown = isEmpty
    ? [[{ text: fitted(active ? words.placeholder : words.noRoom, width), ink: 'muted' as const }]]
    : all.slice(first, first + space);
  const rows = shown.map(
    (row, at): Row => exactly([{ text: first + at === 0 ? prompt : ' '.repeat(columnsOf(prompt)), ink: 'accent' }, ...row], columns),
  );
  return { rows: [...about, ...rows], cursor: { row: about.length + cursor.row - first, column: columnsOf(prompt) + cursor.column } };
}

function composingRow({ words }: State, { composing }: Tab, columns: number): Row {
  if (!composing) return [];
  const { kind, chat } = composing;
  const text = safeLine((chat.message ?? '').slice(0, 400));
  const said = kind === 'edit' ? words.editing(text) : words.replyingTo(safeLine(chat.username), text);
  const hint = ` ${words.escape}`;
  return ends(
    [{ text: fitted(`↪ ${said}`, Math.max(10, columns - columnsOf(hint) - 1)), ink: 'accent' }],
    [{ text: hint, ink: 'muted' }],
    columns,
  );
}

/** The row above it: what may be completed, what was just told, who is typing, how much is below. */
export function hintRow(state: State, columns: number): Row {
  const { active, completion, notice } = state;
  if (completion) return exactly(completionRow(completion, columns), columns);
  if (notice) return exactly([{ text: fitted(notice.text, columns), ink: notice.ink }], columns);
  if (state.trouble !== undefined) return exactly([{ text: fitted(state.trouble, columns), ink: 'warning' }], columns);
  const right = [...counterOf(state), ...belowOf(state)];
  if (!active?.joined) return ends([], right, columns);
  const space = columns - (right.length === 0 ? 0 : widthOf(right) + 2);
  return ends([{ text: fitted(toldOf(state, active, active.joined.room), Math.max(0, space)), ink: 'muted' }], right, columns);
}

/** How long the text is, once it is nearly or more than one chat. */
function counterOf(state: State): Row {
  const { text } = editorOf(state);
  if (purposeOf(state) !== 'chat' || text.length < COUNTED_FROM) return [];
  const length = lengthOf(text);
  const chats = chatsOf(text).length;
  return chats === 1 && length < COUNTED_FROM
    ? []
    : [{ text: state.words.lengthOfLine(length, chats), ink: chats > 1 ? 'warning' : 'muted' }];
}

function belowOf({ words, active }: State): Row {
  if (!active?.joined || (active.anchor === undefined && active.joined.history.isNewest)) return [];
  const isNew = active.unread.count > 0;
  return [{ text: ` ${isNew ? words.below(countOf(active.unread)) : words.belowNone}`, ink: isNew ? 'accent' : 'muted' }];
}

function toldOf({ words, client }: State, tab: Tab, room: Room): string {
  const { search, selected, composing } = tab;
  if (search) return words.found(search.at + 1, search.all);
  if (selected !== undefined && !composing) return selectedHint(words, tab, room);
  // Without a connection nobody knows.
  if (client.state !== 'online') return '';
  const { whoIsTyping, severalAreTyping } = room;
  return whoIsTyping.length > 0 || severalAreTyping ? words.typing(whoIsTyping.map(safeLine), severalAreTyping) : '';
}

/** What can be done to the selected chat: by letters only where they are not text, and only what the server would allow. */
function selectedHint(words: Words, { chats, selected, takesLetters, editor }: Tab, { role, username }: Room): string {
  if (!takesLetters || editor.text !== '') return words.selectedByMouse;
  const chat = chats.findLast((each) => keyOf(each) === selected);
  if (!chat || !isTold(chat) || chat.deleted) return words.escapeHint;
  const { reply, edit, delete: remove, react, copy, jump } = words.letters;
  const mayChange = role === 'owner' || chat.username === username;
  const all = [reply, ...(mayChange ? [edit, remove] : []), react, copy, ...(replyTo(chat) === undefined ? [] : [jump]), words.escapeHint];
  return all.join(' · ');
}

function completionRow({ options, at }: NonNullable<State['completion']>, columns: number): Row {
  const first = at === undefined ? 0 : Math.max(0, at - 2);
  const row: Row = options
    .slice(first, first + columns)
    .flatMap(({ shown }, index) => [
      { text: safeLine(shown), ...(first + index === at ? { on: 'selected' as const, bold: true } : { ink: 'muted' as const }) },
      { text: '  ' },
    ]);
  return row;
}
