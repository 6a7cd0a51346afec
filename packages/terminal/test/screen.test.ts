// Tests of the screen on a real pseudo-terminal.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createTempFolder } from '@engawa/testkit/folders';
import { until, withTimeout } from '@engawa/testkit/wait-for';
import { expect, test } from 'vitest';
import { openPty, type Pty, type PtyOptions, screenshot } from './helpers/pty.ts';

const PROGRAM = fileURLToPath(new URL('helpers/screen-program.js', import.meta.url));
const AS_BEFORE = { alternateScreen: false, bracketedPaste: false, mouse: false, focus: false, wraps: true, cursorVisible: true };
const TAKEN = { alternateScreen: true, bracketedPaste: true, mouse: true, focus: true, wraps: false, cursorVisible: true };

async function open(options: PtyOptions = {}, ...args: string[]): Promise<Pty> {
  const pty = openPty(process.execPath, [PROGRAM, ...args], { columns: 40, rows: 10, ...options });
  await pty.waitForText('ready');
  return pty;
}

const ended = async (pty: Pty) => withTimeout(pty.exited, 'the end');

test('the screen takes over the terminal and restores it', async () => {
  const pty = await open();
  expect(pty.modes()).toEqual(TAKEN);
  expect(pty.title()).toBe('縁側\ufffd]0;evil\ufffd');
  pty.press('ctrl+c');
  expect(await ended(pty)).toMatchObject({ code: 0 });
  expect(pty.modes()).toEqual(AS_BEFORE);
  expect(pty.screen().join('\n').trim()).toBe('left');
});

test.each([
  ['SIGTERM', (pty: Pty) => pty.kill('SIGTERM'), 7, 'left'],
  ['SIGINT', (pty: Pty) => pty.kill('SIGINT'), 7, 'left'],
  ['SIGHUP', (pty: Pty) => pty.kill('SIGHUP'), 7, 'left'],
  ['a crash', (pty: Pty) => pty.type('crash\r'), 1, 'Error: it crashed'],
  ['a rejection', (pty: Pty) => pty.type('reject\r'), 1, 'Error: it was rejected'],
  ['an exit', (pty: Pty) => pty.type('exit\r'), 3, ''],
])('after %s the terminal is restored and shows the reason', async (_, end, code, said) => {
  const pty = await open({ rows: 20, columns: 100 });
  end(pty);
  expect(await ended(pty)).toMatchObject({ code });
  expect(pty.modes()).toEqual(AS_BEFORE);
  expect(pty.screen().join('\n')).toContain(said);
  expect(pty.screen().join('\n')).not.toContain('ready');
});

test('a closed terminal ends the program', async () => {
  const pty = await open();
  pty.kill();
  await until(() => !isRunning(pty.pid), 'the program has ended');
});

test('keys are echoed at the cursor, in columns of wide characters', async () => {
  const pty = await open();
  pty.type('縁側 👨‍👩‍👧‍👦 か\u3099x');
  await pty.waitForText('> 縁側 👨‍👩‍👧‍👦 か\u3099x');
  expect(pty.cursor()).toEqual({ row: 1, column: 2 + 5 + 3 + 3 });
  expect(pty.cell({ row: 1, column: 7 })).toMatchObject({ text: '👨‍👩‍👧‍👦', columns: 2 });
  expect(pty.cell({ row: 1, column: 10 })).toMatchObject({ text: 'か\u3099', columns: 2 });
  expect(pty.cell({ row: 1, column: 12 })).toMatchObject({ text: 'x', columns: 1 });
  pty.press('left', 'left', 'backspace', 'backspace', 'home', 'right');
  await pty.waitForText(/^> 縁側 か\u3099x$/m);
  await until(() => pty.cursor().column === 4, 'the cursor is behind the first character');
});

test('on a terminal that counts the parts of an emoji the following text is in its column', async () => {
  const pty = await open({ widthMode: 'parts' });
  pty.type('a👨‍👩‍👧‍👦b❤️c');
  await until(() => pty.cell({ row: 1, column: 8 }).text === 'c', 'the last character is in its column');
  expect(pty.cell({ row: 1, column: 2 }).text).toBe('a');
  expect(pty.cell({ row: 1, column: 5 }).text).toBe('b');
  expect(pty.cursor()).toEqual({ row: 1, column: 9 });
  pty.press('backspace', 'backspace', 'backspace', 'backspace');
  await pty.waitForText(/^> a$/m);
});

test('a terminal with wide ambiguous characters is detected, and each character is in its column', async () => {
  const pty = await open({ widthMode: 'ambiguous as wide' });
  pty.type('→é…b');
  await until(() => pty.cell({ row: 1, column: 7 }).text === 'b', 'the last character is in its column');
  expect(pty.screen()[1]).toBe('> →é.b');
  expect(pty.cursor()).toEqual({ row: 1, column: 8 });
});

test('the screen follows the size of the window, down to one cell', async () => {
  const pty = await open();
  pty.type('ab縁側');
  await pty.waitForText('> ab縁側');
  pty.resize({ columns: 60, rows: 12 });
  await pty.waitForText('size 60x12');
  expect(pty.cell({ row: 0, column: 59 }).background).toBe(235);
  for (const [columns, rows] of [
    [3, 3],
    [2, 1],
    [1, 1],
  ] as const) {
    pty.resize({ columns, rows });
    const before = pty.bytesWritten();
    await until(() => pty.bytesWritten() > before, 'it is drawn');
  }
  pty.resize({ columns: 40, rows: 10 });
  await pty.waitForText('size 40x10');
  await pty.waitForText('> ab縁側');
  expect(pty.cursor()).toEqual({ row: 1, column: 8 });
});

test('clicks, the wheel, focus changes and pastes arrive', async () => {
  const pty = await open({ columns: 90 });
  pty.click({ column: 3, row: 2 });
  await pty.waitForText('{"kind":"mouse","action":"press","position":{"column":3,"row":2}}');
  pty.wheel('up', { column: 0, row: 0 });
  await pty.waitForText('"wheel-up"');
  pty.type('\u001b[O');
  await pty.waitForText('{"kind":"focus","isFocused":false}');
  pty.paste('one\r\u001btwo');
  await pty.waitForText('pasted 8');
  await pty.waitForText(/^> one\n> two$/m);
  pty.press('escape');
  await pty.waitForText('"escape"');
  pty.paste('縁'.repeat(400_000));
  pty.press('ctrl+u');
  // A mebibyte.
  await pty.waitForText('pasted 349525', 20_000);
});

test('ENGAWA_MOUSE=off leaves the mouse to the terminal', async () => {
  const pty = await open({ env: { ENGAWA_MOUSE: 'off' } });
  expect(pty.modes()).toEqual({ ...TAKEN, mouse: false });
});

test('links lead to the displayed address', async () => {
  const pty = await open();
  pty.type('https://example.com/縁\r');
  await pty.waitForText('said https://example.com/縁');
  expect(pty.links()).toContain('https://example.com/%E7%B8%81');
});

test('frames are limited to thirty a second, however many are requested', async () => {
  const pty = await open();
  pty.type('flood\r');
  await pty.waitForText('flooded with');
  const [, frames] = /flooded with (\d+)/.exec(pty.screen().join('\n')) ?? [];
  expect(Number(frames)).toBeLessThanOrEqual(45);
  expect(Number(frames)).toBeGreaterThan(5);
  pty.type('bell\r');
  await until(() => pty.bells() === 1, 'it rings');
});

test('unchanged content is not written again', async () => {
  const pty = await open({ columns: 200, rows: 50 });
  const before = pty.bytesWritten();
  pty.type('x');
  await pty.waitForText('> x');
  expect(pty.bytesWritten() - before).toBeLessThan(60);
});

test('a terminal that stops reading stops only the drawing', async () => {
  const pty = await open({ columns: 200, rows: 40 });
  pty.pauseReading();
  pty.type('wait\r');
  await until(() => !isRunning(pty.pid), 'the program has ended by itself');
  pty.resumeReading();
  // It drew until the terminal was full, and then stopped drawing.
  expect(await ended(pty)).toMatchObject({ code: 5 });
});

test('a signal ends a program whose terminal has stopped', async () => {
  const pty = await open({ columns: 200, rows: 40 });
  pty.type('draw on\r');
  await pty.waitForText('said draw on');
  pty.pauseReading();
  // Until the terminal is full.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  pty.kill('SIGTERM');
  await until(() => !isRunning(pty.pid), 'the program has ended');
  pty.resumeReading();
  expect(await ended(pty)).toMatchObject({ code: 7 });
});

test('a crash restores a terminal that lags behind', async () => {
  const mark = join(createTempFolder(), 'mark');
  const pty = await open({ columns: 200, rows: 40 }, mark);
  pty.pauseReading();
  pty.type('crash stopped\r');
  await until(() => existsSync(mark), 'it crashes');
  pty.resumeReading();
  expect(await ended(pty)).toMatchObject({ code: 1 });
  expect(pty.modes()).toEqual(AS_BEFORE);
});

test('the program can be suspended and resumed', async () => {
  const pty = await open();
  pty.type('abc');
  await pty.waitForText('> abc');
  pty.kill('SIGTSTP');
  await until(() => !pty.modes().alternateScreen, 'the terminal is given back');
  expect(pty.modes()).toEqual(AS_BEFORE);
  pty.kill('SIGCONT');
  await pty.waitForText('> abc');
  expect(pty.modes()).toEqual(TAKEN);
  pty.type('d');
  await pty.waitForText('> abcd');
});

test.each([
  ['a light background is found out', { background: 'rgb:ffff/ffff/ffff' }, 254],
  ['a dark one', { background: 'rgb:0000/0000/0000' }, 235],
  ['without an answer it is dark', {}, 235],
  ['the variable of rxvt says it', { env: { COLORFGBG: '0;15' } }, 254],
  ['what the terminal answers is newer', { env: { COLORFGBG: '0;15' }, background: 'rgb:0000/0000/0000' }, 235],
  ['the own variable says it', { env: { ENGAWA_THEME: 'light' }, background: 'rgb:0000/0000/0000' }, 254],
  ['16 colours have no own grounds', { env: { TERM: 'linux' } }, 'foreground'],
  ['NO_COLOR leaves only the two', { env: { NO_COLOR: '1' } }, 'foreground'],
])('%s', async (_, options, background) => {
  const pty = await open(options);
  expect(pty.cell({ row: 0, column: 0 }).background).toBe(background);
});

test('the SVG of a screen draws every character', async () => {
  const pty = await open();
  pty.type('<縁側> & 👍');
  await pty.waitForText('> <縁側> & 👍');
  const svg = screenshot(pty, { title: 'engawa' });
  for (const text of ['>縁</text>', '>側</text>', '>👍</text>', '&amp;', 'engawa']) expect(svg).toContain(text);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
