// A headless xterm.js that measures graphemes as modern terminals do.
import xterm from '@xterm/headless';
import stringWidth from 'string-width';
import type { Size } from '#screen/frame.js';
import { measureGraphemes } from '#text/display-width.js';
import type { PictureCell } from './svg.ts';

/** How widths are counted: by graphemes; by the parts of joined emoji; or with wide ambiguous characters. */
export type WidthMode = 'graphemes' | 'parts' | 'ambiguous as wide';

export function openTerminalModel({
  columns,
  rows,
  widthMode = 'graphemes',
}: Size & { widthMode?: WidthMode | undefined }): xterm.Terminal {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 });
  // xterm.js itself has only the character widths of an old Unicode version.
  if (widthMode !== 'parts') countGraphemes(terminal, widthMode === 'graphemes');
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

function countGraphemes(terminal: xterm.Terminal, ambiguousIsNarrow: boolean): void {
  const ids = new Map<string, number>();
  const texts = new Map<number, string>();
  const idOf = (text: string): number => {
    const id = ids.get(text) ?? ids.size + 1;
    ids.set(text, id);
    texts.set(id, text);
    return id;
  };
  const widthOf = (text: string) => Math.min(2, stringWidth(text, { ambiguousIsNarrow })) as 0 | 1 | 2;
  terminal.unicode.register({
    version: 'graphemes',
    wcwidth: (codePoint) => widthOf(String.fromCodePoint(codePoint)),
    charProperties(codePoint, preceding) {
      const character = String.fromCodePoint(codePoint);
      const before = texts.get(preceding >> 3);
      const isJoined = before !== undefined && measureGraphemes(before + character).length === 1;
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
