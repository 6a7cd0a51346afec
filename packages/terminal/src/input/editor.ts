import type { ScreenPosition } from '../screen/frame.ts';
import type { InputEvent } from '../screen/key.ts';
import { displayWidth, graphemesOf, measureGraphemes } from '../text/display-width.ts';
import { codePointLength } from '../text/length.ts';
import { REPLACEMENT, sanitizeLine } from '../text/sanitize.ts';
import type { Row } from '../text/styled-span.ts';
import { findRowStarts, type WrapUnit } from '../text/wrap.ts';

/** Code points of a line: several chats, and so many that a key is still answered at once. */
export const MAX_LINE_LENGTH = 40_000;
/** What was typed or undone before, in number and in code units together. */
const MAX_HISTORY_ENTRIES = 200;
const MAX_UNDO_STEPS = 100;
const MAX_REMEMBERED_UNITS = 400_000;
/** A tab is text: tables and code are pasted with it. It is shown as spaces. */
const CONTROLS = /(?![\n\t])\p{Cc}/gu;
const LINE_BREAK = /\r\n|[\r\u0085\u2028\u2029]/g;
const wordSegmenter = new Intl.Segmenter(undefined, { granularity: 'word' });

/** A text and where in it one types, in UTF-16 code units, always between graphemes. */
interface Snapshot {
  text: string;
  cursor: number;
}

/** A grapheme as it is shown, and how long it is in the text. */
interface DisplayUnit extends WrapUnit {
  length: number;
}

/** A row of the screen: the pieces of the text from `start` on. */
interface EditorRow {
  start: number;
  units: DisplayUnit[];
}

type EditKind = 'typing' | 'killing' | 'moving' | 'replacing' | undefined;

/** The text that is being typed: its cursor, its history, what was undone and what was cut. Does no I/O. */
export class Editor {
  readonly #limit: number;
  #text = '';
  #cursor = 0;
  /** How wide it was last shown: what is above the cursor depends on it. */
  #width = 80;
  /** What the last key did: some go on with it. */
  #lastEdit: EditKind;
  /** The column that up and down keep to, through shorter rows. */
  #goalColumn = 0;
  #undoStack: Snapshot[] = [];
  #killBuffer = '';
  readonly #history: string[] = [];
  /** Where in the history one is; its length at the draft. */
  #historyIndex = 0;
  /** What was typed into the history, and the draft while one looks into the past. */
  readonly #historyEdits = new Map<number, string>();

  /** `limit` in code points. */
  constructor({ limit = MAX_LINE_LENGTH }: { limit?: number } = {}) {
    this.#limit = limit;
  }

  get text(): string {
    return this.#text;
  }

  /** The text up to the cursor: what a completion completes. */
  get textBeforeCursor(): string {
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
  replaceBeforeCursor(length: number, text: string): boolean {
    const before = this.#text.slice(0, Math.max(0, this.#cursor - length));
    const after = this.#text.slice(this.#cursor);
    if (codePointLength(before) + codePointLength(text) + codePointLength(after) > this.#limit) return false;
    this.#pushUndo();
    this.#setAroundCursor(before, after);
    return this.#insert(text, 'replacing');
  }

  /** Another text in its place, with the cursor at the end; can be undone. */
  setText(text: string): void {
    this.#pushUndo();
    this.#setAroundCursor('', '');
    this.#insert(text.replace(LINE_BREAK, '\n'), 'replacing');
  }

  /** Takes the text out, into the history. */
  submit(): string {
    const text = this.#text;
    if (text !== '' && text !== this.#history.at(-1)) this.#history.push(text);
    dropOldest(this.#history, MAX_HISTORY_ENTRIES, (each) => each.length);
    this.#historyIndex = this.#history.length;
    this.#historyEdits.clear();
    this.#undoStack = [];
    this.#lastEdit = undefined;
    this.#setAroundCursor('', '');
    return text;
  }

  /** Does what the key means, or answers false: it is not for a text, or there is nowhere to go. */
  handleKey(key: InputEvent): boolean {
    if (key.kind === 'text') this.insert(key.text);
    else if (key.kind === 'paste') this.paste(key.text);
    else if (key.kind === 'key') return this.#handleChord(chordOf(key));
    else return false;
    return true;
  }

  /** As it is shown in so many columns, safe, at least one row; the last column is the cursor's. */
  rows(columns: number): { rows: Row[]; cursor: ScreenPosition } {
    this.#width = columns;
    const rows = this.#layOut();
    const row = this.#rowOfCursor(rows);
    return {
      rows: rows.map(({ units }) => visibleRow(units, columns)),
      cursor: { row, column: Math.max(0, Math.min(this.#columnOfCursor(rows[row] as EditorRow), columns - 1)) },
    };
  }

  #handleChord(chord: string): boolean {
    const action = Object.hasOwn(ACTIONS_BY_CHORD, chord) ? ACTIONS_BY_CHORD[chord] : undefined;
    if (!action) return false;
    switch (action) {
      case 'left':
        return this.#move(this.#cursor - this.#graphemeLengthBefore());
      case 'right':
        return this.#move(this.#cursor + this.#graphemeLengthAfter());
      case 'word-left':
        return this.#move(this.#wordStart());
      case 'word-right':
        return this.#move(this.#wordEnd());
      case 'line-start':
        return this.#move(this.#lineStart());
      case 'line-end':
        return this.#move(this.#lineEnd());
      case 'up':
        return this.#moveRows(-1) || this.#moveInHistory(-1);
      case 'down':
        return this.#moveRows(1) || this.#moveInHistory(1);
      case 'erase-before':
        return this.#cut(this.#cursor - this.#graphemeLengthBefore(), this.#cursor);
      case 'erase-after':
        return this.#text !== '' && this.#cut(this.#cursor, this.#cursor + this.#graphemeLengthAfter());
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
        this.#insert(this.#killBuffer, undefined);
        return true;
      case 'undo':
        return this.#undo();
      case 'newline':
        this.#insert('\n', undefined);
        return true;
    }
  }

  #insert(text: string, kind: EditKind): boolean {
    const clean = text.toWellFormed().replace(CONTROLS, '');
    // All or nothing: what is not taken is still where it came from.
    if (codePointLength(clean) > this.#limit - codePointLength(this.#text)) return false;
    if (clean !== '') {
      // One undo takes back a word.
      if (kind !== 'replacing' && (kind !== 'typing' || this.#lastEdit !== 'typing' || clean.startsWith(' '))) this.#pushUndo();
      this.#setAroundCursor(this.textBeforeCursor + clean, this.#text.slice(this.#cursor));
    }
    this.#lastEdit = kind;
    return true;
  }

  #pushUndo(): void {
    this.#undoStack.push({ text: this.#text, cursor: this.#cursor });
    dropOldest(this.#undoStack, MAX_UNDO_STEPS, ({ text }) => text.length);
  }

  #undo(): boolean {
    const last = this.#undoStack.pop();
    if (last) this.#setAroundCursor(last.text.slice(0, last.cursor), last.text.slice(last.cursor));
    this.#lastEdit = undefined;
    return true;
  }

  #setAroundCursor(before: string, after: string): void {
    this.#text = before + after;
    this.#cursor = before.length;
    // What was typed may have become one grapheme with what follows.
    if (after !== '') this.#cursor = nextGraphemeBoundary(this.#text, this.#cursor);
  }

  #move(to: number): boolean {
    this.#cursor = to;
    this.#lastEdit = undefined;
    return true;
  }

  #cut(from: number, to: number): boolean {
    if (from < to) {
      this.#pushUndo();
      this.#setAroundCursor(this.#text.slice(0, from), this.#text.slice(to));
    }
    this.#lastEdit = undefined;
    return true;
  }

  #kill(from: number, to: number): boolean {
    const killed = this.#text.slice(from, to);
    const continuesKill = this.#lastEdit === 'killing';
    if (!continuesKill && killed !== '') this.#killBuffer = killed;
    else this.#killBuffer = to === this.#cursor && from < to ? killed + this.#killBuffer : this.#killBuffer + killed;
    this.#cut(from, to);
    this.#lastEdit = 'killing';
    return true;
  }

  /** False at the first or the last row. */
  #moveRows(by: -1 | 1): boolean {
    const rows = this.#layOut();
    const row = this.#rowOfCursor(rows);
    const target = rows[row + by];
    if (!target) return false;
    if (this.#lastEdit !== 'moving') this.#goalColumn = this.#columnOfCursor(rows[row] as EditorRow);
    this.#cursor = positionAtColumn(target, this.#goalColumn, rows[row + by + 1]);
    this.#lastEdit = 'moving';
    return true;
  }

  #moveInHistory(by: -1 | 1): boolean {
    const at = this.#historyIndex + by;
    if (at < 0 || at > this.#history.length) return false;
    this.#historyEdits.set(this.#historyIndex, this.#text);
    this.#historyIndex = at;
    this.#undoStack = [];
    this.#lastEdit = undefined;
    this.#setAroundCursor(this.#historyEdits.get(at) ?? this.#history[at] ?? '', '');
    return true;
  }

  #graphemeLengthBefore(): number {
    let last = '';
    for (const each of graphemesOf(this.textBeforeCursor)) last = each;
    return last.length;
  }

  #graphemeLengthAfter(): number {
    for (const first of graphemesOf(this.#text.slice(this.#cursor))) return first.length;
    return 0;
  }

  #lineStart(): number {
    return this.textBeforeCursor.lastIndexOf('\n') + 1;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#cursor);
    return end < 0 ? this.#text.length : end;
  }

  #wordStart(): number {
    let start = 0;
    for (const { index, isWordLike } of wordSegmenter.segment(this.textBeforeCursor)) if (isWordLike) start = index;
    return start;
  }

  #wordEnd(): number {
    for (const { index, segment, isWordLike } of wordSegmenter.segment(this.#text.slice(this.#cursor)))
      if (isWordLike) return this.#cursor + index + segment.length;
    return this.#text.length;
  }

  #layOut(): EditorRow[] {
    const rows: EditorRow[] = [];
    const width = Math.max(1, this.#width - 1);
    let start = 0;
    for (const line of this.#text.split('\n')) {
      const pieces = toDisplayUnits(line, width);
      const starts = findRowStarts(pieces, width);
      let position = start;
      for (const [at, from] of starts.entries()) {
        const own = pieces.slice(from, starts[at + 1]);
        rows.push({ start: position, units: own });
        position += textLength(own);
      }
      start += line.length + 1;
    }
    return rows;
  }

  #rowOfCursor(rows: EditorRow[]): number {
    return rows.findLastIndex(({ start }) => start <= this.#cursor);
  }

  #columnOfCursor({ start, units }: EditorRow): number {
    let column = 0;
    let position = start;
    for (const { length, columns } of units) {
      if (position >= this.#cursor) break;
      position += length;
      column += columns;
    }
    return column;
  }
}

type EditAction =
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
const ACTIONS_BY_CHORD: Record<string, EditAction> = {
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

const chordOf = ({ name, ctrl, alt, shift }: Extract<InputEvent, { kind: 'key' }>): string =>
  `${ctrl ? 'ctrl+' : ''}${alt ? 'alt+' : ''}${shift ? 'shift+' : ''}${name}`;

function dropOldest<Item>(items: Item[], maxItems: number, unitsOf: (item: Item) => number): void {
  let units = items.reduce((sum, item) => sum + unitsOf(item), 0);
  while (items.length > maxItems || units > MAX_REMEMBERED_UNITS) units -= unitsOf(items.shift() as Item);
}

const textLength = (pieces: readonly DisplayUnit[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** The first place between graphemes from here on. */
function nextGraphemeBoundary(text: string, position: number): number {
  let end = 0;
  for (const each of graphemesOf(text)) {
    if (end >= position) break;
    end += each.length;
  }
  return Math.max(end, position);
}

/** What somebody pasted may hold what must not reach the terminal either. */
function toDisplayUnits(line: string, width: number): DisplayUnit[] {
  const isSafe = sanitizeLine(line) === line;
  return measureGraphemes(line).map(({ text, columns }) => {
    const piece = isSafe ? { text, columns } : { text: sanitizeLine(text), columns: displayWidth(sanitizeLine(text)) };
    return { ...(piece.columns > width ? { text: REPLACEMENT, columns: 1 } : piece), length: text.length };
  });
}

/** Without the spaces that hang over the edge. */
function visibleRow(pieces: readonly DisplayUnit[], columns: number): Row {
  let used = 0;
  const visible = pieces.filter((piece) => {
    used += piece.columns;
    return used <= columns;
  });
  return [{ text: visible.map(({ text }) => text).join('') }];
}

/** The place in a row that is nearest to a column from the left. */
function positionAtColumn({ start, units }: EditorRow, column: number, next: EditorRow | undefined): number {
  // Where a row is broken, its end is already the beginning of the next.
  const isWrapped = next?.start === start + textLength(units);
  let position = start;
  let used = 0;
  for (const { columns, length } of isWrapped ? units.slice(0, -1) : units) {
    used += columns;
    if (used > column) break;
    position += length;
  }
  return position;
}
