// Composes a whole frame from the state and the screen size.
import type { Frame, Size } from '../../screen/frame.ts';
import type { Row } from '../../text/styled-span.ts';
import { wrapRow } from '../../text/wrap.ts';
import type { State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { fitRow } from './cells.ts';
import { replySeqOf } from './chat-rows.ts';
import { hintRow, inputRows } from './input-row.ts';
import { panelRows } from './panels.ts';
import { roomRows } from './room-list.ts';
import { statusRow, titleRow } from './status-bar.ts';
import { suggestionRows } from './suggestions.ts';
import { TimelineLayout, type TimelineRow, type VisibleRows } from './timeline.ts';

/** What a click can hit. */
type ClickTarget = { kind: 'tab'; tab: Tab } | { kind: 'chat'; key: string } | { kind: 'room'; roomId: string };

/** A frame, and what is at each position of it. */
export interface Composition {
  frame: Frame;
  targetAt: (column: number, row: number) => ClickTarget | undefined;
  /** The visible part of the timeline; undefined while no timeline is shown. */
  visible: VisibleRows | undefined;
  /** How far the panel can be scrolled, in rows. */
  maxScroll: number;
  /** The room list: its columns, 0 if hidden, and the rooms that are scrolled out. */
  list: { columns: number; above: number; below: number };
}

const MIN_SIZE: Size = { columns: 20, rows: 5 };
/** From this width on the room list is shown, unless the user has chosen otherwise. */
const ROOM_LIST_MIN_COLUMNS = 72;
/** With fewer rows, a hint replaces the status row. */
const HINT_MIN_ROWS = 8;

interface Layout {
  /** Columns of the room list with its border; 0 if hidden. */
  roomListColumns: number;
  mainColumns: number;
  bodyRows: number;
  input: ReturnType<typeof inputRows>;
  hasHint: boolean;
}

/** The whole screen as a function of state and size. */
export function compose(state: State, size: Size): Composition {
  if (size.columns < MIN_SIZE.columns || size.rows < MIN_SIZE.rows) return tooSmallComposition(state, size);
  const { roomListColumns, mainColumns, bodyRows, input, hasHint } = computeLayout(state, size);
  const mainArea = composeMainArea(state, mainColumns, bodyRows);
  const rooms = roomListColumns === 0 ? { rows: [], tabs: [], above: 0, below: 0 } : roomRows(state, roomListColumns - 1, bodyRows);
  const withRoomList = (row: Row, at: number): Row =>
    roomListColumns === 0 ? row : [...(rooms.rows[at] ?? []), { text: '│ ', color: 'muted' }, ...row];
  const suggestions = suggestionRows(state, mainColumns, bodyRows);
  const hintState = suggestions.length > 0 ? { ...state, completion: undefined } : state;
  const hasHintContent = hintState.notice !== undefined || hintState.completion !== undefined;
  const status = !hasHint && hasHintContent ? hintRow(hintState, size.columns) : statusRow(state, size.columns);
  const rows = [
    titleRow(state, size.columns),
    ...mainArea.rows.map(({ row }, at) => withRoomList(suggestions[at - bodyRows + suggestions.length] ?? fitRow(row, mainColumns), at)),
    ...(hasHint ? [hintRow(hintState, size.columns)] : []),
    ...input.rows,
    status,
  ];
  const cursor = { row: 1 + bodyRows + (hasHint ? 1 : 0) + input.cursor.row, column: Math.min(input.cursor.column, size.columns - 1) };
  return {
    frame: { rows, cursor },
    visible: mainArea.visible,
    maxScroll: mainArea.maxScroll ?? 0,
    list: { columns: roomListColumns, above: rooms.above, below: rooms.below },
    targetAt(column, row) {
      const tab = rooms.tabs[row - 1];
      if (row < 1 || row > bodyRows) return undefined;
      if (column < roomListColumns) return tab && { kind: 'tab', tab };
      return row > bodyRows - suggestions.length ? undefined : mainArea.targets[row - 1];
    },
  };
}

/** The layout of the timeline, for scrolling; undefined while no timeline is shown. */
export function timelineLayout(state: State, size: Size): TimelineLayout | undefined {
  const { mainColumns, bodyRows } = computeLayout(state, size);
  return state.active && createTimelineLayout(state, state.active, mainColumns, bodyRows);
}

/** Seqs of the chats that visible chats reply to. */
export function repliedSeqs({ active }: State, { firstBlock, rows }: VisibleRows): number[] {
  if (!active) return [];
  return active.chats.slice(firstBlock, firstBlock + rows.length).flatMap((chat) => replySeqOf(chat) ?? []);
}

function computeLayout(state: State, { columns, rows }: Size): Layout {
  const isRoomListShown = state.isRoomListShown ?? (columns >= ROOM_LIST_MIN_COLUMNS && state.tabs.length > 0);
  const listColumns = columns >= 100 ? 24 : columns >= ROOM_LIST_MIN_COLUMNS ? 19 : Math.min(16, Math.floor(columns * 0.4));
  const roomListColumns = isRoomListShown ? listColumns : 0;
  const hasHint = rows >= HINT_MIN_ROWS;
  const input = inputRows(state, columns, Math.max(1, Math.floor(rows / 3)));
  const bodyRows = Math.max(1, rows - 2 - input.rows.length - (hasHint ? 1 : 0));
  return { roomListColumns, mainColumns: columns - (roomListColumns === 0 ? 0 : roomListColumns + 1), bodyRows, input, hasHint };
}

interface MainArea {
  maxScroll?: number;
  rows: TimelineRow[];
  targets: (ClickTarget | undefined)[];
  visible: VisibleRows | undefined;
}

function composeMainArea(state: State, columns: number, height: number): MainArea {
  const { panel, active, messages } = state;
  if (panel) {
    const { rows, rooms, maxScroll } = panelRows(state, panel, columns, height);
    const targets = rooms.map((roomId): ClickTarget | undefined => (roomId === undefined ? undefined : { kind: 'room', roomId }));
    return { rows: rows.map((row) => ({ row })), targets, visible: undefined, maxScroll };
  }
  if (!active) return messageArea(messages.noRoom, columns, height);
  if (!active.joined)
    return messageArea(active.problem?.text ?? state.connectionError ?? `${messages.joining} #${active.id}…`, columns, height);
  const problem = active.problem
    ? wrapRow([{ text: `${active.problem.text} ${messages.endedHint}`, color: 'bad' }], columns).slice(0, height)
    : [];
  const visible = createTimelineLayout(state, active, columns, height - problem.length)?.layOut(active.anchor);
  const rows = [...(visible?.rows ?? []), ...problem.map((row) => ({ row }))];
  while (rows.length < height) rows.unshift({ row: [] });
  return {
    rows,
    targets: rows.map(({ chatKey }: TimelineRow) => (chatKey === undefined ? undefined : { kind: 'chat', key: chatKey })),
    visible,
  };
}

function createTimelineLayout({ messages }: State, tab: Tab, columns: number, height: number): TimelineLayout | undefined {
  if (!tab.joined) return undefined;
  const { history, quotes, room } = tab.joined;
  return new TimelineLayout({
    columns,
    height,
    messages,
    me: room.username,
    chats: history.chats,
    notes: tab.notes,
    isStartLoaded: !history.hasOlder,
    isNewest: history.isNewest,
    newAfter: tab.newAfter,
    selected: tab.selected,
    // Leaves room for the mark of confusable names.
    nameWidth: tab.nameColumn.widthFor(history.chats) + (tab.names.hasConfusables ? 1 : 0),
    colorOf: (username) => `author${tab.names.colorIndexOf(username)}`,
    isConfusable: (username) => tab.names.isConfusable(username),
    quotedChat: (seq) => quotes.find(seq, history),
  });
}

function messageArea(text: string, columns: number, height: number): MainArea {
  const rows: TimelineRow[] = wrapRow([{ text, color: 'muted' }], columns - 2)
    .slice(0, height)
    .map((row) => ({ row: [{ text: ' ' }, ...row] }));
  while (rows.length < height) rows.push({ row: [] });
  return { rows, targets: [], visible: undefined };
}

function tooSmallComposition({ messages }: State, { columns, rows }: Size): Composition {
  const lines = wrapRow([{ text: messages.tooSmall, color: 'muted' }], Math.max(1, columns)).slice(0, Math.max(0, rows));
  return { frame: { rows: lines }, visible: undefined, maxScroll: 0, list: { columns: 0, above: 0, below: 0 }, targetAt: () => undefined };
}
