import { columnsOf, fitted } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { Row, Span } from '../../text/span.ts';
import { wrapped } from '../../text/wrap.ts';
import type { Words } from '../../words/words.ts';
import { commands, namesOf } from '../commands.ts';
import { bindings } from '../keys.ts';
import { choicesOf, chosenIn, type RoomChoice } from '../room-choices.ts';
import type { ListedRoom, Panel, State } from '../state.ts';
import type { Tab } from '../tab.ts';
import { countOf } from '../unread.ts';
import { ends, exactly, widthOf } from './cells.ts';
import { ruled } from './timeline.ts';

interface PanelRows {
  rows: Row[];
  rooms: (string | undefined)[];
  /** Rows that may be scrolled away at most. */
  mostScroll: number;
}

/** A panel in exactly so many rows, and which room of the server is in each. */
export function panelRows(state: State, panel: Panel, columns: number, height: number): PanelRows {
  const { words } = state;
  const { title, body, rooms = [], at } = contentOf(state, panel, columns);
  const space = Math.max(0, height - 1);
  const most = Math.max(0, body.length - space);
  const first = Math.max(0, Math.min(at === undefined ? panel.scroll : at - Math.floor(space / 2), most));
  const rows = body.slice(first, first + space).map((row) => exactly(row, columns));
  while (rows.length < space) rows.push(exactly([], columns));
  const shown: Row = [{ text: ` ${fitted(title, columns - 2)}`, bold: true }];
  const hints = [
    ...(most > 0 && panel.kind !== 'rooms' ? [words.panelScrolls(first + 1, first + rows.length, body.length)] : []),
    words.panelHint,
  ];
  const hint = hints.find((each) => columnsOf(each) + widthOf(shown) + 2 <= columns) ?? words.panelHint;
  const head = ends(shown, [{ text: `${hint} `, ink: 'muted' }], columns);
  return { rows: [head, ...rows], rooms: [undefined, ...rooms.slice(first, first + space)], mostScroll: most };
}

interface Content {
  title: string;
  body: Row[];
  rooms?: (string | undefined)[];
  /** The row that is to be seen. */
  at?: number;
}

function contentOf(state: State, panel: Panel, columns: number): Content {
  const { words } = state;
  switch (panel.kind) {
    case 'help':
      return { title: words.helpTitle, body: helpRows(words, columns) };
    case 'who':
      return { title: words.whoTitle(panel.count), body: whoRows(state, panel, columns) };
    case 'rooms':
      return chooser(state, panel, columns);
  }
}

function helpRows(words: Words, columns: number): Row[] {
  const typed = commands.map((command) => ({ term: namesOf(command).join(', '), what: words.commands[command.name] }));
  const pressed = bindings.map(({ shown, what }) => ({ term: shown, what: words.keys[what] }));
  return [
    ruled(words.helpCommands, columns, 'muted'),
    ...typed.flatMap((each) => explained(each, columns)),
    [],
    ruled(words.helpKeys, columns, 'muted'),
    ...pressed.flatMap((each) => explained(each, columns)),
  ];
}

const TERM_COLUMNS = 22;

function explained({ term, what }: { term: string; what: string }, columns: number): Row[] {
  const isNarrow = columns < 60;
  const indent = isNarrow ? 4 : TERM_COLUMNS;
  const first: Row = [{ text: ` ${term}`, ink: 'accent' }];
  const rows = wrapped([{ text: what }], columns - indent);
  const indented = rows.map((row): Row => [{ text: ' '.repeat(indent) }, ...row]);
  if (isNarrow || columnsOf(term) + 2 > indent) return [first, ...indented];
  const [head = [], ...others] = rows;
  return [
    [...first, { text: ' '.repeat(indent - 1 - columnsOf(term)) }, ...head],
    ...others.map((row): Row => [{ text: ' '.repeat(indent) }, ...row]),
  ];
}

function whoRows({ words, active }: State, { members = [], more }: Extract<Panel, { kind: 'who' }>, columns: number): Row[] {
  const rows = members.map(({ username, role, presence }): Row => {
    const isHere = presence === 'online';
    const about = [...(role === 'owner' ? [words.owner] : []), ...(isHere ? [] : [words.presence[presence]])].join(', ');
    return [
      { text: isHere ? ' ● ' : ' ○ ', ink: isHere ? 'good' : 'muted' },
      { text: fitted(safeLine(username), columns - 4), ink: active?.names.inkOf(username) },
      { text: about === '' ? '' : `  ${about}`, ink: 'muted' },
    ];
  });
  return more ? [...rows, [{ text: `   ${words.andMore}`, ink: 'muted' }]] : rows;
}

/** Open rooms, those of the server, and a new one; who has none open yet is told what to do. */
function chooser(state: State, panel: Extract<Panel, { kind: 'rooms' }>, columns: number): Content {
  const { words } = state;
  const choices = choicesOf(state);
  const at = chosenIn(choices, state);
  const head = headOf(state, columns);
  const rows = choices.map((choice, index) => choiceRow(state, choice, { columns, isChosen: index === at }));
  const loading: Row[] = panel.rooms
    ? []
    : wrapped([{ text: state.trouble ?? words.chooserLoading, ink: 'muted' }], columns - 1).map((row) => [{ text: ' ' }, ...row]);
  return {
    title: words.chooserTitle,
    body: [...head, ...rows, ...loading],
    rooms: [...head.map(() => undefined), ...choices.map(({ roomId }) => roomId)],
    at: head.length + at,
  };
}

function headOf(state: State, columns: number): Row[] {
  const { words, tabs, panel, username, server } = state;
  const isEmpty = panel?.kind === 'rooms' && panel.rooms?.length === 0 && tabs.length === 0;
  const hint = isEmpty ? words.chooserEmpty : words.chooserHint;
  const lines = tabs.length > 0 ? [hint] : [words.welcome(safeLine(username), safeLine(server)), '', ...words.firstSteps(hint), ''];
  return lines.flatMap((line) => wrapped([{ text: line, ink: tabs.length > 0 ? 'muted' : undefined }], columns - 2).map(indented));
}

const indented = (row: Row): Row => [{ text: ' ' }, ...row];

function choiceRow({ words }: State, choice: RoomChoice, { columns, isChosen }: { columns: number; isChosen: boolean }): Row {
  const { roomId, tab, listed, isNew } = choice;
  const mark: Span = { text: isChosen ? ' › ' : '   ', ink: 'accent' };
  const on = isChosen ? 'selected' : undefined;
  if (isNew) return exactly([mark, { text: fitted(words.chooserNew(safeLine(roomId)), columns - 4), ink: 'accent' }], columns, on);
  const right = stateOf(words, tab, listed);
  const space = columns - widthOf(right) - 5;
  const name = fitted(`#${safeLine(roomId)}`, space);
  const about = listed ? `  ${words.members(listed.members)}${listed.topic === '' ? '' : ` · ${safeLine(listed.topic)}`}` : '';
  return ends([mark, { text: name, bold: true }, { text: fitted(about, space - columnsOf(name)), ink: 'muted' }], right, columns, on);
}

/** What is new in an open room; when something happened last in another one. */
function stateOf(words: Words, tab: Tab | undefined, listed: ListedRoom | undefined): Row {
  if (!tab) return listed ? [{ text: `${words.when(listed.at)} `, ink: 'muted' }] : [];
  const { unread } = tab;
  if (unread.count === 0) return [{ text: `${words.openRoom} `, ink: 'muted' }];
  const isMentioned = unread.mentions > 0;
  return [{ text: `${isMentioned ? '@' : ''}${countOf(unread)} `, ink: isMentioned ? 'mention' : 'accent', bold: true }];
}
