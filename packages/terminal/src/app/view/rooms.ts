import { fitted } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { Row } from '../../text/span.ts';
import type { State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { countOf } from '../unread.ts';
import { ends, exactly } from './cells.ts';

/** The open rooms, the one that is looked at among them, and which room is in each row. */
export function roomRows(state: State, columns: number, height: number): { rows: Row[]; tabs: (Tab | undefined)[] } {
  const { tabs, active, words } = state;
  const title = exactly([{ text: ` ${words.rooms}`, ink: 'muted' }], columns);
  const space = height - 1;
  const at = active ? tabs.indexOf(active) : 0;
  const first = Math.max(0, Math.min(at - Math.floor(space / 2), tabs.length - space));
  const shown = tabs.slice(first, first + space);
  const rows = [title, ...shown.map((tab) => rowOf(tab, tab === active, columns))];
  while (rows.length < height) rows.push(exactly([], columns));
  return { rows: rows.slice(0, height), tabs: [undefined, ...shown] };
}

function rowOf(tab: Tab, isActive: boolean, columns: number): Row {
  const { unread } = tab;
  const count: Row =
    unread.count > 0
      ? [{ text: `${unread.mentions > 0 ? '@' : ''}${countOf(unread)} `, ink: unread.mentions > 0 ? 'mention' : 'accent', bold: true }]
      : [];
  const { mark, ink } = stateOf(tab);
  const space = columns - 3 - (count[0]?.text.length ?? 0);
  const name = {
    text: fitted(`#${safeLine(tab.id)}`, Math.max(1, space)),
    bold: unread.count > 0 || isActive,
    ...(tab.problem && { ink: 'muted' as const }),
  };
  return ends([{ text: isActive ? '›' : ' ' }, { text: mark, ink }, name], count, columns, isActive ? 'selected' : undefined);
}

function stateOf({ room, problem }: Tab): { mark: string; ink: 'muted' | 'bad' | 'warning' } {
  if (problem) return { mark: '✗', ink: 'bad' };
  return room?.state === 'live' ? { mark: ' ', ink: 'muted' } : { mark: '…', ink: 'warning' };
}
