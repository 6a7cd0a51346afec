// The line editor: text, cursor, undo, kill buffer and input history; no I/O.
import type { ScreenPosition } from '../screen/frame.ts';
import type { InputEvent } from '../screen/key.ts';
import { displayWidth, graphemesOf, measureGraphemes } from '../text/display-width.ts';
import { codePointLength } from '../text/length.ts';
import { REPLACEMENT, sanitizeLine } from '../text/sanitize.ts';
import type { Row } from '../text/styled-span.ts';
import { findRowStarts, type WrapUnit } from '../text/wrap.ts';

/** In code points. Enough for several chats, and small enough that each key is still handled at once. */
export const MAX_LINE_LENGTH = 40_000;
/** Limits of the input history and the undo stack: entries, and code units of all together. */
const MAX_HISTORY_ENTRIES = 200;
const MAX_UNDO_STEPS = 100;
const MAX_REMEMBERED_UNITS = 400_000;
/** A tab is text, because pasted tables and code contain tabs. It is displayed as spaces. */
const CONTROLS = /(?![\n\t])\p{Cc}/gu;
const LINE_BREAK = /\r\n|[\r\u0085\u2028\u2029]/g;
const wordSegmenter = new Intl.Segmenter(undefined, { granularity: 'word' });

/** A text and its cursor position, in UTF-16 code units. The cursor is always between graphemes. */
interface Snapshot {
  text: string;
  cursor: number;
}

/** A grapheme as it is displayed, with its length in the text. */
interface DisplayUnit extends WrapUnit {
  length: number;
}

/** A row of the screen; its text begins at `start`. */
interface EditorRow {
  start: number;
  units: DisplayUnit[];
}

type EditKind = 'typing' | 'killing' | 'moving' | 'replacing' | undefined;

export class Editor {
  readonly #limit: number;
  #text = '';
  #cursor = 0;
  /** Columns of the last layout: up and down keys depend on it. */
  #width = 80;
  /** Kind of the last edit: consecutive edits of one kind are merged. */
  #lastEdit: EditKind;
  /** The column that up and down keep, even across shorter rows. */
  #goalColumn = 0;
  #undoStack: Snapshot[] = [];
  #killBuffer = '';
  readonly #history: string[] = [];
  /** Index in the history; the length of the history stands for the draft. */
  #historyIndex = 0;
  /** Edits of history entries, and the draft while the user browses the history. */
  readonly #historyEdits = new Map<number, string>();

  /** `limit` is in code points. */
  constructor({ limit = MAX_LINE_LENGTH }: { limit?: number } = {}) {
    this.#limit = limit;
  }

  get text(): string {
    return this.#text;
  }

  /** The text before the cursor, which completion works on. */
  get textBeforeCursor(): string {
    return this.#text.slice(0, this.#cursor);
  }

  /** Inserts text at the cursor, without control characters. If it would exceed the limit, inserts nothing and returns false. */
  insert(text: string): boolean {
    return this.#insert(text.replace(/\p{Cc}/gu, ''), 'typing');
  }

  /** Like `insert`, but keeps line breaks and tabs. */
  paste(text: string): boolean {
    return this.#insert(text.replace(LINE_BREAK, '\n'), undefined);
  }

  /** Replaces `length` code units before the cursor. */
  replaceBeforeCursor(length: number, text: string): boolean {
    const before = this.#text.slice(0, Math.max(0, this.#cursor - length));
    const after = this.#text.slice(this.#cursor);
    if (codePointLength(before) + codePointLength(text) + codePointLength(after) > this.#limit) return false;
    this.#pushUndo();
    this.#setAroundCursor(before, after);
    return this.#insert(text, 'replacing');
  }

  /** Replaces the whole text and moves the cursor to its end. It can be undone. */
  setText(text: string): void {
    this.#pushUndo();
    this.#setAroundCursor('', '');
    this.#insert(text.replace(LINE_BREAK, '\n'), 'replacing');
  }

  /** Returns the text, moves it to the history and clears the editor. */
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

  /** Handles a key. Returns false if the key does not edit, or the cursor cannot move. */
  handleKey(key: InputEvent): boolean {
    if (key.kind === 'text') this.insert(key.text);
    else if (key.kind === 'paste') this.paste(key.text);
    else if (key.kind === 'key') return this.#handleChord(chordOf(key));
    else return false;
    return true;
  }

  /** Lays out the sanitized text in at least one row. The last column is reserved for the cursor. */
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
        // At the end of a line, the line break.
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
    // All or nothing: a rejected text stays where it came from.
    if (codePointLength(clean) > this.#limit - codePointLength(this.#text)) return false;
    if (clean !== '') {
      // Undo works word by word.
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
    // The inserted text may form one grapheme with the text after it.
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

  /** Returns false at the first or the last row. */
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

/** Emacs and readline keys, and the usual ones. */
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

/** The first grapheme boundary at or after the position. */
function nextGraphemeBoundary(text: string, position: number): number {
  let end = 0;
  for (const each of graphemesOf(text)) {
    if (end >= position) break;
    end += each.length;
  }
  return Math.max(end, position);
}

/** Pasted text may contain sequences that must not reach the terminal. */
function toDisplayUnits(line: string, width: number): DisplayUnit[] {
  const isSafe = sanitizeLine(line) === line;
  return measureGraphemes(line).map(({ text, columns }) => {
    const piece = isSafe ? { text, columns } : { text: sanitizeLine(text), columns: displayWidth(sanitizeLine(text)) };
    return { ...(piece.columns > width ? { text: REPLACEMENT, columns: 1 } : piece), length: text.length };
  });
}

/** Without trailing spaces beyond the edge. */
function visibleRow(pieces: readonly DisplayUnit[], columns: number): Row {
  let used = 0;
  const visible = pieces.filter((piece) => {
    used += piece.columns;
    return used <= columns;
  });
  return [{ text: visible.map(({ text }) => text).join('') }];
}

/** The text position closest to a column of a row. */
function positionAtColumn({ start, units }: EditorRow, column: number, next: EditorRow | undefined): number {
  // The end of a wrapped row is the start of the next one.
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
