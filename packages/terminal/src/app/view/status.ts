import { fitted } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { Ink, Row, Span } from '../../text/span.ts';
import type { State } from '../state.ts';
import { ends, widthOf } from './cells.ts';

/** The top row: the room, its topic, how many are there. */
export function titleRow({ active, words }: State, columns: number): Row {
  if (!active) return ends([{ text: ' Engawa', bold: true }], [], columns, 'bar');
  const { room } = active;
  // How many are connected is heard a little later than who left.
  const muted = active.alerts.isMuted ? `${words.isMuted} · ` : '';
  const here: Row = room ? [{ text: `${muted}${words.here(Math.min(room.online, room.members), room.members)} ` }] : [];
  const name: Span = { text: fitted(` #${safeLine(active.id)}`, columns - 1), bold: true };
  const space = columns - widthOf([name]) - widthOf(here) - 3;
  const topic = room && room.topic !== '' && space > 3 ? [{ text: `  ${fitted(safeLine(room.topic), space)}` }] : [];
  return ends([name, ...topic], here, columns, 'bar');
}

/** The last row: the connection as it is, who one is, and what else there is to read. */
export function statusRow(state: State, columns: number): Row {
  const { words, active } = state;
  const { mark, ink, text } = connectionOf(state);
  const left: Row = [
    { text: ` ${mark} `, ink },
    { text, ...(ink !== 'good' && { ink }) },
  ];
  const others = state.tabs.filter((tab) => tab !== active);
  const unread = others.reduce((sum, tab) => sum + tab.news.count, 0);
  const isMentioned = others.some((tab) => tab.news.mentions > 0);
  const elsewhere: Span[] =
    unread > 0 ? [{ text: `${isMentioned ? '@ ' : ''}${words.unreadElsewhere(unread)}`, ink: isMentioned ? 'mention' : 'accent' }] : [];
  const apart: Span[] = unread > 0 ? [{ text: ' · ', ink: 'muted' }] : [];
  const me = fitted(safeLine(active?.username ?? state.username), 20);
  const rights: Row[] = [
    [...elsewhere, ...apart, { text: `${me} · ${words.helpHint} ` }],
    [...elsewhere, ...apart, { text: `${me} ` }],
    [...elsewhere, { text: ' ' }],
    [],
  ];
  const right = rights.find((each) => widthOf(left) + widthOf(each) < columns) ?? [];
  return ends(left, right, columns, 'bar');
}

/** No better than it is: what waits is told, and since when nothing is heard. */
function connectionOf({ client, words, tabs, active, offlineSince }: State): { mark: string; ink: Ink; text: string } {
  const waiting = tabs.reduce((sum, tab) => sum + tab.waiting, 0);
  const { state } = client;
  if (state === 'closed') return { mark: '✗', ink: 'bad', text: words.closed };
  if (state !== 'online' && offlineSince !== undefined) {
    return { mark: '✗', ink: 'bad', text: words.offlineSince(words.clock(offlineSince), waiting) };
  }
  if (state === 'connecting') return { mark: '…', ink: 'warning', text: words.connecting };
  if (state === 'reconnecting') return { mark: '…', ink: 'warning', text: words.reconnecting(waiting) };
  if (active && !active.room && !active.problem) return { mark: '…', ink: 'warning', text: words.joining };
  if (active?.room?.state === 'catching up' || active?.room?.state === 'offline')
    return { mark: '…', ink: 'warning', text: words.catchingUp };
  return { mark: '●', ink: 'good', text: waiting > 0 ? words.sending(waiting) : words.online };
}
