// A screen on a real terminal: modes, frame rate, signals and restoring the terminal at the end.
import { writeSync } from 'node:fs';
import { setAmbiguousWide, truncate } from '../text/display-width.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { renderDiff } from './diff-renderer.ts';
import type { Frame, Size } from './frame.ts';
import type { InputEvent } from './key.ts';
import { KeyParser } from './key-parser.ts';
import type { Screen, ScreenListener } from './screen.ts';
import { parseBackgroundReply, selectTheme, type Theme } from './theme.ts';

interface Streams {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
}

/** Time between two frames; shorter after a key, because the user waits for the result. */
const FRAME_INTERVAL_MS = 1_000 / 30;
const ECHO_INTERVAL_MS = 1_000 / 120;
/** Deadline for replies of the terminal to queries. */
const QUERY_TIMEOUT_MS = 120;
/** Limit for keys that were pressed before the screen is ready. */
const MAX_EARLY_INPUTS = 1_000;
const TITLE_COLUMNS = 80;
/** Deadlines for a slow terminal to take the last output: when the process dies, and after a normal end. */
const FINAL_WRITE_TIMEOUT_MS = 500;
const FORCE_CLOSE_AFTER_MS = 3_000;

/** Alternate screen, bracketed paste, focus events; mouse clicks and wheel, unless `ENGAWA_MOUSE=off`. */
const SCREEN_MODES = ['?1049', '?2004', '?1004'];
const MOUSE_MODES = ['?1000', '?1006'];
const modeCodes = (on: 'h' | 'l', modes: readonly string[]): string => modes.map((mode) => `\u001b[${mode}${on}`).join('');
/** No line wrapping, because terminals disagree about widths; normal cursor keys and keypad. */
const ENTER_CODES = '\u001b[?7l\u001b[?25l\u001b[?1l\u001b>';
/** Also ends a frame that was written in part. */
const LEAVE_CODES = '\u001b[?2026l\u001b]8;;\u001b\\\u001b[0m\u001b[?7h\u001b[?25h';
/** Saves the title. Enables the kitty protocol, so that keys such as shift+enter have their own codes. */
const ENTER_EXTRA_CODES = '\u001b[22;2t\u001b[>1u';
const LEAVE_EXTRA_CODES = '\u001b[<u\u001b[23;2t';
/**
 * Queries: the width of an ambiguous character, the background color, and the device attributes. Every terminal answers the last
 * one, so no timeout is needed for terminals that ignore the others.
 */
const TERMINAL_QUERIES = '\u001b[H…\u001b[?6n\u001b[H\u001b[K\u001b]11;?\u001b\\\u001b[c';
const END_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * Takes over the terminal until the screen is closed. It is also restored when the process ends or crashes; the error is then
 * printed to the normal screen. To suspend the program, send SIGTSTP to its process group: `process.kill(0, 'SIGTSTP')`.
 */
export async function openScreen(streams: Streams, listener: ScreenListener): Promise<Screen> {
  const screen = new TerminalScreen(streams, listener);
  await screen.ready;
  return screen;
}

class TerminalScreen implements Screen {
  readonly ready: Promise<void>;
  readonly #stdin: NodeJS.ReadStream;
  readonly #stdout: NodeJS.WriteStream;
  readonly #env: NodeJS.ProcessEnv;
  readonly #listener: ScreenListener;
  readonly #parser: KeyParser;
  #theme: Theme;
  #earlyInputs: InputEvent[] | undefined = [];
  #flushTimer: NodeJS.Timeout | undefined;
  #resolveReady: () => void = () => undefined;
  #size: Size;
  #render: ((size: Size) => Frame) | undefined;
  /** Whether the terminal may show an outdated frame. */
  #isDirty = false;
  /** What the terminal shows; undefined if unknown. */
  #lastFrame: Frame | undefined;
  #lastFrameAt = Number.NEGATIVE_INFINITY;
  #frameTimer: NodeJS.Timeout | undefined;
  /** Whether keys arrived since the last frame. */
  #hasNewInput = false;
  #frameImmediate: NodeJS.Immediate | undefined;
  /** Whether the terminal has not taken the last write yet. */
  #isWriting = false;
  /** Sent with the next write, as are the clipboard text and the bell. */
  #title: string | undefined;
  #clipboardText: string | undefined;
  #isBellPending = false;
  #isSuspended = false;
  /** Whether another program uses the terminal. */
  #isReleased = false;
  #isGone = false;
  #isClosed = false;

  constructor({ stdin, stdout, env }: Streams, listener: ScreenListener) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#env = env;
    this.#listener = listener;
    this.#theme = selectTheme(env);
    this.#size = terminalSize(stdout);
    this.#parser = new KeyParser({ onInput: (key) => this.#emitInput(key), onReply: (body) => this.#handleReply(body) });
    this.ready = new Promise((resolve) => {
      this.#resolveReady = resolve;
    });
    this.#listen();
    this.#enter();
    if (this.#isLinuxConsole) this.#markReady();
    else {
      this.#write(TERMINAL_QUERIES);
      setTimeout(() => this.#markReady(), QUERY_TIMEOUT_MS).unref();
    }
  }

  get size(): Size {
    return this.#size;
  }

  draw(render: (size: Size) => Frame): void {
    this.#render = render;
    this.#isDirty = true;
    this.#schedule();
  }

  redraw(): void {
    this.#lastFrame = undefined;
    this.#isDirty = this.#render !== undefined;
    if (this.#isDirty) this.#schedule();
  }

  setTitle(text: string): void {
    if (!this.#isLinuxConsole) this.#title = truncate(sanitizeLine(text), TITLE_COLUMNS);
    this.#schedule();
  }

  bell(): void {
    this.#isBellPending = true;
    this.#schedule();
  }

  copyToClipboard(text: string): boolean {
    if (this.#isLinuxConsole) return false;
    this.#clipboardText = text;
    this.#schedule();
    return true;
  }

  async releaseWhile(use: () => Promise<unknown>): Promise<void> {
    if (this.#isPaused) return;
    this.#leave();
    this.#isReleased = true;
    setReading(this.#stdin, false);
    try {
      await this.#waitForWrites();
      await use();
    } finally {
      this.#reacquire();
    }
  }

  close(): void {
    this.#close(false);
  }

  /** When the process is dying, only synchronous writes are possible. */
  #close(isDying: boolean): void {
    if (this.#isClosed) return;
    this.#leave(isDying);
    this.#isClosed = true;
    clearTimeout(this.#frameTimer);
    clearImmediate(this.#frameImmediate);
    clearTimeout(this.#flushTimer);
    this.#stopListening();
    this.#markReady();
    // A stopped terminal never takes its output, which would prevent the process from ending.
    if (this.#isWriting) setTimeout(() => this.#isWriting && handleOf(this.#stdout)?.close?.(), FORCE_CLOSE_AFTER_MS);
  }

  readonly #onProcessExit = () => this.#close(true);
  readonly #onData = (bytes: Buffer) => {
    clearTimeout(this.#flushTimer);
    this.#expediteFrame();
    this.#parser.push(bytes);
    const { flushDelayMs } = this.#parser;
    if (flushDelayMs !== undefined) this.#flushTimer = setTimeout(() => this.#parser.flush(), flushDelayMs);
  };
  readonly #onResize = () => {
    this.#size = terminalSize(this.#stdout);
    this.#listener.onResize(this.#size);
    this.redraw();
  };
  readonly #onTerminalClosed = (why?: unknown) => {
    // Ctrl+C is for the program that uses the terminal now.
    if (this.#isReleased && why === 'SIGINT') return;
    if (this.#isGone || this.#isClosed) return;
    this.#isGone = true;
    this.#listener.onClosed();
  };
  readonly #onStop = () => {
    if (!this.#isReleased) this.#leave();
    this.#isSuspended = !this.#isReleased;
    process.kill(process.pid, 'SIGSTOP');
  };
  readonly #onContinue = () => {
    if (this.#isReleased) return;
    // Not suspended by this program: SIGSTOP may have left the terminal in any state.
    if (!this.#isSuspended) this.#leave();
    this.#isSuspended = false;
    this.#enter();
    this.#onResize();
  };

  #listen(): void {
    this.#stdin
      .on('data', this.#onData)
      .on('end', this.#onTerminalClosed)
      .on('close', this.#onTerminalClosed)
      .on('error', this.#onTerminalClosed);
    // This listener stays: the last write may fail after the end.
    this.#stdout.on('error', this.#onTerminalClosed);
    this.#stdout.on('resize', this.#onResize);
    for (const signal of END_SIGNALS) process.on(signal, this.#onTerminalClosed);
    process.on('SIGTSTP', this.#onStop).on('SIGCONT', this.#onContinue);
    process.on('exit', this.#onProcessExit).on('uncaughtExceptionMonitor', this.#onProcessExit);
  }

  #stopListening(): void {
    this.#stdin.off('data', this.#onData).off('end', this.#onTerminalClosed).off('close', this.#onTerminalClosed).pause();
    this.#stdout.off('resize', this.#onResize);
    for (const signal of END_SIGNALS) process.off(signal, this.#onTerminalClosed);
    process.off('SIGTSTP', this.#onStop).off('SIGCONT', this.#onContinue);
    process.off('exit', this.#onProcessExit).off('uncaughtExceptionMonitor', this.#onProcessExit);
  }

  #enter(): void {
    setRawMode(this.#stdin, true);
    this.#stdin.resume();
    // In blocking mode a stopped terminal would block the whole process.
    setBlocking(this.#stdout, false);
    this.#lastFrame = undefined;
    this.#stdout.write(modeCodes('h', this.#modes) + ENTER_CODES + (this.#isLinuxConsole ? '' : ENTER_EXTRA_CODES));
  }

  #leave(isDying = false): void {
    if (this.#isSuspended || this.#isReleased) return;
    const codes = (this.#isLinuxConsole ? '' : LEAVE_EXTRA_CODES) + LEAVE_CODES + modeCodes('l', this.#modes.toReversed());
    if (this.#isWriting && isDying) writeUntilDeadline(this.#stdout, codes);
    else {
      // Blocking mode loses nothing when the process ends. But on a stopped terminal the write would hang.
      if (!this.#isWriting) setBlocking(this.#stdout, true);
      this.#stdout.write(codes);
    }
    setRawMode(this.#stdin, false);
  }

  /** The theme is known, or the query timed out: draws the first frame and delivers the keys pressed before. */
  #markReady(): void {
    const early = this.#earlyInputs;
    if (!early) return;
    this.#resolveReady();
    setImmediate(() => {
      this.#earlyInputs = undefined;
      for (const key of early) this.#emitInput(key);
    });
  }

  #emitInput(key: InputEvent): void {
    if (this.#isClosed) return;
    if (!this.#earlyInputs) this.#listener.onInput(key);
    else if (this.#earlyInputs.length < MAX_EARLY_INPUTS) this.#earlyInputs.push(key);
  }

  #handleReply(answer: string): void {
    const background = parseBackgroundReply(answer);
    const [, column] = /^\[\?1;(\d+)(?:;\d+)?R$/.exec(answer) ?? [];
    if (background) this.#theme = selectTheme(this.#env, background);
    if (column !== undefined) setAmbiguousWide(column === '3');
    if (background || column !== undefined) this.redraw();
    if (/^\[\?.*c$/.test(answer)) this.#markReady();
  }

  /** Brings a scheduled frame forward after a key. */
  #expediteFrame(): void {
    if (this.#hasNewInput) return;
    this.#hasNewInput = true;
    if (!this.#frameTimer) return;
    clearTimeout(this.#frameTimer);
    this.#frameTimer = undefined;
    this.#schedule();
  }

  /** Schedules a frame for the end of this turn or of the frame interval. The end of a write calls this again. */
  #schedule(): void {
    if (this.#frameTimer || this.#frameImmediate || this.#isWriting || this.#isPaused) return;
    const wait = this.#lastFrameAt + (this.#hasNewInput ? ECHO_INTERVAL_MS : FRAME_INTERVAL_MS) - performance.now();
    if (wait > 0) this.#frameTimer = setTimeout(() => this.#writeFrame(), wait);
    else this.#frameImmediate = setImmediate(() => this.#writeFrame());
  }

  /** The Linux console has no title and reports no background color. Some versions print sequences that they do not know. */
  get #isLinuxConsole(): boolean {
    return this.#env.TERM === 'linux';
  }

  get #modes(): string[] {
    return this.#env.ENGAWA_MOUSE === 'off' ? SCREEN_MODES : [...SCREEN_MODES, ...MOUSE_MODES];
  }

  get #isPaused(): boolean {
    return this.#isClosed || this.#isGone || this.#isSuspended || this.#isReleased;
  }

  #writeFrame(): void {
    this.#frameTimer = undefined;
    this.#frameImmediate = undefined;
    if (this.#isPaused || this.#isWriting) return;
    const codes = this.#takePendingCodes() + (this.#isDirty && this.#render ? this.#renderFrame(this.#render(this.#size)) : '');
    this.#lastFrameAt = performance.now();
    this.#hasNewInput = false;
    if (codes !== '') this.#write(codes);
  }

  #takePendingCodes(): string {
    const title = this.#title === undefined ? '' : `\u001b]2;${this.#title}\u001b\\`;
    const clipboard = this.#clipboardText === undefined ? '' : `\u001b]52;c;${Buffer.from(this.#clipboardText).toString('base64')}\u001b\\`;
    const codes = title + clipboard + (this.#isBellPending ? '\u0007' : '');
    this.#title = undefined;
    this.#clipboardText = undefined;
    this.#isBellPending = false;
    return codes;
  }

  #renderFrame(frame: Frame): string {
    this.#isDirty = false;
    const codes = renderDiff(this.#lastFrame, frame, { size: this.#size, theme: this.#theme });
    this.#lastFrame = frame;
    return codes;
  }

  #reacquire(): void {
    this.#isReleased = false;
    if (this.#isPaused) return;
    setReading(this.#stdin, true);
    this.#enter();
    this.#onResize();
  }

  /** Resolves when the terminal has taken all output. */
  async #waitForWrites(): Promise<void> {
    await new Promise<void>((resolve) => this.#stdout.write('', () => resolve()));
  }

  #write(codes: string): void {
    this.#isWriting = true;
    this.#stdout.write(codes, () => {
      this.#isWriting = false;
      if (this.#isDirty || this.#title !== undefined || this.#clipboardText !== undefined || this.#isBellPending) this.#schedule();
    });
  }
}

/** A terminal that reports no size is assumed to have 80 columns and 24 rows. */
const terminalSize = ({ columns, rows }: NodeJS.WriteStream): Size => ({ columns: columns || 80, rows: rows || 24 });

function setRawMode(stdin: NodeJS.ReadStream, isRaw: boolean): void {
  try {
    if (stdin.isTTY) stdin.setRawMode(isRaw);
  } catch {
    // The terminal is gone.
  }
}

/** A paused stream still reads one more chunk, which would take the first keys from another program. */
function setReading(stdin: NodeJS.ReadStream, isReading: boolean): void {
  const { _handle: handle } = stdin as unknown as { _handle?: { readStart?: () => unknown; readStop?: () => unknown } | null };
  if (isReading) handle?.readStart?.();
  else handle?.readStop?.();
}

function setBlocking(stdout: NodeJS.WriteStream, isBlocking: boolean): void {
  handleOf(stdout)?.setBlocking?.(isBlocking);
}

/** Node uses terminals in blocking mode, never closes them, and has no public API to change that. */
const handleOf = (stdout: NodeJS.WriteStream) =>
  (stdout as unknown as { _handle?: { setBlocking?: (isBlocking: boolean) => unknown; close?: () => void } | null })._handle;

/** Writes as much as the terminal takes before the deadline: a stopped terminal must not prevent the process from ending. */
function writeUntilDeadline(stdout: NodeJS.WriteStream & { fd?: number }, text: string): void {
  const deadline = performance.now() + FINAL_WRITE_TIMEOUT_MS;
  for (let rest = Buffer.from(text); rest.length > 0 && performance.now() < deadline; ) {
    try {
      rest = rest.subarray(writeSync(stdout.fd ?? 1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
