// Lays out the title row and the status row.
import { truncate } from '../../text/display-width.ts';
import { sanitizeLine } from '../../text/sanitize.ts';
import type { Color, Row, Span } from '../../text/styled-span.ts';
import type { State } from '../state.ts';
import { alignEnds, rowWidth } from './cells.ts';

/** The top row: room, topic, member counts. */
export function titleRow({ active, messages }: State, columns: number): Row {
  if (!active) return alignEnds([{ text: ' Engawa', bold: true }], [], columns, 'bar');
  const { room } = active;
  // The online count may lag behind a leave, so cap it at the member count.
  const muted = active.alerts.isMuted ? `${messages.isMuted} · ` : '';
  const here: Row = room ? [{ text: `${muted}${messages.membersOnline(Math.min(room.online, room.members), room.members)} ` }] : [];
  const name: Span = { text: truncate(` #${sanitizeLine(active.id)}`, columns - 1), bold: true };
  const space = columns - rowWidth([name]) - rowWidth(here) - 3;
  const topic = room && room.topic !== '' && space > 3 ? [{ text: `  ${truncate(sanitizeLine(room.topic), space)}` }] : [];
  return alignEnds([name, ...topic], here, columns, 'bar');
}

/** The bottom row: connection, username, unread chats of other rooms. */
export function statusRow(state: State, columns: number): Row {
  const { messages, active } = state;
  const { mark, color, text } = connectionStatus(state);
  const left: Row = [
    { text: ` ${mark} `, color },
    { text, ...(color !== 'good' && { color }) },
  ];
  const others = state.tabs.filter((tab) => tab !== active);
  const unread = others.reduce((sum, tab) => sum + tab.alertingUnread.count, 0);
  const isMentioned = others.some((tab) => tab.alertingUnread.mentions > 0);
  const elsewhere: Span[] =
    unread > 0
      ? [{ text: `${isMentioned ? '@ ' : ''}${messages.unreadElsewhere(unread)}`, color: isMentioned ? 'mention' : 'accent' }]
      : [];
  const separator: Span[] = unread > 0 ? [{ text: ' · ', color: 'muted' }] : [];
  const me = truncate(sanitizeLine(active?.username ?? state.username), 20);
  const rights: Row[] = [
    [...elsewhere, ...separator, { text: `${me} · ${messages.helpHint} ` }],
    [...elsewhere, ...separator, { text: `${me} ` }],
    [...elsewhere, { text: ' ' }],
    [],
  ];
  const right = rights.find((each) => rowWidth(left) + rowWidth(each) < columns) ?? [];
  return alignEnds(left, right, columns, 'bar');
}

/** Shows pending chats, and since when the connection is lost. */
function connectionStatus({ client, messages, tabs, active, offlineSince }: State): { mark: string; color: Color; text: string } {
  const pending = tabs.reduce((sum, tab) => sum + tab.pendingCount, 0);
  const { state } = client;
  if (state === 'closed') return { mark: '✗', color: 'bad', text: messages.closed };
  if (state !== 'online' && offlineSince !== undefined) {
    return { mark: '✗', color: 'bad', text: messages.offlineSince(messages.clock(offlineSince), pending) };
  }
  if (state === 'connecting') return { mark: '…', color: 'warning', text: messages.connecting };
  if (state === 'reconnecting') return { mark: '…', color: 'warning', text: messages.reconnecting(pending) };
  if (active && !active.room && !active.problem) return { mark: '…', color: 'warning', text: messages.joining };
  if (active?.room?.state === 'catching up' || active?.room?.state === 'offline')
    return { mark: '…', color: 'warning', text: messages.catchingUp };
  return { mark: '●', color: 'good', text: pending > 0 ? messages.sending(pending) : messages.online };
}
