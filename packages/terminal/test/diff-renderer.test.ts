// Tests of the diff renderer on a terminal model, and of the theme colors.

import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderDiff } from '#screen/diff-renderer.js';
import type { Frame, Size } from '#screen/frame.js';
import { parseBackgroundReply, selectTheme } from '#screen/theme.js';
import { setAmbiguousWide } from '#text/display-width.js';
import { sanitizeLine } from '#text/sanitize.js';
import type { Color, Span } from '#text/styled-span.js';
import { openTerminalModel, rowsOf, type WidthMode } from './helpers/terminal-model.ts';

const theme = selectTheme({ TERM: 'xterm-256color' });
const UNWRAPPED = '\u001b[?7l';

const inks: (Color | undefined)[] = [undefined, 'muted', 'accent', 'good', 'warning', 'bad', 'mention', 'author3', 'author12'];
const texts = ['a', 'b', ' ', 'cd', '縁', '側', '👍🏿', '👨‍👩‍👧‍👦', '❤️', '🇯🇵', 'é', 'e\u0301', 'か\u3099', 'क्षि', '…', '─'];
const span: fc.Arbitrary<Span> = fc.record({
  text: fc.array(fc.constantFrom(...texts), { maxLength: 6 }).map((parts) => sanitizeLine(parts.join(''))),
  color: fc.constantFrom(...inks),
  background: fc.constantFrom(undefined, 'bar', 'selected', 'mention'),
  bold: fc.boolean(),
  underline: fc.boolean(),
  link: fc.constantFrom(undefined, 'https://a.b/', 'https://a.b/c;d'),
});
const frame: fc.Arbitrary<Frame> = fc.record({
  rows: fc.array(fc.array(span, { maxLength: 3 }), { maxLength: 4 }),
  cursor: fc.option(fc.record({ column: fc.nat(12), row: fc.nat(5) }), { nil: undefined }),
});
const size: fc.Arbitrary<Size> = fc.record({ columns: fc.integer({ min: 1, max: 12 }), rows: fc.integer({ min: 1, max: 4 }) });

async function cellsAfter(
  frames: readonly Frame[],
  of: Size,
  { counting: widthMode, isWhole = false }: { counting?: WidthMode; isWhole?: boolean } = {},
) {
  const terminal = openTerminalModel({ ...of, widthMode });
  setAmbiguousWide(widthMode === 'ambiguous as wide');
  const write = (data: string) => new Promise<void>((resolve) => terminal.write(data, resolve));
  await write(UNWRAPPED);
  let shown: Frame | undefined;
  for (const next of frames) {
    await write(renderDiff(isWhole ? undefined : shown, next, { size: of, theme }));
    shown = next;
  }
  const { cursorX: column, cursorY: row } = terminal.buffer.active;
  const cells = rowsOf(terminal);
  terminal.dispose();
  return { cells, cursor: shown?.cursor && { column, row } };
}

test.each<WidthMode>(['graphemes', 'parts', 'ambiguous as wide'])(
  'a partial update leads to the same screen as a full one, on a terminal that counts %s',
  async (counting) => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 2, maxLength: 6 }), size, async (frames, of) => {
        const changed = await cellsAfter(frames, of, { counting });
        expect(changed).toEqual(await cellsAfter(frames.slice(-1), of, { counting, isWhole: true }));
      }),
      { seed, numRuns: 400 },
    );
  },
);

test('every character is in its column and style, and the cursor is at its position', async () => {
  const rows: Span[][] = [
    [{ text: 'a縁', color: 'good' }, { text: 'x', bold: true }, { text: '👍🏿!' }],
    [{ text: '', background: 'bar' }],
    [{ text: '縁側縁側' }],
  ];
  const { cells, cursor } = await cellsAfter([{ rows, cursor: { row: 2, column: 4 } }], { columns: 7, rows: 3 });
  expect(cells[0]?.map(({ text, columns }) => `${text}/${columns}`)).toEqual(['a/1', '縁/2', '/0', 'x/1', '👍🏿/2', '/0', '!/1']);
  expect(cells[0]?.[1]).toMatchObject({ foreground: 114, bold: false });
  expect(cells[0]?.[3]).toMatchObject({ foreground: undefined, bold: true });
  expect(cells[2]?.map(({ text }) => text).join('')).toBe('縁側縁…');
  expect(cursor).toEqual({ row: 2, column: 4 });
});

test('cut text never shows half a character', async () => {
  for (let columns = 1; columns < 9; columns += 1) {
    const { cells } = await cellsAfter([{ rows: [[{ text: '縁側' }, { text: '縁側' }]] }], { columns, rows: 1 });
    const shown = cells[0]?.map(({ text }) => text).join('');
    expect(shown?.trimEnd()).toBe(columns < 8 ? `${'縁側縁側'.slice(0, (columns - 1) / 2)}…` : '縁側縁側');
  }
});

test('an unchanged frame writes nothing, and a small change writes little', () => {
  const of = { size: { columns: 80, rows: 24 }, theme };
  const rows = (middle: string) => Array.from({ length: 24 }, (_, at) => [{ text: `row ${at} ${at === 9 ? middle : ''} end` }]);
  expect(renderDiff({ rows: rows('a') }, { rows: rows('a') }, of)).toBe('');
  const code = renderDiff({ rows: rows('縁') }, { rows: rows('側') }, of);
  expect(code).toContain('\u001b[10;7H側');
  expect(code).not.toContain('row');
  const cursor = { column: 1, row: 1 };
  expect(renderDiff({ rows: [] }, { rows: [], cursor }, of)).toBe('\u001b[2;2H\u001b[?25h');
});

test('unsafe text does no harm, and an invalid link is left out', () => {
  const rows: Span[][] = [[{ text: 'a\u001b]0;x\u0007é\u009b2J', link: 'https://a.b/\u0007\u001b[2J' }]];
  const code = renderDiff({ rows: [] }, { rows }, { size: { columns: 80, rows: 1 }, theme });
  expect(code).toContain('a');
  expect(code).not.toMatch(/\u0007|\u009b|\u001b\]/);
});

/** Contrast of two of the 256 colors, by WCAG. */
function contrast(one: readonly number[], other: readonly number[]): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

const luminance = (parts: readonly number[]): number => {
  const [red = 0, green = 0, blue = 0] = parts.map((part) => (part <= 10 ? part / 3_294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

const levels = [0, 95, 135, 175, 215, 255];
function rgbOf(color: number): number[] {
  if (color >= 232) return Array<number>(3).fill(8 + 10 * (color - 232));
  return [Math.floor((color - 16) / 36), Math.floor((color - 16) / 6) % 6, (color - 16) % 6].map((level) => levels[level]!);
}
const hexOf = (hex: string): number[] => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
const colorIn = (sgr: string, kind: 38 | 48): number => Number(new RegExp(`\\b${kind};5;(\\d+)`).exec(sgr)?.[1]);

test.each([
  ['dark', ['000000', '1e1e1e', '282c34', '002b36', '282a36', '2e3440']],
  ['light', ['ffffff', 'fdf6e3', 'fafafa', 'eeeeee']],
] as const)('on a %s background all text has enough contrast, and author colors differ', (background, usual) => {
  const { sgr } = selectTheme({ TERM: 'xterm-256color' }, background);
  const authors = Array.from({ length: 12 }, (_, at): Color => `author${at}`);
  expect(new Set(authors.map((color) => sgr({ color }))).size).toBe(12);
  for (const ink of [...authors, 'muted', 'accent', 'good', 'warning', 'bad', 'mention'] satisfies Color[]) {
    const color = rgbOf(colorIn(sgr({ color: ink }), 38));
    for (const each of usual) expect(contrast(color, hexOf(each))).toBeGreaterThanOrEqual(4.5);
    for (const on of ['bar', 'selected', 'mention'] as const)
      expect(contrast(color, rgbOf(colorIn(sgr({ color: ink, background: on }), 48)))).toBeGreaterThanOrEqual(4.5);
  }
});

test('a terminal with fewer colors gets those, and NO_COLOR gets none', () => {
  expect(selectTheme({ TERM: 'linux' }).sgr({ color: 'author0' })).toBe('96');
  expect(selectTheme({ TERM: 'linux' }, 'light').sgr({ color: 'bad', bold: true })).toBe('1;31');
  expect(selectTheme({ TERM: 'xterm', NO_COLOR: '1' }).sgr({ color: 'author4', underline: true, background: 'bar' })).toBe('4;7');
  expect(selectTheme({ TERM: 'dumb' }).sgr({ color: 'muted' })).toBe('');
  expect(selectTheme({ TERM: 'xterm', NO_COLOR: '1', ENGAWA_THEME: 'dark' }).sgr({ color: 'muted' })).toBe('38;5;248');
});

test.each([
  ['11;rgb:ffff/ffff/ffff', 'light'],
  ['11;rgb:1e1e/1e1e/1e1e', 'dark'],
  ['11;rgb:f/f/e', 'light'],
  ['11;rgba:0000/2b2b/3636/ffff', 'dark'],
  ['10;rgb:0/0/0', undefined],
  ['11;red', undefined],
])('the background reply %s means %s', (answer, background) => expect(parseBackgroundReply(answer)).toBe(background));
