// Lays out the panels: help, member list and room chooser.

import { formatUnread } from '@engawa/chat-view';
import { commands, usageWithAliases } from '../../commands/slash-commands.ts';
import type { Messages } from '../../i18n/messages.ts';
import { displayWidth, truncate } from '../../text/display-width.ts';
import { sanitizeLine } from '../../text/sanitize.ts';
import type { Row, Span } from '../../text/styled-span.ts';
import { wrapRow } from '../../text/wrap.ts';
import { keyBindings } from '../key-bindings.ts';
import { chosenIndex, type RoomChoice, roomChoices } from '../room-choices.ts';
import type { ListedRoom, Panel, State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { alignEnds, fitRow, rowWidth } from './cells.ts';
import { ruleRow } from './timeline.ts';

interface PanelRows {
  rows: Row[];
  rooms: (string | undefined)[];
  /** How far the panel can be scrolled, in rows. */
  maxScroll: number;
}

/** A panel of exactly this height, and the room in each row. */
export function panelRows(state: State, panel: Panel, columns: number, height: number): PanelRows {
  const { messages } = state;
  const { title, body, rooms = [], focusedRow } = panelContent(state, panel, columns);
  const space = Math.max(0, height - 1);
  const maxScroll = Math.max(0, body.length - space);
  const first = Math.max(0, Math.min(focusedRow === undefined ? panel.scroll : focusedRow - Math.floor(space / 2), maxScroll));
  const rows = body.slice(first, first + space).map((row) => fitRow(row, columns));
  while (rows.length < space) rows.push(fitRow([], columns));
  const shown: Row = [{ text: ` ${truncate(title, columns - 2)}`, bold: true }];
  const hints = [
    ...(maxScroll > 0 && panel.kind !== 'rooms' ? [messages.panelScrolls(first + 1, first + rows.length, body.length)] : []),
    messages.panelHint,
  ];
  const hint = hints.find((each) => displayWidth(each) + rowWidth(shown) + 2 <= columns) ?? messages.panelHint;
  const head = alignEnds(shown, [{ text: `${hint} `, color: 'muted' }], columns);
  return { rows: [head, ...rows], rooms: [undefined, ...rooms.slice(first, first + space)], maxScroll };
}

interface PanelContent {
  title: string;
  body: Row[];
  rooms?: (string | undefined)[];
  /** The row that must be visible. */
  focusedRow?: number;
}

function panelContent(state: State, panel: Panel, columns: number): PanelContent {
  const { messages } = state;
  switch (panel.kind) {
    case 'help':
      return { title: messages.helpTitle, body: helpRows(messages, columns) };
    case 'who':
      return { title: messages.whoTitle(panel.count), body: memberRows(state, panel, columns) };
    case 'rooms':
      return roomChooser(state, panel, columns);
  }
}

function helpRows(messages: Messages, columns: number): Row[] {
  const commandEntries = commands.map((command) => ({ term: usageWithAliases(command).join(', '), what: messages.commands[command.name] }));
  const keyEntries = keyBindings.map(({ label, messageKey }) => ({ term: label, what: messages.keys[messageKey] }));
  return [
    ruleRow(messages.helpCommands, columns, 'muted'),
    ...commandEntries.flatMap((each) => definitionRows(each, columns)),
    [],
    ruleRow(messages.helpKeys, columns, 'muted'),
    ...keyEntries.flatMap((each) => definitionRows(each, columns)),
  ];
}

const TERM_COLUMNS = 22;

function definitionRows({ term, what }: { term: string; what: string }, columns: number): Row[] {
  const isNarrow = columns < 60;
  const indent = isNarrow ? 4 : TERM_COLUMNS;
  const first: Row = [{ text: ` ${term}`, color: 'accent' }];
  const rows = wrapRow([{ text: what }], columns - indent);
  const indented = rows.map((row): Row => [{ text: ' '.repeat(indent) }, ...row]);
  if (isNarrow || displayWidth(term) + 2 > indent) return [first, ...indented];
  const [head = [], ...others] = rows;
  return [
    [...first, { text: ' '.repeat(indent - 1 - displayWidth(term)) }, ...head],
    ...others.map((row): Row => [{ text: ' '.repeat(indent) }, ...row]),
  ];
}

function memberRows({ messages, active }: State, { members = [], hasMore }: Extract<Panel, { kind: 'who' }>, columns: number): Row[] {
  const rows = members.map(({ username, role, presence }): Row => {
    const isHere = presence === 'online';
    const about = [...(role === 'owner' ? [messages.owner] : []), ...(isHere ? [] : [messages.presence[presence]])].join(', ');
    return [
      { text: isHere ? ' ● ' : ' ○ ', color: isHere ? 'good' : 'muted' },
      { text: truncate(sanitizeLine(username), columns - 4), color: active && `author${active.names.colorIndexOf(username)}` },
      { text: about === '' ? '' : `  ${about}`, color: 'muted' },
    ];
  });
  return hasMore ? [...rows, [{ text: `   ${messages.andMore}`, color: 'muted' }]] : rows;
}

/** Open rooms, rooms of the server, and a new room. Without an open room it also shows an introduction. */
function roomChooser(state: State, panel: Extract<Panel, { kind: 'rooms' }>, columns: number): PanelContent {
  const { messages } = state;
  const choices = roomChoices(state);
  const at = chosenIndex(choices, state);
  const head = chooserHead(state, columns);
  const rows = choices.map((choice, index) => choiceRow(state, choice, { columns, isChosen: index === at }));
  const loading: Row[] = panel.rooms
    ? []
    : wrapRow([{ text: state.connectionError ?? messages.chooserLoading, color: 'muted' }], columns - 1).map((row) => [
        { text: ' ' },
        ...row,
      ]);
  return {
    title: messages.chooserTitle,
    body: [...head, ...rows, ...loading],
    rooms: [...head.map(() => undefined), ...choices.map(({ roomId }) => roomId)],
    focusedRow: head.length + at,
  };
}

function chooserHead(state: State, columns: number): Row[] {
  const { messages, tabs, panel, username, server } = state;
  const isEmpty = panel?.kind === 'rooms' && panel.rooms?.length === 0 && tabs.length === 0;
  const hint = isEmpty ? messages.chooserEmpty : messages.chooserHint;
  const lines =
    tabs.length > 0 ? [hint] : [messages.welcome(sanitizeLine(username), sanitizeLine(server)), '', ...messages.firstSteps(hint), ''];
  return lines.flatMap((line) => wrapRow([{ text: line, color: tabs.length > 0 ? 'muted' : undefined }], columns - 2).map(indentRow));
}

const indentRow = (row: Row): Row => [{ text: ' ' }, ...row];

function choiceRow({ messages }: State, choice: RoomChoice, { columns, isChosen }: { columns: number; isChosen: boolean }): Row {
  const { roomId, tab, listedRoom, isNew } = choice;
  const mark: Span = { text: isChosen ? ' › ' : '   ', color: 'accent' };
  const on = isChosen ? 'selected' : undefined;
  if (isNew)
    return fitRow([mark, { text: truncate(messages.chooserNew(sanitizeLine(roomId)), columns - 4), color: 'accent' }], columns, on);
  const right = roomStatus(messages, tab, listedRoom);
  const space = columns - rowWidth(right) - 5;
  const name = truncate(`#${sanitizeLine(roomId)}`, space);
  const about = listedRoom
    ? `  ${messages.members(listedRoom.members)}${listedRoom.topic === '' ? '' : ` · ${sanitizeLine(listedRoom.topic)}`}`
    : '';
  return alignEnds(
    [mark, { text: name, bold: true }, { text: truncate(about, space - displayWidth(name)), color: 'muted' }],
    right,
    columns,
    on,
  );
}

/** Unread chats of an open room, or the last activity of another one. */
function roomStatus(messages: Messages, tab: Tab | undefined, listedRoom: ListedRoom | undefined): Row {
  if (!tab) return listedRoom ? [{ text: `${messages.activityTime(listedRoom.at)} `, color: 'muted' }] : [];
  const { unread } = tab;
  if (unread.count === 0) return [{ text: `${messages.roomIsOpen} `, color: 'muted' }];
  const isMentioned = unread.mentions > 0;
  return [{ text: `${isMentioned ? '@' : ''}${formatUnread(unread)} `, color: isMentioned ? 'mention' : 'accent', bold: true }];
}
