/** The model of a terminal: what its cells hold after what was written. */
import xterm from '@xterm/headless';
import type { Size } from '#screen/frame.js';
import { columnsOf, graphemes } from '#text/columns.js';
import type { PictureCell } from './svg.ts';

export interface ModelOptions extends Size {
  /** Whether it counts the parts of a joined emoji one by one, as older terminals do. */
  countsParts?: boolean | undefined;
}

export function openModel({ columns, rows, countsParts = false }: ModelOptions): xterm.Terminal {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 });
  if (!countsParts) countGraphemes(terminal);
  return terminal;
}

export const EMPTY: PictureCell = { text: ' ', columns: 1, foreground: undefined, background: undefined, bold: false, underline: false };

export function rowsOf(terminal: xterm.Terminal): PictureCell[][] {
  const buffer = terminal.buffer.active;
  return Array.from({ length: terminal.rows }, (_, row) => {
    const line = buffer.getLine(buffer.baseY + row);
    return Array.from({ length: terminal.cols }, (__, column) => cellOf(line?.getCell(column)));
  });
}

/** A terminal of today: a grapheme is in one cell, as wide as it is. The model knows only how wide single characters were in 2003. */
function countGraphemes(terminal: xterm.Terminal): void {
  const ids = new Map<string, number>();
  const texts = new Map<number, string>();
  const idOf = (text: string): number => {
    const id = ids.get(text) ?? ids.size + 1;
    ids.set(text, id);
    texts.set(id, text);
    return id;
  };
  const widthOf = (text: string) => Math.min(2, columnsOf(text)) as 0 | 1 | 2;
  terminal.unicode.register({
    version: 'graphemes',
    wcwidth: (codePoint) => widthOf(String.fromCodePoint(codePoint)),
    charProperties(codePoint, preceding) {
      const character = String.fromCodePoint(codePoint);
      const before = texts.get(preceding >> 3);
      const isJoined = before !== undefined && graphemes(before + character).length === 1;
      const text = isJoined ? before + character : character;
      return (idOf(text) << 3) | (widthOf(text) << 1) | (isJoined ? 1 : 0);
    },
  });
  terminal.unicode.activeVersion = 'graphemes';
}

function cellOf(cell: xterm.IBufferCell | undefined): PictureCell {
  if (!cell) return EMPTY;
  const isInverse = cell.isInverse() !== 0;
  const [front, back] = [colorOf(cell.isFgDefault(), cell.getFgColor()), colorOf(cell.isBgDefault(), cell.getBgColor())];
  return {
    text: cell.getChars() || (cell.getWidth() === 0 ? '' : ' '),
    columns: cell.getWidth(),
    foreground: isInverse ? (back ?? 'background') : front,
    background: isInverse ? (front ?? 'foreground') : back,
    bold: cell.isBold() !== 0,
    underline: cell.isUnderline() !== 0,
  };
}

const colorOf = (isDefault: boolean, color: number): number | undefined => (isDefault ? undefined : color);
