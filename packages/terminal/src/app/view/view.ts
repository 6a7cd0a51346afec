import type { Frame, Size } from '../../screen/frame.ts';
import type { Row } from '../../text/span.ts';
import { wrapped } from '../../text/wrap.ts';
import type { State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { exactly } from './cells.ts';
import { replyTo } from './chat-rows.ts';
import { hintRow, inputRows } from './input.ts';
import { panelRows } from './panels.ts';
import { roomRows } from './rooms.ts';
import { statusRow, titleRow } from './status.ts';
import { suggestionRows } from './suggestions.ts';
import { type PlacedRow, type Shown, TimelineRows } from './timeline.ts';

/** What somebody may click on. */
type Target = { kind: 'tab'; tab: Tab } | { kind: 'chat'; key: string } | { kind: 'room'; roomId: string };

/** A frame, and what is where in it. */
export interface Composition {
  frame: Frame;
  targetAt: (column: number, row: number) => Target | undefined;
  /** What of the timeline is shown; nothing when none is. */
  shown: Shown | undefined;
  /** Rows of the panel that may be scrolled away at most. */
  mostScroll: number;
  /** The list of rooms: its columns, 0 when it is hidden, and how many rooms are scrolled out of it. */
  list: { columns: number; above: number; below: number };
}

const LEAST: Size = { columns: 20, rows: 5 };
/** From so many columns on the rooms are listed beside the timeline, unless somebody chose otherwise. */
const LISTS_ROOMS_FROM = 72;
/** With fewer rows what is told stands in the place of the status. */
const HINTS_FROM = 8;

interface Geometry {
  /** With the line beside it; none is 0. */
  list: number;
  main: number;
  body: number;
  input: ReturnType<typeof inputRows>;
  hasHint: boolean;
}

/** All that the screen shows: from the state and the size alone. */
export function compose(state: State, size: Size): Composition {
  if (size.columns < LEAST.columns || size.rows < LEAST.rows) return tooSmall(state, size);
  const { list, main, body, input, hasHint } = geometryOf(state, size);
  const middle = middleOf(state, main, body);
  const rooms = list === 0 ? { rows: [], tabs: [], above: 0, below: 0 } : roomRows(state, list - 1, body);
  const beside = (row: Row, at: number): Row => (list === 0 ? row : [...(rooms.rows[at] ?? []), { text: '│ ', ink: 'muted' }, ...row]);
  const suggestions = suggestionRows(state, main, body);
  const told = suggestions.length > 0 ? { ...state, completion: undefined } : state;
  const isTold = told.notice !== undefined || told.completion !== undefined;
  const status = !hasHint && isTold ? hintRow(told, size.columns) : statusRow(state, size.columns);
  const rows = [
    titleRow(state, size.columns),
    ...middle.rows.map(({ row }, at) => beside(suggestions[at - body + suggestions.length] ?? exactly(row, main), at)),
    ...(hasHint ? [hintRow(told, size.columns)] : []),
    ...input.rows,
    status,
  ];
  const cursor = { row: 1 + body + (hasHint ? 1 : 0) + input.cursor.row, column: Math.min(input.cursor.column, size.columns - 1) };
  return {
    frame: { rows, cursor },
    shown: middle.shown,
    mostScroll: middle.mostScroll ?? 0,
    list: { columns: list, above: rooms.above, below: rooms.below },
    targetAt(column, row) {
      const tab = rooms.tabs[row - 1];
      if (row < 1 || row > body) return undefined;
      if (column < list) return tab && { kind: 'tab', tab };
      return row > body - suggestions.length ? undefined : middle.targets[row - 1];
    },
  };
}

/** The rows of the timeline, to move in it; nothing when none is shown. */
export function timelineOf(state: State, size: Size): TimelineRows | undefined {
  const { main, body } = geometryOf(state, size);
  return state.active && rowsOf(state, state.active, main, body);
}

/** The chats that the shown ones answer. */
export function answeredIn({ active }: State, { above, rows }: Shown): number[] {
  if (!active) return [];
  return active.chats.slice(above, above + rows.length).flatMap((chat) => replyTo(chat) ?? []);
}

function geometryOf(state: State, { columns, rows }: Size): Geometry {
  const isListed = state.listsRooms ?? (columns >= LISTS_ROOMS_FROM && state.tabs.length > 0);
  const wanted = columns >= 100 ? 24 : columns >= LISTS_ROOMS_FROM ? 19 : Math.min(16, Math.floor(columns * 0.4));
  const list = isListed ? wanted : 0;
  const hasHint = rows >= HINTS_FROM;
  const input = inputRows(state, columns, Math.max(1, Math.floor(rows / 3)));
  const body = Math.max(1, rows - 2 - input.rows.length - (hasHint ? 1 : 0));
  return { list, main: columns - (list === 0 ? 0 : list + 1), body, input, hasHint };
}

interface Middle {
  mostScroll?: number;
  rows: PlacedRow[];
  targets: (Target | undefined)[];
  shown: Shown | undefined;
}

function middleOf(state: State, columns: number, height: number): Middle {
  const { panel, active, words } = state;
  if (panel) {
    const { rows, rooms, mostScroll } = panelRows(state, panel, columns, height);
    const targets = rooms.map((roomId): Target | undefined => (roomId === undefined ? undefined : { kind: 'room', roomId }));
    return { rows: rows.map((row) => ({ row })), targets, shown: undefined, mostScroll };
  }
  if (!active) return told(words.noRoom, columns, height);
  if (!active.joined) return told(active.problem?.text ?? state.trouble ?? `${words.joining} #${active.id}…`, columns, height);
  const problem = active.problem
    ? wrapped([{ text: `${active.problem.text} ${words.endedHint}`, ink: 'bad' }], columns).slice(0, height)
    : [];
  const shown = rowsOf(state, active, columns, height - problem.length)?.show(active.anchor);
  const rows = [...(shown?.rows ?? []), ...problem.map((row) => ({ row }))];
  while (rows.length < height) rows.unshift({ row: [] });
  return { rows, targets: rows.map(({ key }: PlacedRow) => (key === undefined ? undefined : { kind: 'chat', key })), shown };
}

function rowsOf({ words }: State, tab: Tab, columns: number, height: number): TimelineRows | undefined {
  if (!tab.joined) return undefined;
  const { history, quotes, room } = tab.joined;
  return new TimelineRows({
    columns,
    height,
    words,
    me: room.username,
    chats: history.chats,
    notes: tab.notes,
    isWhole: !history.hasOlder,
    isNewest: history.isNewest,
    newAfter: tab.newAfter,
    selected: tab.selected,
    // With room for the mark of one that looks like another.
    nameColumns: tab.nameColumn.columnsOf(history.chats) + (tab.names.areAlike ? 1 : 0),
    inkOf: (username) => tab.names.inkOf(username),
    isAlike: (username) => tab.names.isAlike(username),
    quoted: (seq) => quotes.of(seq, history),
  });
}

function told(text: string, columns: number, height: number): Middle {
  const rows: PlacedRow[] = wrapped([{ text, ink: 'muted' }], columns - 2)
    .slice(0, height)
    .map((row) => ({ row: [{ text: ' ' }, ...row] }));
  while (rows.length < height) rows.push({ row: [] });
  return { rows, targets: [], shown: undefined };
}

function tooSmall({ words }: State, { columns, rows }: Size): Composition {
  const lines = wrapped([{ text: words.tooSmall, ink: 'muted' }], Math.max(1, columns)).slice(0, Math.max(0, rows));
  return { frame: { rows: lines }, shown: undefined, mostScroll: 0, list: { columns: 0, above: 0, below: 0 }, targetAt: () => undefined };
}
