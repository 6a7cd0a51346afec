import type { Place } from '../screen/frame.ts';
import type { Key } from '../screen/key.ts';
import { columnsOf, graphemes, segments } from '../text/columns.ts';
import { lengthOf } from '../text/length.ts';
import { REPLACEMENT, safeLine } from '../text/safe.ts';
import type { Row } from '../text/span.ts';
import { type Piece, rowStarts } from '../text/wrap.ts';

/** Code points of a line: several chats, and so many that a key is still answered at once. */
export const LONGEST_LINE = 40_000;
/** What was typed or undone before, in number and in code units together. */
const HISTORY = 200;
const UNDOS = 100;
const KEPT_UNITS = 400_000;
/** A tab is text: tables and code are pasted with it. It is shown as spaces. */
const CONTROLS = /(?![\n\t])\p{Cc}/gu;
const LINE_BREAK = /\r\n|[\r\u0085\u2028\u2029]/g;
const words = new Intl.Segmenter(undefined, { granularity: 'word' });

/** A text and where in it one types, in UTF-16 code units, always between graphemes. */
interface Written {
  text: string;
  cursor: number;
}

/** A grapheme as it is shown, and how long it is in the text. */
interface ShownPiece extends Piece {
  length: number;
}

/** A row of the screen: the pieces of the text from `start` on. */
interface LaidOutRow {
  start: number;
  pieces: ShownPiece[];
}

type Doing = 'typing' | 'killing' | 'moving' | 'replacing' | undefined;

/** The text that is being typed: its cursor, its history, what was undone and what was cut. Does no I/O. */
export class Editor {
  readonly #limit: number;
  #text = '';
  #cursor = 0;
  /** How wide it was last shown: what is above the cursor depends on it. */
  #columns = 80;
  /** What the last key did: some go on with it. */
  #doing: Doing;
  /** The column that up and down keep to, through shorter rows. */
  #column = 0;
  #undos: Written[] = [];
  #killed = '';
  readonly #history: string[] = [];
  /** Where in the history one is; its length at the draft. */
  #at = 0;
  /** What was typed into the history, and the draft while one looks into the past. */
  readonly #changed = new Map<number, string>();

  /** `limit` in code points. */
  constructor({ limit = LONGEST_LINE }: { limit?: number } = {}) {
    this.#limit = limit;
  }

  get text(): string {
    return this.#text;
  }

  /** The text up to the cursor: what a completion completes. */
  get before(): string {
    return this.#text.slice(0, this.#cursor);
  }

  /** Inserts characters where the cursor is; control characters are dropped. Answers false, and inserts none, when not all have room. */
  insert(text: string): boolean {
    return this.#insert(text.replace(/\p{Cc}/gu, ''), 'typing');
  }

  /** The same with line breaks and tabs, which are kept. */
  paste(text: string): boolean {
    return this.#insert(text.replace(LINE_BREAK, '\n'), undefined);
  }

  /** Puts text in the place of so many code units before the cursor. */
  complete(length: number, text: string): boolean {
    const before = this.#text.slice(0, Math.max(0, this.#cursor - length));
    const after = this.#text.slice(this.#cursor);
    if (lengthOf(before) + lengthOf(text) + lengthOf(after) > this.#limit) return false;
    this.#remember();
    this.#put(before, after);
    return this.#insert(text, 'replacing');
  }

  /** Another text in its place, with the cursor at the end; can be undone. */
  replace(text: string): void {
    this.#remember();
    this.#put('', '');
    this.#insert(text.replace(LINE_BREAK, '\n'), 'replacing');
  }

  /** Takes the text out, into the history. */
  submit(): string {
    const text = this.#text;
    if (text !== '' && text !== this.#history.at(-1)) this.#history.push(text);
    forgetOldest(this.#history, HISTORY, (each) => each.length);
    this.#at = this.#history.length;
    this.#changed.clear();
    this.#undos = [];
    this.#doing = undefined;
    this.#put('', '');
    return text;
  }

  /** Does what the key means, or answers false: it is not for a text, or there is nowhere to go. */
  takes(key: Key): boolean {
    if (key.kind === 'text') this.insert(key.text);
    else if (key.kind === 'paste') this.paste(key.text);
    else if (key.kind === 'key') return this.#takesChord(chordOf(key));
    else return false;
    return true;
  }

  /** As it is shown in so many columns, safe, at least one row; the last column is the cursor's. */
  rows(columns: number): { rows: Row[]; cursor: Place } {
    this.#columns = columns;
    const rows = this.#laidOut();
    const row = this.#rowOfCursor(rows);
    return {
      rows: rows.map(({ pieces }) => shown(pieces, columns)),
      cursor: { row, column: Math.max(0, Math.min(this.#columnOfCursor(rows[row] as LaidOutRow), columns - 1)) },
    };
  }

  #takesChord(chord: string): boolean {
    const action = Object.hasOwn(ACTIONS, chord) ? ACTIONS[chord] : undefined;
    if (!action) return false;
    switch (action) {
      case 'left':
        return this.#move(this.#cursor - this.#lengthBefore());
      case 'right':
        return this.#move(this.#cursor + this.#lengthAfter());
      case 'word-left':
        return this.#move(this.#wordStart());
      case 'word-right':
        return this.#move(this.#wordEnd());
      case 'line-start':
        return this.#move(this.#lineStart());
      case 'line-end':
        return this.#move(this.#lineEnd());
      case 'up':
        return this.#moveRows(-1) || this.#recall(-1);
      case 'down':
        return this.#moveRows(1) || this.#recall(1);
      case 'erase-before':
        return this.#cut(this.#cursor - this.#lengthBefore(), this.#cursor);
      case 'erase-after':
        return this.#text !== '' && this.#cut(this.#cursor, this.#cursor + this.#lengthAfter());
      case 'kill-word-before':
        return this.#kill(this.#wordStart(), this.#cursor);
      case 'kill-word-after':
        return this.#kill(this.#cursor, this.#wordEnd());
      case 'kill-to-start':
        return this.#kill(this.#lineStart(), this.#cursor);
      case 'kill-to-end':
        // At the end of a line the break itself.
        return this.#kill(this.#cursor, Math.max(this.#lineEnd(), Math.min(this.#cursor + 1, this.#text.length)));
      case 'yank':
        this.#insert(this.#killed, undefined);
        return true;
      case 'undo':
        return this.#undo();
      case 'newline':
        this.#insert('\n', undefined);
        return true;
    }
  }

  #insert(text: string, doing: Doing): boolean {
    const clean = text.toWellFormed().replace(CONTROLS, '');
    // All or nothing: what is not taken is still where it came from.
    if (lengthOf(clean) > this.#limit - lengthOf(this.#text)) return false;
    if (clean !== '') {
      // One undo takes back a word.
      if (doing !== 'replacing' && (doing !== 'typing' || this.#doing !== 'typing' || clean.startsWith(' '))) this.#remember();
      this.#put(this.before + clean, this.#text.slice(this.#cursor));
    }
    this.#doing = doing;
    return true;
  }

  #remember(): void {
    this.#undos.push({ text: this.#text, cursor: this.#cursor });
    forgetOldest(this.#undos, UNDOS, ({ text }) => text.length);
  }

  #undo(): boolean {
    const last = this.#undos.pop();
    if (last) this.#put(last.text.slice(0, last.cursor), last.text.slice(last.cursor));
    this.#doing = undefined;
    return true;
  }

  #put(before: string, after: string): void {
    this.#text = before + after;
    this.#cursor = before.length;
    // What was typed may have become one grapheme with what follows.
    if (after !== '') this.#cursor = boundaryFrom(this.#text, this.#cursor);
  }

  #move(to: number): boolean {
    this.#cursor = to;
    this.#doing = undefined;
    return true;
  }

  #cut(from: number, to: number): boolean {
    if (from < to) {
      this.#remember();
      this.#put(this.#text.slice(0, from), this.#text.slice(to));
    }
    this.#doing = undefined;
    return true;
  }

  #kill(from: number, to: number): boolean {
    const killed = this.#text.slice(from, to);
    const goesOn = this.#doing === 'killing';
    if (!goesOn && killed !== '') this.#killed = killed;
    else this.#killed = to === this.#cursor && from < to ? killed + this.#killed : this.#killed + killed;
    this.#cut(from, to);
    this.#doing = 'killing';
    return true;
  }

  /** False at the first or the last row. */
  #moveRows(by: -1 | 1): boolean {
    const rows = this.#laidOut();
    const row = this.#rowOfCursor(rows);
    const target = rows[row + by];
    if (!target) return false;
    if (this.#doing !== 'moving') this.#column = this.#columnOfCursor(rows[row] as LaidOutRow);
    this.#cursor = positionAt(target, this.#column, rows[row + by + 1]);
    this.#doing = 'moving';
    return true;
  }

  #recall(by: -1 | 1): boolean {
    const at = this.#at + by;
    if (at < 0 || at > this.#history.length) return false;
    this.#changed.set(this.#at, this.#text);
    this.#at = at;
    this.#undos = [];
    this.#doing = undefined;
    this.#put(this.#changed.get(at) ?? this.#history[at] ?? '', '');
    return true;
  }

  #lengthBefore(): number {
    let last = '';
    for (const each of segments(this.before)) last = each;
    return last.length;
  }

  #lengthAfter(): number {
    for (const first of segments(this.#text.slice(this.#cursor))) return first.length;
    return 0;
  }

  #lineStart(): number {
    return this.before.lastIndexOf('\n') + 1;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#cursor);
    return end < 0 ? this.#text.length : end;
  }

  #wordStart(): number {
    let start = 0;
    for (const { index, isWordLike } of words.segment(this.before)) if (isWordLike) start = index;
    return start;
  }

  #wordEnd(): number {
    for (const { index, segment, isWordLike } of words.segment(this.#text.slice(this.#cursor)))
      if (isWordLike) return this.#cursor + index + segment.length;
    return this.#text.length;
  }

  #laidOut(): LaidOutRow[] {
    const rows: LaidOutRow[] = [];
    const width = Math.max(1, this.#columns - 1);
    let start = 0;
    for (const line of this.#text.split('\n')) {
      const pieces = piecesOf(line, width);
      const starts = rowStarts(pieces, width);
      let position = start;
      for (const [at, from] of starts.entries()) {
        const own = pieces.slice(from, starts[at + 1]);
        rows.push({ start: position, pieces: own });
        position += pieceLength(own);
      }
      start += line.length + 1;
    }
    return rows;
  }

  #rowOfCursor(rows: LaidOutRow[]): number {
    return rows.findLastIndex(({ start }) => start <= this.#cursor);
  }

  #columnOfCursor({ start, pieces }: LaidOutRow): number {
    let column = 0;
    let position = start;
    for (const { length, columns } of pieces) {
      if (position >= this.#cursor) break;
      position += length;
      column += columns;
    }
    return column;
  }
}

type Action =
  | 'left'
  | 'right'
  | 'word-left'
  | 'word-right'
  | 'line-start'
  | 'line-end'
  | 'up'
  | 'down'
  | 'erase-before'
  | 'erase-after'
  | 'kill-word-before'
  | 'kill-word-after'
  | 'kill-to-start'
  | 'kill-to-end'
  | 'yank'
  | 'undo'
  | 'newline';

/** The keys of Emacs and readline beside those of everybody. */
const ACTIONS: Record<string, Action> = {
  left: 'left',
  'ctrl+b': 'left',
  right: 'right',
  'ctrl+f': 'right',
  'ctrl+left': 'word-left',
  'alt+left': 'word-left',
  'alt+b': 'word-left',
  'ctrl+right': 'word-right',
  'alt+right': 'word-right',
  'alt+f': 'word-right',
  home: 'line-start',
  'ctrl+a': 'line-start',
  end: 'line-end',
  'ctrl+e': 'line-end',
  up: 'up',
  'ctrl+p': 'up',
  down: 'down',
  'ctrl+n': 'down',
  backspace: 'erase-before',
  'shift+backspace': 'erase-before',
  'ctrl+h': 'erase-before',
  delete: 'erase-after',
  'ctrl+d': 'erase-after',
  'ctrl+w': 'kill-word-before',
  'alt+backspace': 'kill-word-before',
  'ctrl+backspace': 'kill-word-before',
  'alt+d': 'kill-word-after',
  'alt+delete': 'kill-word-after',
  'ctrl+delete': 'kill-word-after',
  'ctrl+u': 'kill-to-start',
  'ctrl+k': 'kill-to-end',
  'ctrl+y': 'yank',
  'ctrl+z': 'undo',
  'ctrl+_': 'undo',
  'ctrl+/': 'undo',
  'alt+enter': 'newline',
  'shift+enter': 'newline',
  'ctrl+j': 'newline',
};

const chordOf = ({ name, ctrl, alt, shift }: Extract<Key, { kind: 'key' }>): string =>
  `${ctrl ? 'ctrl+' : ''}${alt ? 'alt+' : ''}${shift ? 'shift+' : ''}${name}`;

function forgetOldest<Item>(items: Item[], most: number, unitsOf: (item: Item) => number): void {
  let units = items.reduce((sum, item) => sum + unitsOf(item), 0);
  while (items.length > most || units > KEPT_UNITS) units -= unitsOf(items.shift() as Item);
}

const pieceLength = (pieces: readonly ShownPiece[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** The first place between graphemes from here on. */
function boundaryFrom(text: string, position: number): number {
  let end = 0;
  for (const each of segments(text)) {
    if (end >= position) break;
    end += each.length;
  }
  return Math.max(end, position);
}

/** What somebody pasted may hold what must not reach the terminal either. */
function piecesOf(line: string, width: number): ShownPiece[] {
  const isSafe = safeLine(line) === line;
  return graphemes(line).map(({ text, columns }) => {
    const piece = isSafe ? { text, columns } : { text: safeLine(text), columns: columnsOf(safeLine(text)) };
    return { ...(piece.columns > width ? { text: REPLACEMENT, columns: 1 } : piece), length: text.length };
  });
}

/** Without the spaces that hang over the edge. */
function shown(pieces: readonly ShownPiece[], columns: number): Row {
  let used = 0;
  const visible = pieces.filter((piece) => {
    used += piece.columns;
    return used <= columns;
  });
  return [{ text: visible.map(({ text }) => text).join('') }];
}

/** The place in a row that is nearest to a column from the left. */
function positionAt({ start, pieces }: LaidOutRow, column: number, next: LaidOutRow | undefined): number {
  // Where a row is broken, its end is already the beginning of the next.
  const isBroken = next?.start === start + pieceLength(pieces);
  let position = start;
  let used = 0;
  for (const { columns, length } of isBroken ? pieces.slice(0, -1) : pieces) {
    used += columns;
    if (used > column) break;
    position += length;
  }
  return position;
}
