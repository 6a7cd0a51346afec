// Runs a program on a pseudo-terminal and models its screen.

import { until } from '@engawa/testkit/wait-for';
import { spawn } from '@lydell/node-pty';
import type xterm from '@xterm/headless';
import { onTestFinished } from 'vitest';
import type { ScreenPosition, Size } from '#screen/frame.js';
import { emptyWorkingFolder } from './current-folder.ts';
import { type Picture, type PictureCell, renderSvg } from './svg.ts';
import { EMPTY, openTerminalModel, rowsOf, type WidthMode } from './terminal-model.ts';

export interface PtyOptions extends Partial<Size> {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The reply to a query of the background color, such as `rgb:ffff/ffff/ffff`; no reply if undefined. */
  background?: string;
  widthMode?: WidthMode;
}

/** Modes that the program has enabled. */
interface TerminalModes {
  alternateScreen: boolean;
  bracketedPaste: boolean;
  mouse: boolean;
  focus: boolean;
  wraps: boolean;
  cursorVisible: boolean;
}

export interface Pty {
  readonly pid: number;
  type: (text: string) => void;
  /** Keys by name: `enter`, `left`, `ctrl+c`, `alt+b`, `shift+tab`, `f1`. */
  press: (...keys: string[]) => void;
  /** As a terminal does; bracketed if the program has enabled that. */
  paste: (text: string) => void;
  click: (at: ScreenPosition) => void;
  wheel: (direction: 'up' | 'down', at: ScreenPosition) => void;
  resize: (size: Size) => void;
  /** The rows from the top, without trailing spaces. */
  screen: () => string[];
  cell: (at: ScreenPosition) => PictureCell;
  cursor: () => ScreenPosition;
  modes: () => TerminalModes;
  title: () => string;
  /** Targets of all links so far. */
  links: () => string[];
  /** Bytes that the program has written. */
  bytesWritten: () => number;
  /** All output so far, unprocessed. */
  output: () => string;
  bells: () => number;
  /** The last text that was copied. */
  clipboard: () => string;
  /** Resolves when the screen shows the text; after the deadline it fails with the screen content. */
  waitForText: (wanted: string | RegExp, milliseconds?: number) => Promise<void>;
  waitForNoText: (unwanted: string | RegExp, milliseconds?: number) => Promise<void>;
  /** Resolves when the program has ended. */
  exited: Promise<{ code: number; signal: number | undefined }>;
  /** The terminal stops reading until `resumeReading`. */
  pauseReading: () => void;
  resumeReading: () => void;
  /** Sends a signal to the program; without one it closes the terminal. */
  kill: (signal?: NodeJS.Signals) => void;
  picture: (title?: string) => Picture;
}

/** Opens a pseudo-terminal that ends with the test. */
export function openPty(command: string, args: readonly string[], options: PtyOptions = {}): Pty {
  const { columns = 80, rows = 24, cwd = emptyWorkingFolder() } = options;
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C.UTF-8', TERM: 'xterm-256color', ...options.env };
  const child = spawn(command, [...args], { name: env.TERM, cols: columns, rows, cwd, env });
  const terminal = openTerminalModel({ columns, rows, widthMode: options.widthMode });
  const observed = {
    title: '',
    links: [] as string[],
    written: 0,
    output: '',
    bells: 0,
    clipboard: '',
    isCursorVisible: true,
    isEnded: false,
  };
  listen(terminal, observed, options.background, (answer) => child.write(answer));
  child.onData((data) => {
    observed.written += Buffer.byteLength(data);
    observed.output += data;
    terminal.write(data);
  });
  terminal.onData((answer) => child.write(answer));
  const exited = new Promise<{ code: number; signal: number | undefined }>((resolve) => {
    child.onExit(({ exitCode, signal }) => {
      observed.isEnded = true;
      // The last output may not have reached the model yet.
      setTimeout(() => terminal.write('', () => resolve({ code: exitCode, signal })), 20);
    });
  });
  onTestFinished(() => {
    if (!observed.isEnded) child.kill('SIGKILL');
    terminal.dispose();
  });
  const screen = () => rowsOf(terminal).map((row) => rowText(row).trimEnd());
  const has = (wanted: string | RegExp) => {
    const text = screen().join('\n');
    return typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text);
  };
  const failWithScreen = (error: Error) => {
    throw new Error(`${error.message}; it shows:\n${screen().join('\n')}`);
  };
  const send = (text: string) => child.write(text);
  return {
    pid: child.pid,
    type: send,
    press: (...keys) => send(keys.map(keyBytes).join('')),
    paste: (text) => send(terminal.modes.bracketedPasteMode ? `\u001b[200~${text}\u001b[201~` : text),
    click: ({ column, row }) => send(`\u001b[<0;${column + 1};${row + 1}M\u001b[<0;${column + 1};${row + 1}m`),
    wheel: (direction, { column, row }) => send(`\u001b[<${direction === 'up' ? 64 : 65};${column + 1};${row + 1}M`),
    resize(size) {
      terminal.resize(size.columns, size.rows);
      child.resize(size.columns, size.rows);
    },
    screen,
    cell: ({ column, row }) => rowsOf(terminal)[row]?.[column] ?? EMPTY,
    cursor: () => ({ column: terminal.buffer.active.cursorX, row: terminal.buffer.active.cursorY }),
    modes: () => ({
      alternateScreen: terminal.buffer.active.type === 'alternate',
      bracketedPaste: terminal.modes.bracketedPasteMode,
      mouse: terminal.modes.mouseTrackingMode !== 'none',
      focus: terminal.modes.sendFocusMode,
      wraps: terminal.modes.wraparoundMode,
      cursorVisible: observed.isCursorVisible,
    }),
    title: () => observed.title,
    links: () => [...observed.links],
    bytesWritten: () => observed.written,
    output: () => observed.output,
    bells: () => observed.bells,
    clipboard: () => observed.clipboard,
    waitForText: (wanted, milliseconds) => until(() => has(wanted), `the screen shows ${wanted}`, milliseconds).catch(failWithScreen),
    waitForNoText: (unwanted, milliseconds) =>
      until(() => !has(unwanted), `the screen hides ${unwanted}`, milliseconds).catch(failWithScreen),
    exited,
    pauseReading: () => child.pause(),
    resumeReading: () => child.resume(),
    kill(signal) {
      if (signal) process.kill(child.pid, signal);
      else (child as unknown as { destroy: () => void }).destroy();
    },
    picture: (title = observed.title) => ({
      title,
      columns: terminal.cols,
      rows: rowsOf(terminal),
      cursor: observed.isCursorVisible ? { column: terminal.buffer.active.cursorX, row: terminal.buffer.active.cursorY } : undefined,
    }),
  };
}

/** The screen as SVG. */
export const screenshot = (pty: Pty, look: { title?: string; background?: 'dark' | 'light' } = {}): string =>
  renderSvg(pty.picture(look.title), look.background);

function listen(
  terminal: xterm.Terminal,
  observed: { title: string; links: string[]; bells: number; clipboard: string; isCursorVisible: boolean },
  background: string | undefined,
  answer: (text: string) => void,
): void {
  terminal.onTitleChange((title) => {
    observed.title = title;
  });
  terminal.onBell(() => {
    observed.bells += 1;
  });
  for (const final of ['h', 'l'])
    terminal.parser.registerCsiHandler({ prefix: '?', final }, (parameters) => {
      if (parameters.includes(25)) observed.isCursorVisible = final === 'h';
      return false;
    });
  terminal.parser.registerOscHandler(8, (data) => {
    const target = data.slice(data.indexOf(';') + 1);
    if (target !== '') observed.links.push(target);
    return false;
  });
  terminal.parser.registerOscHandler(52, (data) => {
    observed.clipboard = Buffer.from(data.replace(/^c;/, ''), 'base64').toString();
    return true;
  });
  terminal.parser.registerOscHandler(11, (data) => {
    if (data === '?' && background) answer(`\u001b]11;${background}\u001b\\`);
    return true;
  });
}

const rowText = (row: readonly PictureCell[]): string => row.map(({ text }) => text).join('');

const KEY_SEQUENCES: Record<string, string> = {
  enter: '\r',
  tab: '\t',
  'shift+tab': '\u001b[Z',
  escape: '\u001b',
  backspace: '\u007f',
  space: ' ',
  delete: '\u001b[3~',
  insert: '\u001b[2~',
  up: '\u001b[A',
  down: '\u001b[B',
  right: '\u001b[C',
  left: '\u001b[D',
  home: '\u001b[H',
  end: '\u001b[F',
  pageup: '\u001b[5~',
  pagedown: '\u001b[6~',
  'ctrl+_': '\u001f',
  'ctrl+space': '\u0000',
  'shift+enter': '\u001b[13;2u',
  f1: '\u001bOP',
  f2: '\u001bOQ',
  f3: '\u001bOR',
  f4: '\u001bOS',
};

/** The bytes that xterm sends for a key. */
function keyBytes(key: string): string {
  const named = KEY_SEQUENCES[key];
  if (named !== undefined) return named;
  const [, modifiers = '', name = ''] = /^((?:(?:ctrl|alt|shift)\+)*)(.+)$/.exec(key) ?? [];
  const sequence = KEY_SEQUENCES[name];
  const modifier = 1 + (modifiers.includes('shift') ? 1 : 0) + (modifiers.includes('alt') ? 2 : 0) + (modifiers.includes('ctrl') ? 4 : 0);
  if (sequence?.startsWith('\u001b[')) return sequence.replace(/\[(\d*)/, (_, number: string) => `[${number || 1};${modifier}`);
  const plain = modifiers.includes('ctrl') && name.length === 1 ? String.fromCharCode(name.charCodeAt(0) & 0x1f) : (sequence ?? name);
  return modifiers.includes('alt') ? `\u001b${plain}` : plain;
}
