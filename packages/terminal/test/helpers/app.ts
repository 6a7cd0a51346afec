// Runs the full-screen client in the test process, on a fake screen.
import { type Client, type ClientOptions, connect, type TransportFactory } from '@engawa/client';
import { startTestServer, type TestServer } from '@engawa/client/testing';
import { until } from '@engawa/testkit/wait-for';
import { onTestFinished } from 'vitest';
import { messagesFor } from '#i18n/messages.js';
import type { OpenRooms } from '#profile/profile.js';
import type { Frame, Size } from '#screen/frame.js';
import type { InputEvent } from '#screen/key.js';
import type { Screen, ScreenListener } from '#screen/screen.js';
import { displayWidth } from '#text/display-width.js';
import { runApp } from '#tui/run.js';

/** A screen that draws at once and whose content can be read. */
class FakeScreen implements Screen {
  size: Size;
  listener: ScreenListener | undefined;
  frame: Frame = { rows: [] };
  titleText = '';
  bells = 0;
  clipboardText = '';
  isClosed = false;
  #view: ((size: Size) => Frame) | undefined;

  constructor(size: Size) {
    this.size = size;
  }

  draw(view: (size: Size) => Frame): void {
    this.#view ??= undefined;
    if (this.#view === undefined) setImmediate(() => this.#show());
    this.#view = view;
  }

  redraw(): void {}

  setTitle(text: string): void {
    this.titleText = text;
  }

  bell(): void {
    this.bells += 1;
  }

  async releaseWhile(use: () => Promise<unknown>): Promise<void> {
    await use();
  }

  copyToClipboard(text: string): boolean {
    this.clipboardText = text;
    return true;
  }

  close(): void {
    this.isClosed = true;
  }

  #show(): void {
    const view = this.#view;
    this.#view = undefined;
    if (view && !this.isClosed) this.frame = view(this.size);
  }
}

export interface TestApp {
  client: Client;
  screen: FakeScreen;
  exited: Promise<number>;
  /** Keys by name: `enter`, `alt+up`. */
  press: (...keys: string[]) => void;
  type: (text: string) => void;
  key: (key: InputEvent) => void;
  resize: (columns: number, rows: number) => void;
  /** The text of each row, without trailing spaces. */
  rows: () => string[];
  text: () => string;
  waitForText: (text: string | RegExp) => Promise<void>;
  waitForNoText: (text: string) => Promise<void>;
}

export interface TestAppOptions {
  room?: string;
  username?: string;
  columns?: number;
  rows?: number;
  lang?: string;
  storage?: Map<string, string>;
  lastRooms?: string[];
  maxChats?: number;
}

/** URL and options of a server. */
export interface ServerAddress {
  url: string;
  createTransport?: TransportFactory;
}

/** A server in this process whose network failures are controlled by the test. */
export function startInProcessServer(): TestServer & ServerAddress {
  const server = startTestServer();
  onTestFinished(() => server.close());
  return Object.assign(server, { url: 'test:' });
}

export const connectTo = ({ url, createTransport }: ServerAddress, options: ClientOptions = {}): Client =>
  connect(url, { ...options, ...(createTransport && { createTransport }) });

/** Opens the client on a server in this process. */
export function openApp(server: ServerAddress, options: TestAppOptions = {}): TestApp {
  const { room, username = 'aya', columns = 80, rows = 24, lang = 'en', storage = new Map<string, string>(), maxChats = 2_000 } = options;
  const clientStorage = {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
  };
  let lastRooms: OpenRooms = { open: options.lastRooms ?? [] };
  const profile = {
    username,
    server: server.url,
    storage: clientStorage,
    problem: undefined,
    rooms: {
      read: () => lastRooms,
      write: (all: OpenRooms) => {
        lastRooms = all;
      },
    },
  };
  const client = connectTo(server, { storage: clientStorage, maxChats });
  const screen = new FakeScreen({ columns, rows });
  const open = async (listener: ScreenListener) => {
    screen.listener = listener;
    return screen;
  };
  const exited = runApp({ client, profile, messages: messagesFor(lang, {}), room, open, editExternally: async () => ({ failed: 'none' }) });
  onTestFinished(() => screen.listener?.onClosed());
  const text = () => rowsOf(screen.frame).join('\n');
  const press = (name: string) => {
    const parts = name === '+' ? ['+'] : name.split('+');
    const modifiers = new Set(parts.slice(0, -1));
    screen.listener?.onInput({
      kind: 'key',
      name: parts.at(-1) ?? '',
      ctrl: modifiers.has('ctrl'),
      alt: modifiers.has('alt'),
      shift: modifiers.has('shift'),
    });
  };
  const waitUntil = (isMet: () => boolean, what: string) =>
    until(isMet, what).catch((error: Error) => {
      throw new Error(`${error.message}; it shows:\n${text()}`);
    });
  return {
    client,
    screen: screen,
    exited,
    press: (...keys) => keys.forEach(press),
    type: (typed) => screen.listener?.onInput({ kind: 'text', text: typed }),
    key: (key) => screen.listener?.onInput(key),
    resize(toColumns, toRows) {
      screen.size = { columns: toColumns, rows: toRows };
      screen.listener?.onResize(screen.size);
    },
    rows: () => rowsOf(screen.frame),
    text,
    waitForText: (wanted) =>
      waitUntil(() => (typeof wanted === 'string' ? text().includes(wanted) : wanted.test(text())), `the screen shows ${wanted}`),
    waitForNoText: (unwanted) => waitUntil(() => !text().includes(unwanted), `the screen does not show ${unwanted}`),
  };
}

const rowsOf = ({ rows }: Frame): string[] =>
  rows.map((row) =>
    row
      .map(({ text }) => text)
      .join('')
      .trimEnd(),
  );

/** The width of each row of a frame, in columns. */
export const widthsOf = ({ rows }: Frame): number[] => rows.map((row) => row.reduce((sum, { text }) => sum + displayWidth(text), 0));
