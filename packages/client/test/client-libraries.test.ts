/**
 * Client libraries of other projects, on a real server: those that can recover by an offset do so, and the others receive none.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { connect, requestOk, startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { io as io48, type Socket } from 'socket.io-client';
import { io as io46 } from 'socket.io-client-4.6';
import { expect, onTestFinished, test } from 'vitest';
import { openBrowser } from './helpers/browser.ts';
import { startPython } from './helpers/python.ts';

const roomId = 'veranda';

/** Aya is in a room, and sends the chats that the others receive. */
async function startRoom(options: Parameters<typeof startServer>[0] = {}) {
  const { url } = await startServer({ rateLimits: 'off', ...options });
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  const say = (message: string) => requestOk(aya, 'create:chat', { roomId, username: 'aya', message });
  return { url, aya, say };
}

const PYTHONS = (['sync', 'asyncio'] as const).flatMap((kind) =>
  ['polling,websocket', 'polling', 'websocket'].map((transports) => ({ kind, transports })),
);

test.each(PYTHONS)('Python, $kind over $transports, receives each event with one argument', async ({ kind, transports }) => {
  const { url, aya, say } = await startRoom();
  const python = startPython({ kind, url, transports });
  await until(() => python.lines.some(({ joined }) => joined === true), 'it joined', 20_000);
  const { seq: chatSeq } = await say('one');
  await say('two');
  await requestOk(aya, 'update:chat', { roomId, username: 'aya', chatSeq, message: 'uno' });
  await say('three');
  await requestOk(aya, 'start:typing', { roomId, username: 'aya' });
  const chats = () => python.lines.flatMap(({ chat }) => chat ?? []);
  const others = () => python.lines.filter(({ event }) => event !== undefined);
  await until(() => chats().length === 3, 'it received every chat');
  for (const name of ['update:chat:success', 'start:typing:success']) {
    await until(() => others().some(({ event }) => event === name), `it received ${name}`);
  }
  expect(chats()).toEqual(['one', 'two', 'three']);
  expect(others().filter((line) => line.arguments !== 1)).toEqual([]);
  expect(python.stderr()).toBe('');
});

test('Python in a large room receives its own join with one argument', async () => {
  const { url } = await startRoom({ largeRoomThreshold: 1 });
  const python = startPython({ kind: 'sync', url, transports: 'websocket' });
  await until(() => python.lines.some(({ joined }) => joined === true), 'it joined', 20_000);
  expect(python.lines).toContainEqual({ event: 'add:member:success', arguments: 1 });
  expect(python.stderr()).toBe('');
});

test('Python receives the offset if it asks for it', async () => {
  const { url, aya, say } = await startRoom();
  const python = startPython({ kind: 'sync', url, transports: 'websocket', auth: { recovery: true } });
  await until(() => python.lines.some(({ joined }) => joined === true), 'it joined', 20_000);
  const { seq: chatSeq } = await say('one');
  await requestOk(aya, 'delete:chat', { roomId, username: 'aya', chatSeq });
  await until(() => python.lines.some(({ event }) => event === 'delete:chat:success'), 'it received it');
  expect(python.lines).toContainEqual({ event: 'delete:chat:success', arguments: 2 });
});

/** The part of a socket that all versions share. */
type AnySocket = Pick<Socket, 'connected' | 'connect' | 'disconnect'> & {
  /** Missing before version 4.6. */
  recovered?: boolean;
  emit(event: string, ...args: unknown[]): unknown;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  io: { engine: { close(): unknown } };
};

interface Options {
  forceNew: true;
  reconnection: false;
  transports: string[];
  auth?: object;
}

type Open = (url: string, options: Options) => AnySocket;

/** The types of the old versions are not in their exports. */
const require = createRequire(import.meta.url);
const { io: io40 } = require('socket.io-client-4.0') as { io: Open };

const libraries: { version: string; open: Open; recovers: boolean }[] = [
  { version: '4.0', open: io40, recovers: false },
  { version: '4.6', open: io46 as never, recovers: true },
  { version: '4.8', open: io48, recovers: true },
];
const TRANSPORTS = [['websocket'], ['polling', 'websocket'], ['polling']];
const JAVASCRIPT = libraries.flatMap((library) => TRANSPORTS.map((transports) => ({ ...library, transports })));

async function join(socket: AnySocket): Promise<unknown[][]> {
  onTestFinished(() => void socket.disconnect());
  const received: unknown[][] = [];
  socket.on('create:chat:success', ({ message }: { message: string }, ...more: unknown[]) => received.push([message, ...more]));
  await withTimeout(new Promise<void>((resolve) => socket.once('connect', resolve)), 'a connection');
  await withTimeout(
    new Promise<void>((resolve) => socket.emit('add:member', { roomId, username: 'ben' }, () => resolve())),
    'the answer to the join',
  );
  return received;
}

async function comeBack(socket: AnySocket): Promise<void> {
  const back = new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.connect();
  await withTimeout(back, 'another connection');
}

async function drop(socket: AnySocket): Promise<void> {
  const gone = new Promise<void>((resolve) => socket.once('disconnect', resolve));
  socket.io.engine.close();
  await withTimeout(gone, 'the drop');
}

test.each(JAVASCRIPT)(
  'socket.io-client $version over $transports receives everything, and recovers: $recovers',
  async ({ open, recovers, transports }) => {
    const { url, say } = await startRoom();
    const socket = open(url, { forceNew: true, reconnection: false, transports });
    const received = await join(socket);
    await say('one');
    await until(() => received.length === 1, 'it received one');
    await drop(socket);
    await say('missed');
    await comeBack(socket);
    expect(socket.recovered ?? false).toBe(recovers);
    if (!recovers) return;
    await say('two');
    await until(() => received.length === 3, 'it received everything');
    expect(received.map(([message]) => message)).toEqual(['one', 'missed', 'two']);
  },
);

test('a client that turns recovery off receives no offset, and is not recovered', async () => {
  const { url, say } = await startRoom();
  const socket: AnySocket = io48(url, { forceNew: true, reconnection: false, transports: ['websocket'], auth: { recovery: false } });
  const received = await join(socket);
  await say('one');
  await until(() => received.length === 1, 'it received one');
  expect(received).toEqual([['one']]);
  await drop(socket);
  await comeBack(socket);
  expect(socket.recovered).toBe(false);
});

const SCRIPT = fileURLToPath(new URL('../../../node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url));
/** A page with the plain Socket.IO client, which recovers after a drop by itself. */
const PAGE = `
  window.received = [];
  window.recovered = [];
  window.socket = io(SERVER, { transports: TRANSPORTS });
  socket.on('connect', () => recovered.push(socket.recovered));
  socket.on('create:chat:success', ({ message }) => received.push(message));
  socket.emit('add:member', { roomId: 'veranda', username: 'ben' });
`;

test.each([[['polling', 'websocket']], [['websocket']]])('Chromium over %j recovers by itself', async (transports) => {
  const { url, say } = await startRoom();
  const context = await openBrowser();
  const page = await context.newPage();
  await page.addScriptTag({ path: SCRIPT });
  await page.evaluate(PAGE.replace('SERVER', JSON.stringify(url)).replace('TRANSPORTS', JSON.stringify(transports)));
  const received = () => page.evaluate<string[]>('received');
  await until(async () => {
    await say('again');
    return (await received()).length > 0;
  }, 'it receives a chat');
  const before = await received();
  await page.evaluate('socket.io.engine.close()');
  await say('missed');
  await until(() => page.evaluate<boolean>('recovered.length === 2'), 'it is back', 20_000);
  await say('new');
  await until(async () => (await received()).at(-1) === 'new', 'it received the new one');
  expect(await page.evaluate<boolean[]>('recovered')).toEqual([false, true]);
  expect((await received()).slice(-2)).toEqual(['missed', 'new']);
  expect((await received()).length).toBeGreaterThanOrEqual(before.length + 2);
});
