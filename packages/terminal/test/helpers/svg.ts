// Renders a terminal screen as SVG, for the pictures of the docs.
import type { ScreenPosition } from '#screen/frame.js';

/** One of the 256 colors, or the default colors of the terminal. */
type Color = number | 'foreground' | 'background';

export interface PictureCell {
  /** Empty for the second column of a wide character. */
  text: string;
  columns: number;
  foreground: Color | undefined;
  background: Color | undefined;
  bold: boolean;
  underline: boolean;
}

export interface Picture {
  title: string;
  columns: number;
  rows: readonly (readonly PictureCell[])[];
  cursor: ScreenPosition | undefined;
}

const WIDTH = 8.4;
const HEIGHT = 18;
const BASELINE = 13.5;
const FONT = 14;
const MARGIN = 12;
const BAR = 30;

const SVG_THEMES = {
  dark: { foreground: '#d8dee9', background: '#1e1e1e', bar: '#2d2d2d', edge: '#3c3c3c', title: '#a8a8a8' },
  light: { foreground: '#2e3440', background: '#fdfdfb', bar: '#ececec', edge: '#cfcfcf', title: '#5c5c5c' },
};

const SIXTEEN =
  '#000000 #cd3131 #0dbc79 #b58900 #2472c8 #bc3fbc #11a8cd #d0d0d0 #666666 #f14c4c #23d18b #f5f543 #3b8eea #d670d6 #29b8db #ffffff'.split(
    ' ',
  );
const LEVELS = [0, 95, 135, 175, 215, 255];

/** Draws the screen in a window frame with its title. */
export function renderSvg({ title, columns, rows, cursor }: Picture, background: keyof typeof SVG_THEMES = 'dark'): string {
  const theme = SVG_THEMES[background];
  const width = round(columns * WIDTH + 2 * MARGIN);
  const height = rows.length * HEIGHT + BAR + 2 * MARGIN;
  const screen = rows.map((row, at) => renderBackgrounds(row, at, theme) + renderTexts(row, at, theme)).join('');
  const caret = cursor === undefined ? '' : rect(cursor.column * WIDTH, cursor.row * HEIGHT, 2, { height: HEIGHT, fill: theme.foreground });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="${theme.background}" stroke="${theme.edge}"/>`,
    `<path d="M1 ${BAR}V9a8 8 0 0 1 8-8H${width - 9}a8 8 0 0 1 8 8V${BAR}z" fill="${theme.bar}"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map((color, at) => `<circle cx="${18 + at * 18}" cy="${BAR / 2}" r="5.5" fill="${color}"/>`),
    `<text x="${round(width / 2)}" y="${BAR / 2 + 4.5}" text-anchor="middle" font-family="system-ui,sans-serif" font-size="12.5" fill="${theme.title}">${escaped(title)}</text>`,
    `<g transform="translate(${MARGIN} ${BAR + MARGIN})" font-family="ui-monospace,'Cascadia Mono',Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK JP','Noto Color Emoji',monospace" font-size="${FONT}" xml:space="preserve">`,
    `${screen}${caret}</g>`,
    '</svg>\n',
  ].join('\n');
}

type SvgTheme = (typeof SVG_THEMES)['dark'];

/** Runs of cells with a background. */
function renderBackgrounds(row: readonly PictureCell[], at: number, theme: SvgTheme): string {
  return groupRuns(row, ({ background }) => background)
    .filter(({ cells }) => cells[0]?.background !== undefined)
    .map(({ from, cells }) => {
      const fill = colorOf(cells[0]?.background, theme.background, theme);
      return rect(from * WIDTH, at * HEIGHT, cells.length * WIDTH, { height: HEIGHT, fill });
    })
    .join('');
}

/** ASCII in runs that are stretched to their columns; every other character separately. */
function renderTexts(row: readonly PictureCell[], at: number, theme: SvgTheme): string {
  return groupRuns(row, (cell) => `${cell.foreground}/${cell.bold}/${cell.underline}`)
    .flatMap((run) => splitRun(run))
    .filter(({ text }) => text.trim() !== '')
    .map(({ from, columns, text, cell }) => {
      const fill = colorOf(cell.foreground, theme.foreground, theme);
      const style = (cell.bold ? ' font-weight="bold"' : '') + (cell.underline ? ' text-decoration="underline"' : '');
      const length = round(columns * WIDTH);
      return `<text x="${round(from * WIDTH)}" y="${round(at * HEIGHT + BASELINE)}" textLength="${length}" lengthAdjust="spacingAndGlyphs" fill="${fill}"${style}>${escaped(text)}</text>`;
    })
    .join('');
}

interface Run {
  from: number;
  cells: PictureCell[];
}

function groupRuns(row: readonly PictureCell[], keyOf: (cell: PictureCell) => unknown): Run[] {
  const all: Run[] = [];
  for (const [from, cell] of row.entries()) {
    const last = all.at(-1);
    // The second column of a wide character belongs to its run.
    if (last && (cell.columns === 0 || keyOf(last.cells[0] as PictureCell) === keyOf(cell))) last.cells.push(cell);
    else all.push({ from, cells: [cell] });
  }
  return all;
}

interface TextPiece {
  from: number;
  columns: number;
  text: string;
  cell: PictureCell;
}

function splitRun({ from, cells }: Run): TextPiece[] {
  const pieces: TextPiece[] = [];
  for (const [at, cell] of cells.entries()) {
    if (cell.columns === 0) continue;
    const last = pieces.at(-1);
    if (last && isAscii(last.text) && isAscii(cell.text)) {
      last.text += cell.text;
      last.columns += cell.columns;
    } else pieces.push({ from: from + at, columns: cell.columns, text: cell.text, cell });
  }
  return pieces.map(withoutOuterSpaces);
}

function withoutOuterSpaces({ from, columns, text, cell }: TextPiece): TextPiece {
  const begun = text.trimStart();
  const shown = begun.trimEnd();
  return { from: from + text.length - begun.length, columns: columns - (text.length - shown.length), text: shown, cell };
}

const isAscii = (text: string): boolean => /^[ -~]+$/.test(text);

function colorOf(color: Color | undefined, own: string, theme: SvgTheme): string {
  if (color === undefined) return own;
  if (typeof color === 'string') return theme[color];
  if (color < 16) return SIXTEEN[color] as string;
  if (color >= 232) return `#${hex(8 + 10 * (color - 232)).repeat(3)}`;
  const place = color - 16;
  return `#${[Math.floor(place / 36), Math.floor(place / 6) % 6, place % 6].map((level) => hex(LEVELS[level] as number)).join('')}`;
}

const hex = (value: number): string => value.toString(16).padStart(2, '0');

const rect = (x: number, y: number, width: number, { height, fill }: { height: number; fill: string }): string =>
  `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${height}" fill="${fill}"/>`;

const round = (value: number): number => Math.round(value * 100) / 100;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
