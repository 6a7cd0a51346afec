import { columnsOf, fitted } from '../../text/columns.ts';
import { safeLine } from '../../text/safe.ts';
import type { Row } from '../../text/span.ts';
import { wrapped } from '../../text/wrap.ts';
import type { Words } from '../../words/words.ts';
import { commands, namesOf } from '../commands.ts';
import { bindings } from '../keys.ts';
import { type Panel, roomsChosenFrom, type State } from '../state.ts';
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

/** What is typed may be a room that there is, or a new one. */
function chooser(state: State, panel: Extract<Panel, { kind: 'rooms' }>, columns: number): Content {
  const { words, field } = state;
  const chosen = roomsChosenFrom(state);
  const typed = field.text.replace(/^#/, '').trim();
  const isNew = typed !== '' && panel.rooms !== undefined && !panel.rooms.some(({ roomId }) => roomId === typed);
  const hint: Row = [{ text: ` ${fitted(panel.rooms?.length === 0 ? words.chooserEmpty : words.chooserHint, columns - 1)}`, ink: 'muted' }];
  if (!panel.rooms) return { title: words.chooserTitle, body: [hint, [{ text: ` ${words.chooserLoading}`, ink: 'muted' }]] };
  const rows = chosen.map(({ roomId, topic, members }, index): Row => {
    const isChosen = index === panel.chosen;
    const name = fitted(`#${safeLine(roomId)}`, columns - 4);
    const about = `  ${words.members(members)}${topic === '' ? '' : ` · ${safeLine(topic)}`}`;
    const row: Row = [
      { text: isChosen ? ' › ' : '   ', ink: 'accent' },
      { text: name, bold: true },
      { text: about, ink: 'muted' },
    ];
    return exactly(row, columns, isChosen ? 'selected' : undefined);
  });
  const fresh: Row[] = isNew
    ? [
        exactly(
          [{ text: `   ${words.chooserNew(safeLine(typed))}`, ink: 'accent' }],
          columns,
          panel.chosen >= chosen.length ? 'selected' : undefined,
        ),
      ]
    : [];
  return {
    title: words.chooserTitle,
    body: [hint, ...rows, ...fresh],
    rooms: [undefined, ...chosen.map(({ roomId }) => roomId), ...(isNew ? [typed] : [])],
    at: Math.min(panel.chosen, rows.length + fresh.length - 1) + 1,
  };
}
