import { type Client, type ClientOptions, connect, type LinkFactory } from '@engawa/client';
import { startTestServer, type TestServer } from '@engawa/client/testing';
import { onTestFinished } from 'vitest';
import { runApp } from '#app/run.js';
import type { OpenRooms } from '#profile/profile.js';
import type { Frame, Size } from '#screen/frame.js';
import type { Key } from '#screen/key.js';
import type { Screen, ScreenListener } from '#screen/screen.js';
import { columnsOf } from '#text/columns.js';
import { wordsOf } from '#words/words.js';
import { until } from '../../../server/test/helpers/waiting.ts';

/** A screen on paper: it draws at once, and what it shows can be read. */
class PaperScreen implements Screen {
  size: Size;
  listener: ScreenListener | undefined;
  frame: Frame = { rows: [] };
  name = '';
  bells = 0;
  copied = '';
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

  title(text: string): void {
    this.name = text;
  }

  bell(): void {
    this.bells += 1;
  }

  async lend(use: () => Promise<unknown>): Promise<void> {
    await use();
  }

  copy(text: string): boolean {
    this.copied = text;
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

export interface Opened {
  client: Client;
  screen: PaperScreen;
  ended: Promise<number>;
  /** `enter`, `alt+up`: keys by their names. */
  press: (...keys: string[]) => void;
  type: (text: string) => void;
  key: (key: Key) => void;
  resize: (columns: number, rows: number) => void;
  /** Each row as it reads, without spaces at its end. */
  rows: () => string[];
  text: () => string;
  shows: (text: string | RegExp) => Promise<void>;
  hides: (text: string) => Promise<void>;
}

export interface Options {
  room?: string;
  username?: string;
  columns?: number;
  rows?: number;
  lang?: string;
  storage?: Map<string, string>;
  lastRooms?: string[];
  maxChats?: number;
}

/** Where rooms are. */
export interface Place {
  url: string;
  link?: LinkFactory;
}

/** A server in this process, whose network fails as it is told. */
export function newServer(): TestServer & Place {
  const server = startTestServer();
  onTestFinished(() => server.close());
  return Object.assign(server, { url: 'test:' });
}

export const connectTo = ({ url, link }: Place, options: ClientOptions = {}): Client => connect(url, { ...options, ...(link && { link }) });

/** The client as somebody sees it, on a server in this process. */
export function openApp(place: Place, options: Options = {}): Opened {
  const { room, username = 'aya', columns = 80, rows = 24, lang = 'en', storage = new Map<string, string>(), maxChats = 2_000 } = options;
  const kept = {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
  };
  let lastRooms: OpenRooms = { open: options.lastRooms ?? [] };
  const profile = {
    username,
    server: place.url,
    storage: kept,
    problem: undefined,
    rooms: {
      read: () => lastRooms,
      write: (all: OpenRooms) => {
        lastRooms = all;
      },
    },
  };
  const client = connectTo(place, { storage: kept, maxChats });
  const paper = new PaperScreen({ columns, rows });
  const open = async (listener: ScreenListener) => {
    paper.listener = listener;
    return paper;
  };
  const ended = runApp({ client, profile, words: wordsOf(lang, {}), room, open, write: async () => ({ failed: 'none' }) });
  onTestFinished(() => paper.listener?.gone());
  const text = () => rowsOf(paper.frame).join('\n');
  const press = (name: string) => {
    const parts = name === '+' ? ['+'] : name.split('+');
    const held = new Set(parts.slice(0, -1));
    paper.listener?.key({ kind: 'key', name: parts.at(-1) ?? '', ctrl: held.has('ctrl'), alt: held.has('alt'), shift: held.has('shift') });
  };
  const waits = (isMet: () => boolean, what: string) =>
    until(isMet, what).catch((error: Error) => {
      throw new Error(`${error.message}; it shows:\n${text()}`);
    });
  return {
    client,
    screen: paper,
    ended,
    press: (...keys) => keys.forEach(press),
    type: (typed) => paper.listener?.key({ kind: 'text', text: typed }),
    key: (key) => paper.listener?.key(key),
    resize(toColumns, toRows) {
      paper.size = { columns: toColumns, rows: toRows };
      paper.listener?.resized(paper.size);
    },
    rows: () => rowsOf(paper.frame),
    text,
    shows: (wanted) =>
      waits(() => (typeof wanted === 'string' ? text().includes(wanted) : wanted.test(text())), `the screen shows ${wanted}`),
    hides: (unwanted) => waits(() => !text().includes(unwanted), `the screen does not show ${unwanted}`),
  };
}

const rowsOf = ({ rows }: Frame): string[] =>
  rows.map((row) =>
    row
      .map(({ text }) => text)
      .join('')
      .trimEnd(),
  );

/** The columns that each row of a frame takes. */
export const widthsOf = ({ rows }: Frame): number[] => rows.map((row) => row.reduce((sum, { text }) => sum + columnsOf(text), 0));
