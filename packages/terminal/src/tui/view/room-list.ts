// Lays out the room list beside the timeline.

import { formatUnread } from '@engawa/chat-view';
import { truncate } from '../../text/display-width.ts';
import { sanitizeLine } from '../../text/sanitize.ts';
import type { Color, Row } from '../../text/styled-span.ts';
import { visibleRooms } from '../room-order.ts';
import type { State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { alignEnds, fitRow } from './cells.ts';

interface RoomRows {
  rows: Row[];
  /** The room in each row. */
  tabs: (Tab | undefined)[];
  /** Rooms that are scrolled out above and below. */
  above: number;
  below: number;
}

/** The open rooms with the active one highlighted, and the room in each row. */
export function roomRows(state: State, columns: number, height: number): RoomRows {
  const { tabs, active, messages } = state;
  const { tabs: shown, above, below } = visibleRooms(state, height - 1);
  const more = `${above > 0 ? `↑${above} ` : ''}${below > 0 ? `↓${below} ` : ''}`;
  const count = shown.length < tabs.length ? ` ${tabs.length}` : '';
  const title = alignEnds([{ text: ` ${messages.rooms}${count}`, color: 'muted' }], [{ text: more, color: 'muted' }], columns);
  const rows = [title, ...shown.map((tab) => roomRow(tab, tab === active, columns))];
  while (rows.length < height) rows.push(fitRow([], columns));
  return { rows: rows.slice(0, height), tabs: [undefined, ...shown], above, below };
}

function roomRow(tab: Tab, isActive: boolean, columns: number): Row {
  const { unread, alertingUnread } = tab;
  const isNew = alertingUnread.count > 0;
  const color: Color = unread.mentions > 0 ? 'mention' : isNew ? 'accent' : 'muted';
  const count: Row = unread.count > 0 ? [{ text: `${unread.mentions > 0 ? '@' : ''}${formatUnread(unread)} `, color, bold: isNew }] : [];
  const state = roomMark(tab);
  const space = columns - 3 - (count[0]?.text.length ?? 0);
  const name = {
    text: truncate(`#${sanitizeLine(tab.id)}`, Math.max(1, space)),
    bold: isNew || isActive,
    ...((tab.problem || (tab.alerts.isMuted && !isActive)) && { color: 'muted' as const }),
  };
  return alignEnds(
    [{ text: isActive ? '›' : ' ' }, { text: state.mark, color: state.color }, name],
    count,
    columns,
    isActive ? 'selected' : undefined,
  );
}

function roomMark({ room, problem }: Tab): { mark: string; color: 'muted' | 'bad' | 'warning' } {
  if (problem) return { mark: '✗', color: 'bad' };
  return room?.state === 'live' ? { mark: ' ', color: 'muted' } : { mark: '…', color: 'warning' };
}
