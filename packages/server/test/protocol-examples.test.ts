/** The examples of docs/protocol.md, byte for byte, against a live server. */
import { readFileSync } from 'node:fs';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';

const PAGE = new URL('../../../docs/protocol.md', import.meta.url);
/** Presence is broadcast at varying times; the examples leave it out. */
const PRESENCE = '42["update:presence:success",';
/** These values differ each time; a value that an example has twice is the same twice. */
const VARIABLE = new Set(['sid', 'pid', 'session', 'epoch', 'id', 'prev', 'lastId', 'at', 'durability']);

interface Block {
  kind: string;
  lines: string[];
}

const blocks: Block[] = [...readFileSync(PAGE, 'utf8').matchAll(/^```(packets|packets after a drop|polling)\n(.*?)\n```$/gms)].map(
  ([, kind = '', text = '']) => ({ kind, lines: text.split('\n') }),
);

/** The values of the page on this server. */
class Dictionary {
  readonly #live = new Map<string, string>();

  /** A text of the page, with the values of this server. */
  toLive(text: string): string {
    // The longest first: one value may be a prefix of another.
    const known = [...this.#live].toSorted(([a], [b]) => b.length - a.length);
    return known.reduce((result, [page, live]) => result.replaceAll(page, live), text);
  }

  /** A packet of this server, with the values of the page. */
  toPage(live: string, page: string): string {
    const begin = /^\d+/.exec(live)?.[0] ?? '';
    if (live === begin || !/^\d+[[{]/.test(page)) return live;
    const [ours, theirs] = [live, page.replaceAll('{…}', '"…"')].map(
      (text) => JSON.parse(text.slice(/^\d+/.exec(text)?.[0].length)) as unknown,
    );
    return begin + JSON.stringify(this.#rename(ours, theirs, '')).replaceAll('"…"', '{…}');
  }

  #rename(live: unknown, page: unknown, name: string): unknown {
    if (page === '…' && typeof live === 'object') return page;
    if (VARIABLE.has(name) && typeof live === 'number' && typeof page === 'number') return page;
    if (VARIABLE.has(name) && typeof live === 'string' && typeof page === 'string') return this.#learn(page, live) ? page : live;
    if (Array.isArray(live)) return live.map((each, index) => this.#rename(each, (page as unknown[] | undefined)?.[index], ''));
    if (typeof live !== 'object' || live === null) return live;
    return Object.fromEntries(
      Object.entries(live).map(([key, value]) => [key, this.#rename(value, (page as Record<string, unknown> | undefined)?.[key], key)]),
    );
  }

  /** False when the page used this value for another thing before. */
  #learn(page: string, live: string): boolean {
    const before = this.#live.get(page);
    this.#live.set(page, live);
    return before === undefined || before === live;
  }
}

class Client {
  readonly #socket: WebSocket;
  readonly #received: string[] = [];

  constructor(url: string) {
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.#socket.on('message', (data: Buffer) => {
      const packet = data.toString();
      if (!packet.startsWith(PRESENCE)) this.#received.push(packet);
    });
    onTestFinished(() => this.#socket.terminate());
  }

  send(packet: string): void {
    this.#socket.send(packet);
  }

  async next(wanted: string): Promise<string> {
    await until(() => this.#received.length > 0, `there is ${wanted}`);
    return this.#received.shift() ?? '';
  }

  get rest(): string[] {
    return this.#received;
  }
}

test('the packets of the page are sent over a WebSocket byte for byte', async () => {
  const { url } = await startServer();
  const dictionary = new Dictionary();
  const receivedEvents = blocks.filter(({ kind }) => kind.startsWith('packets'));
  expect(receivedEvents.length).toBeGreaterThan(4);
  let client = new Client(url);
  for (const { kind, lines } of receivedEvents) {
    if (kind === 'packets after a drop') client = new Client(url);
    for (const line of lines) {
      const packet = line.slice(2);
      if (line.startsWith('→ ')) client.send(dictionary.toLive(packet));
      else expect(dictionary.toPage(await client.next(packet), packet)).toBe(packet);
    }
    expect(client.rest, 'the page leaves nothing out').toEqual([]);
  }
});

test('the packets of the page are sent by polling byte for byte', async () => {
  const { url } = await startServer();
  const dictionary = new Dictionary();
  const lines = blocks.filter(({ kind }) => kind === 'polling').flatMap((block) => block.lines);
  expect(lines.length).toBeGreaterThan(6);
  let asked: { method: string; path: string } | undefined;
  let body: string | undefined;
  for (const line of lines) {
    const [, method, path] = /^(GET|POST) (\S+)$/.exec(line) ?? [];
    if (method !== undefined && path !== undefined) asked = { method, path: dictionary.toLive(path) };
    else if (line.startsWith('→ ')) body = dictionary.toLive(line.slice(2)).replaceAll('␞', '\x1e');
    else {
      const answer = await (
        await fetch(`${url}${asked?.path ?? ''}`, { method: asked?.method, ...(body !== undefined && { body }) })
      ).text();
      body = undefined;
      expect(dictionary.toPage(answer, line.slice(2))).toBe(line.slice(2));
    }
  }
});

test('the ping of the page is a ping', async () => {
  const { url } = await startServer({ pingInterval: 50, pingTimeout: 100 });
  const client = new Client(url);
  await client.next('0');
  expect(await client.next('2')).toBe('2');
  client.send('3');
  expect(await client.next('2')).toBe('2');
});
