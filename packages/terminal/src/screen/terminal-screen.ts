import { writeSync } from 'node:fs';
import { fitted, takeAmbiguousAsWide } from '../text/columns.ts';
import { safeLine } from '../text/safe.ts';
import type { Frame, Size } from './frame.ts';
import type { Key } from './key.ts';
import { KeysParser } from './keys-parser.ts';
import { painted } from './painter.ts';
import type { Screen, ScreenListener } from './screen.ts';
import { backgroundOf, type Theme, themeOf } from './theme.ts';

interface Streams {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
}

/** Between two frames; and before one that shows what a key did, for which somebody waits. */
const FRAME_MS = 1_000 / 30;
const ECHO_MS = 1_000 / 120;
/** For what a terminal says of itself. */
const ANSWER_MS = 120;
/** Keys pressed before anybody could listen. */
const MOST_EARLY_KEYS = 1_000;
const TITLE_COLUMNS = 80;
/** For a terminal that is slow to take what is written last: of a process that dies, and of one that has been left. */
const LAST_WRITE_MS = 500;
const LEAVE_MS = 3_000;

/** Another screen than the shell's, marked pastes, focus; clicks and the wheel, which `ENGAWA_MOUSE=off` leaves to the terminal. */
const MODES = ['?1049', '?2004', '?1004'];
const MOUSE = ['?1000', '?1006'];
const switched = (on: 'h' | 'l', modes: readonly string[]): string => modes.map((mode) => `\u001b[${mode}${on}`).join('');
/** No wrapping, however wide it takes a character to be; plain cursor keys and keypad. */
const BEGIN = '\u001b[?7l\u001b[?25l\u001b[?1l\u001b>';
/** Also out of a frame that was written in part. */
const END = '\u001b[?2026l\u001b]8;;\u001b\\\u001b[0m\u001b[?7h\u001b[?25h';
/** The title is put aside; keys that have no code of their own, as shift+enter, get one from terminals that can (kitty protocol). */
const BEGIN_EXTRAS = '\u001b[22;2t\u001b[>1u';
const END_EXTRAS = '\u001b[<u\u001b[23;2t';
/**
 * How wide it takes an ambiguous character to be; its background; and what it is, which every terminal answers: so those that
 * do not know the others keep nobody waiting.
 */
const ASK = '\u001b[H…\u001b[?6n\u001b[H\u001b[K\u001b]11;?\u001b\\\u001b[c';
const END_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * Takes the terminal over, until it is closed: also when the process ends, or dies of an error, which is printed then as
 * without a screen. To put the program into the background send SIGTSTP to its group: `process.kill(0, 'SIGTSTP')`.
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
  readonly #parser: KeysParser;
  #theme: Theme;
  #earlyKeys: Key[] | undefined = [];
  #patience: NodeJS.Timeout | undefined;
  #isReady: () => void = () => undefined;
  #size: Size;
  #view: ((size: Size) => Frame) | undefined;
  /** Whether what is shown may differ from the view. */
  #isDue = false;
  /** What the terminal shows; nothing that we know of, when absent. */
  #shown: Frame | undefined;
  #shownAt = Number.NEGATIVE_INFINITY;
  #frameTimer: NodeJS.Timeout | undefined;
  /** Keys came since the last frame. */
  #isAwaited = false;
  #soon: NodeJS.Immediate | undefined;
  /** A write that the terminal has not taken yet. */
  #isWriting = false;
  /** Title, clipboard and bell, with the next write. */
  #title: string | undefined;
  #copied: string | undefined;
  #hasBell = false;
  #isSuspended = false;
  /** Another program has the terminal. */
  #isLent = false;
  #isGone = false;
  #isClosed = false;

  constructor({ stdin, stdout, env }: Streams, listener: ScreenListener) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#env = env;
    this.#listener = listener;
    this.#theme = themeOf(env);
    this.#size = sizeOf(stdout);
    this.#parser = new KeysParser({ key: (key) => this.#tellKey(key), answer: (body) => this.#hear(body) });
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    this.#listen();
    this.#enter();
    if (this.#isConsole) this.#start();
    else {
      this.#write(ASK);
      setTimeout(() => this.#start(), ANSWER_MS).unref();
    }
  }

  get size(): Size {
    return this.#size;
  }

  draw(view: (size: Size) => Frame): void {
    this.#view = view;
    this.#isDue = true;
    this.#schedule();
  }

  redraw(): void {
    this.#shown = undefined;
    this.#isDue = this.#view !== undefined;
    if (this.#isDue) this.#schedule();
  }

  title(text: string): void {
    if (!this.#isConsole) this.#title = fitted(safeLine(text), TITLE_COLUMNS);
    this.#schedule();
  }

  bell(): void {
    this.#hasBell = true;
    this.#schedule();
  }

  copy(text: string): boolean {
    if (this.#isConsole) return false;
    this.#copied = text;
    this.#schedule();
    return true;
  }

  async lend(use: () => Promise<unknown>): Promise<void> {
    if (this.#isSilent) return;
    this.#leave();
    this.#isLent = true;
    setReading(this.#stdin, false);
    try {
      await this.#written();
      await use();
    } finally {
      this.#takeBack();
    }
  }

  close(): void {
    this.#close(false);
  }

  /** Of a process that ends at once nothing is written that waits. */
  #close(isDying: boolean): void {
    if (this.#isClosed) return;
    this.#leave(isDying);
    this.#isClosed = true;
    clearTimeout(this.#frameTimer);
    clearImmediate(this.#soon);
    clearTimeout(this.#patience);
    this.#stopListening();
    this.#start();
    // What a terminal that has stopped does not take would keep the process from ending.
    if (this.#isWriting) setTimeout(() => this.#isWriting && handleOf(this.#stdout)?.close?.(), LEAVE_MS);
  }

  readonly #closeAtEnd = () => this.#close(true);
  readonly #onData = (bytes: Buffer) => {
    clearTimeout(this.#patience);
    this.#await();
    this.#parser.push(bytes);
    const { patience } = this.#parser;
    if (patience !== undefined) this.#patience = setTimeout(() => this.#parser.flush(), patience);
  };
  readonly #onResize = () => {
    this.#size = sizeOf(this.#stdout);
    this.#listener.resized(this.#size);
    this.redraw();
  };
  readonly #onGone = (why?: unknown) => {
    // Ctrl+C is for the program that has the terminal.
    if (this.#isLent && why === 'SIGINT') return;
    if (this.#isGone || this.#isClosed) return;
    this.#isGone = true;
    this.#listener.gone();
  };
  readonly #onStop = () => {
    if (!this.#isLent) this.#leave();
    this.#isSuspended = !this.#isLent;
    process.kill(process.pid, 'SIGSTOP');
  };
  readonly #onContinue = () => {
    if (this.#isLent) return;
    // Else somebody stopped it who asked nobody, and may have left the terminal in any state.
    if (!this.#isSuspended) this.#leave();
    this.#isSuspended = false;
    this.#enter();
    this.#onResize();
  };

  #listen(): void {
    this.#stdin.on('data', this.#onData).on('end', this.#onGone).on('close', this.#onGone).on('error', this.#onGone);
    // Stays: what is written last may fail after the end.
    this.#stdout.on('error', this.#onGone);
    this.#stdout.on('resize', this.#onResize);
    for (const signal of END_SIGNALS) process.on(signal, this.#onGone);
    process.on('SIGTSTP', this.#onStop).on('SIGCONT', this.#onContinue);
    process.on('exit', this.#closeAtEnd).on('uncaughtExceptionMonitor', this.#closeAtEnd);
  }

  #stopListening(): void {
    this.#stdin.off('data', this.#onData).off('end', this.#onGone).off('close', this.#onGone).pause();
    this.#stdout.off('resize', this.#onResize);
    for (const signal of END_SIGNALS) process.off(signal, this.#onGone);
    process.off('SIGTSTP', this.#onStop).off('SIGCONT', this.#onContinue);
    process.off('exit', this.#closeAtEnd).off('uncaughtExceptionMonitor', this.#closeAtEnd);
  }

  #enter(): void {
    setRaw(this.#stdin, true);
    this.#stdin.resume();
    // Or a terminal that has stopped would stop the whole program.
    setBlocking(this.#stdout, false);
    this.#shown = undefined;
    this.#stdout.write(switched('h', this.#modes) + BEGIN + (this.#isConsole ? '' : BEGIN_EXTRAS));
  }

  #leave(isDying = false): void {
    if (this.#isSuspended || this.#isLent) return;
    const codes = (this.#isConsole ? '' : END_EXTRAS) + END + switched('l', this.#modes.toReversed());
    if (this.#isWriting && isDying) writeNow(this.#stdout, codes);
    else {
      // Nothing is lost then when the process ends; but where the terminal has stopped it would never.
      if (!this.#isWriting) setBlocking(this.#stdout, true);
      this.#stdout.write(codes);
    }
    setRaw(this.#stdin, false);
  }

  /** The theme is known, or will not be: whoever waits may draw, and hears the keys that were pressed meanwhile. */
  #start(): void {
    const early = this.#earlyKeys;
    if (!early) return;
    this.#isReady();
    setImmediate(() => {
      this.#earlyKeys = undefined;
      for (const key of early) this.#tellKey(key);
    });
  }

  #tellKey(key: Key): void {
    if (this.#isClosed) return;
    if (!this.#earlyKeys) this.#listener.key(key);
    else if (this.#earlyKeys.length < MOST_EARLY_KEYS) this.#earlyKeys.push(key);
  }

  #hear(answer: string): void {
    const background = backgroundOf(answer);
    const [, column] = /^\[\?1;(\d+)(?:;\d+)?R$/.exec(answer) ?? [];
    if (background) this.#theme = themeOf(this.#env, background);
    if (column !== undefined) takeAmbiguousAsWide(column === '3');
    if (background || column !== undefined) this.redraw();
    if (/^\[\?.*c$/.test(answer)) this.#start();
  }

  /** A frame that is to come comes sooner. */
  #await(): void {
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    if (!this.#frameTimer) return;
    clearTimeout(this.#frameTimer);
    this.#frameTimer = undefined;
    this.#schedule();
  }

  /** With what else happens at this moment, or when a frame may come again; what is written meanwhile calls again. */
  #schedule(): void {
    if (this.#frameTimer || this.#soon || this.#isWriting || this.#isSilent) return;
    const wait = this.#shownAt + (this.#isAwaited ? ECHO_MS : FRAME_MS) - performance.now();
    if (wait > 0) this.#frameTimer = setTimeout(() => this.#show(), wait);
    else this.#soon = setImmediate(() => this.#show());
  }

  /** Of Linux: it has no title and no background to tell, and versions of it print what they do not know. */
  get #isConsole(): boolean {
    return this.#env.TERM === 'linux';
  }

  get #modes(): string[] {
    return this.#env.ENGAWA_MOUSE === 'off' ? MODES : [...MODES, ...MOUSE];
  }

  get #isSilent(): boolean {
    return this.#isClosed || this.#isGone || this.#isSuspended || this.#isLent;
  }

  #show(): void {
    this.#frameTimer = undefined;
    this.#soon = undefined;
    if (this.#isSilent || this.#isWriting) return;
    const codes = this.#takeExtras() + (this.#isDue && this.#view ? this.#paint(this.#view(this.#size)) : '');
    this.#shownAt = performance.now();
    this.#isAwaited = false;
    if (codes !== '') this.#write(codes);
  }

  #takeExtras(): string {
    const title = this.#title === undefined ? '' : `\u001b]2;${this.#title}\u001b\\`;
    const clipboard = this.#copied === undefined ? '' : `\u001b]52;c;${Buffer.from(this.#copied).toString('base64')}\u001b\\`;
    const codes = title + clipboard + (this.#hasBell ? '\u0007' : '');
    this.#title = undefined;
    this.#copied = undefined;
    this.#hasBell = false;
    return codes;
  }

  #paint(frame: Frame): string {
    this.#isDue = false;
    const codes = painted(this.#shown, frame, { size: this.#size, theme: this.#theme });
    this.#shown = frame;
    return codes;
  }

  #takeBack(): void {
    this.#isLent = false;
    if (this.#isSilent) return;
    setReading(this.#stdin, true);
    this.#enter();
    this.#onResize();
  }

  /** Resolves when the terminal has taken all that was written. */
  async #written(): Promise<void> {
    await new Promise<void>((resolve) => this.#stdout.write('', () => resolve()));
  }

  #write(codes: string): void {
    this.#isWriting = true;
    this.#stdout.write(codes, () => {
      this.#isWriting = false;
      if (this.#isDue || this.#title !== undefined || this.#copied !== undefined || this.#hasBell) this.#schedule();
    });
  }
}

/** A terminal that does not say has the size of the first ones. */
const sizeOf = ({ columns, rows }: NodeJS.WriteStream): Size => ({ columns: columns || 80, rows: rows || 24 });

function setRaw(stdin: NodeJS.ReadStream, isRaw: boolean): void {
  try {
    if (stdin.isTTY) stdin.setRawMode(isRaw);
  } catch {
    // The terminal is gone; there is nothing to set.
  }
}

/** A stream that is paused still takes what comes next, which would be the first keys of another program. */
function setReading(stdin: NodeJS.ReadStream, isReading: boolean): void {
  const { _handle: handle } = stdin as unknown as { _handle?: { readStart?: () => unknown; readStop?: () => unknown } | null };
  if (isReading) handle?.readStart?.();
  else handle?.readStop?.();
}

function setBlocking(stdout: NodeJS.WriteStream, isBlocking: boolean): void {
  handleOf(stdout)?.setBlocking?.(isBlocking);
}

/** Node writes to terminals in blocking mode and never closes them, and has no public way to do otherwise. */
const handleOf = (stdout: NodeJS.WriteStream) =>
  (stdout as unknown as { _handle?: { setBlocking?: (isBlocking: boolean) => unknown; close?: () => void } | null })._handle;

/** As far as the terminal takes it: one that has stopped must not keep a process from ending. */
function writeNow(stdout: NodeJS.WriteStream & { fd?: number }, text: string): void {
  const deadline = performance.now() + LAST_WRITE_MS;
  for (let rest = Buffer.from(text); rest.length > 0 && performance.now() < deadline; ) {
    try {
      rest = rest.subarray(writeSync(stdout.fd ?? 1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
