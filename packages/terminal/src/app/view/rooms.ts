import { fitted } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { Ink, Row } from '../../text/span.ts';
import { listed } from '../room-order.ts';
import type { State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { countOf } from '../unread.ts';
import { ends, exactly } from './cells.ts';

interface RoomRows {
  rows: Row[];
  /** The room in each row. */
  tabs: (Tab | undefined)[];
  /** How many rooms are scrolled out. */
  above: number;
  below: number;
}

/** The open rooms, the one that is looked at among them, and which room is in each row. */
export function roomRows(state: State, columns: number, height: number): RoomRows {
  const { tabs, active, words } = state;
  const { tabs: shown, above, below } = listed(state, height - 1);
  const more = `${above > 0 ? `↑${above} ` : ''}${below > 0 ? `↓${below} ` : ''}`;
  const count = shown.length < tabs.length ? ` ${tabs.length}` : '';
  const title = ends([{ text: ` ${words.rooms}${count}`, ink: 'muted' }], [{ text: more, ink: 'muted' }], columns);
  const rows = [title, ...shown.map((tab) => rowOf(tab, tab === active, columns))];
  while (rows.length < height) rows.push(exactly([], columns));
  return { rows: rows.slice(0, height), tabs: [undefined, ...shown], above, below };
}

function rowOf(tab: Tab, isActive: boolean, columns: number): Row {
  const { unread, news } = tab;
  const isNew = news.count > 0;
  const ink: Ink = unread.mentions > 0 ? 'mention' : isNew ? 'accent' : 'muted';
  const count: Row = unread.count > 0 ? [{ text: `${unread.mentions > 0 ? '@' : ''}${countOf(unread)} `, ink, bold: isNew }] : [];
  const state = stateOf(tab);
  const space = columns - 3 - (count[0]?.text.length ?? 0);
  const name = {
    text: fitted(`#${safeLine(tab.id)}`, Math.max(1, space)),
    bold: isNew || isActive,
    ...((tab.problem || (tab.alerts.isMuted && !isActive)) && { ink: 'muted' as const }),
  };
  return ends(
    [{ text: isActive ? '›' : ' ' }, { text: state.mark, ink: state.ink }, name],
    count,
    columns,
    isActive ? 'selected' : undefined,
  );
}

function stateOf({ room, problem }: Tab): { mark: string; ink: 'muted' | 'bad' | 'warning' } {
  if (problem) return { mark: '✗', ink: 'bad' };
  return room?.state === 'live' ? { mark: ' ', ink: 'muted' } : { mark: '…', ink: 'warning' };
}
