/** Pending requests outlive room objects, clients, names and rooms: on a real server, over a network with faults. */
import { type Client, type ClientOptions, type ClientStorage, connect, JoinError, type Room } from '@engawa/client';
import { collectEvents, connect as connectPlain, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { type FaultyProxy, startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, onTestFinished, test, vi } from 'vitest';
import { listableMemoryStorage, memoryStorage, slowStorage, unsentIn } from './helpers/clients.ts';

const KINDS: [kind: string, make: (stored: Record<string, string>) => ClientStorage][] = [
  ['that answers at once', memoryStorage],
  ['whose reads take 5 ms and writes 50 ms', (stored) => slowStorage(memoryStorage(stored), { read: 5, write: 50 })],
  ['that lists its keys, as localStorage does', listableMemoryStorage],
  ['that lists its keys late, as AsyncStorage does', asyncStorage],
];

function asyncStorage(stored: Record<string, string>): ClientStorage {
  const getAllKeys = () => new Promise<string[]>((resolve) => setTimeout(() => resolve(Object.keys(stored)), 5));
  return { ...slowStorage(memoryStorage(stored), { read: 5, write: 20 }), getAllKeys };
}

async function setUp(): Promise<{ url: string; proxy: FaultyProxy; open: (options?: ClientOptions) => Client }> {
  const { url } = await startServer({ rateLimits: 'off', graceMs: 300 });
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const open = (options: ClientOptions = {}) => {
    const client = connect(proxy.url, options);
    onTestFinished(() => client.close());
    return client;
  };
  return { url, proxy, open };
}

async function goOffline(proxy: FaultyProxy, ...rooms: Room[]): Promise<void> {
  proxy.refuse(true);
  proxy.cut();
  await until(() => rooms.every(({ state }) => state === 'offline'), 'all are offline');
}

const texts = ({ timeline }: Room) => timeline.chats.map(({ message }) => message);
const areSent = (...rooms: Room[]) => rooms.every(({ timeline }) => timeline.chats.every(({ state }) => state === undefined));

async function logOf(room: Room): Promise<(string | null)[]> {
  const page = await room.history();
  return page.ok ? page.chats.map(({ message }) => message) : [];
}

test.each(KINDS)('chats of a room that is closed offline are sent once after the next join, with a storage %s', async (_, make) => {
  const { proxy, open } = await setUp();
  const items = {};
  const client = open({ storage: make(items) });
  const room = await client.join('veranda', { username: 'aya', create: true });
  await goOffline(proxy, room);
  room.send('one');
  room.send('two');
  room.close();
  const joining = client.join('veranda', { username: 'aya' });
  proxy.refuse(false);
  const again = await joining;
  await until(() => again.timeline.chats.length === 2 && areSent(again), 'it is sent');
  expect(await logOf(again)).toEqual(['one', 'two']);
  await client.close();
  expect(unsentIn({ items })).toEqual([]);
});

test.each(KINDS)('pending chats of two clients are stored side by side, and each is sent once, with a storage %s', async (_, make) => {
  const { proxy, open } = await setUp();
  const items = {};
  const storage = make(items);
  const [one, other] = [open({ storage }), open({ storage })];
  const [here, there] = [await one.join('veranda', { username: 'aya', create: true }), await other.join('veranda', { username: 'aya' })];
  await goOffline(proxy, here, there);
  here.send('from one');
  there.send('from the other');
  await until(() => [here, there].every(({ timeline }) => timeline.chats.length === 2), 'both show both');
  await one.close();
  proxy.refuse(false);
  await until(() => there.state === 'live' && areSent(there), 'all is sent', 20_000);
  expect((await logOf(there)).toSorted()).toEqual(['from one', 'from the other']);
  expect(texts(there)).toHaveLength(2);
  await other.close();
  expect(unsentIn({ items })).toEqual([]);
});

/** The Web Locks of one browser, as a page has them. */
function stubLocks(): void {
  const queues = new Map<string, Promise<unknown>>();
  const request = <Result>(name: string, step: () => Promise<Result>): Promise<Result> => {
    const done = (queues.get(name) ?? Promise.resolve()).then(step);
    queues.set(name, done);
    return done;
  };
  vi.stubGlobal('navigator', { locks: { request } });
  onTestFinished(() => void vi.unstubAllGlobals());
}

test('a page that starts while another one removes sent chats does not show them as pending for ever', async () => {
  stubLocks();
  const { open } = await setUp();
  const items = {};
  const page = () =>
    open({ storage: slowStorage(memoryStorage(items), { read: 1, write: 300 }) }).join('veranda', { username: 'aya', create: true });
  const first = await page();
  await first.send('hello').settled;
  expect(unsentIn({ items }), 'it is not struck out yet').toHaveLength(1);
  const second = await page();
  await until(() => unsentIn({ items }).length === 0, 'it is struck out');
  await until(() => areSent(second), 'it is shown as sent');
  expect(texts(second)).toEqual(['hello']);
});

test.each(KINDS)('two clients that start at the same time on one empty storage are one user, with a storage %s', async (_, make) => {
  const { open } = await setUp();
  const storage = make({});
  await open().join('veranda', { username: 'ben', create: true });
  const [one, other] = [open({ storage }), open({ storage })];
  const rooms = await Promise.all([one, other].map((client) => client.join('veranda', { username: 'aya' })));
  expect(rooms.map(({ username }) => username)).toEqual(['aya', 'aya']);
  expect(rooms[1]?.members).toBe(2);
});

test('clients that start at the same time with separate wrappers of one localStorage are one user', async () => {
  const { open } = await setUp();
  const stored = {};
  const rooms = await Promise.all(
    [1, 2, 3].map(() => open({ storage: listableMemoryStorage(stored) }).join('veranda', { username: 'aya', create: true })),
  );
  expect(rooms.map(({ members }) => members)).toEqual([1, 1, 1]);
});

test('pending chats of a member whose name was taken stay, and are sent under the next name', async () => {
  const { url, proxy, open } = await setUp();
  const items = {};
  const first = open({ storage: memoryStorage(items) });
  await open().join('veranda', { username: 'ben', create: true });
  const room = await first.join('veranda', { username: 'aya' });
  await goOffline(proxy, room);
  room.send('words');
  const sent = room.send('more words');
  await first.close();
  expect(await sent.settled).toMatchObject({ ok: false, error: { code: 'closed' } });
  proxy.refuse(false);
  const outsider = await connectPlain(url);
  await until(async () => (await sendRequest(outsider, 'add:member', { roomId: 'veranda', username: 'aya' })).ok, 'the name is free');
  const second = open({ storage: memoryStorage(items) });
  await expect(second.join('veranda', { username: 'aya' })).rejects.toMatchObject({ code: 'name_taken' });
  await second.close();
  expect(unsentIn({ items })).toHaveLength(2);
  const again = await open({ storage: memoryStorage(items) }).join('veranda', { username: 'aya2' });
  expect(texts(again)).toEqual(['words', 'more words']);
  await until(() => areSent(again), 'it is sent');
  expect(again.timeline.chats.map(({ username, message }) => [username, message])).toEqual([
    ['aya2', 'words'],
    ['aya2', 'more words'],
  ]);
});

test('an edit, a deletion and reactions that are made offline are shown, outlive the client, and are applied once', async () => {
  const { proxy, open } = await setUp();
  const ben = await open().join('veranda', { username: 'ben', create: true });
  const items = {};
  const first = open({ storage: memoryStorage(items) });
  const room = await first.join('veranda', { username: 'aya' });
  for (const message of ['edit me', 'delete me', 'react to me']) await room.send(message).settled;
  const [edited, deleted, liked] = room.timeline.chats.map(({ seq }) => seq ?? 0) as [number, number, number];
  await room.react(liked, '👍');
  await goOffline(proxy, room);
  void room.edit(edited, 'edited');
  void room.delete(deleted);
  void room.unreact(liked, '👍');
  void room.react(liked, '🎉');
  // A second click.
  void room.react(liked, '🎉');
  const shown = [
    { message: 'edited', pending: true },
    { message: null, deleted: true, pending: true },
    { message: 'react to me', reactions: [{ reaction: '🎉', count: 1, mine: true }], pending: true },
  ];
  expect(room.timeline.chats).toMatchObject(shown);
  await first.close();
  const second = open({ storage: memoryStorage(items) });
  const joining = second.join('veranda', { username: 'aya' });
  proxy.refuse(false);
  const again = await joining;
  expect(again.timeline.chats).toMatchObject(shown);
  const done = [
    { message: 'edited' },
    { message: null, deleted: true },
    { message: 'react to me', reactions: [{ reaction: '🎉', count: 1 }] },
  ];
  await until(() => again.timeline.chats.every((chat) => !('pending' in chat)), 'all is done');
  await until(() => ben.position.seq === again.position.seq, 'the client is notified');
  for (const each of [again, ben]) expect(each.timeline.chats).toMatchObject(done);
  await until(() => unsentIn({ items }).length === 0, 'nothing waits');
});

test('a change that is refused after a reload is reported as failed, and no longer shown', async () => {
  const { proxy, open } = await setUp();
  const ben = await open().join('veranda', { username: 'ben', create: true });
  await ben.send('by ben').settled;
  const items = {};
  const first = open({ storage: memoryStorage(items) });
  const room = await first.join('veranda', { username: 'aya' });
  const seq = room.timeline.chats[0]?.seq ?? 0;
  await goOffline(proxy, room, ben);
  void room.edit(seq, 'mine');
  await first.close();
  const second = open({ storage: memoryStorage(items) });
  const joining = second.join('veranda', { username: 'aya' });
  proxy.refuse(false);
  const again = await joining;
  const failed: unknown[] = [];
  again.on('failed', ({ event, error }) => failed.push([event, error?.code]));
  await until(() => failed.length > 0, 'it is reported');
  expect(failed).toEqual([['update:chat', 'not_allowed']]);
  expect(again.timeline.chats).toMatchObject([{ message: 'by ben' }]);
  expect(again.timeline.chats[0]).not.toHaveProperty('pending');
  await second.close();
  expect(unsentIn({ items })).toEqual([]);
});

test('a failed chat is still there after a reload, until it is discarded', async () => {
  const { open } = await setUp();
  const items = {};
  const first = open({ storage: memoryStorage(items) });
  const room = await first.join('veranda', { username: 'aya', create: true });
  await room.send('\u200b').settled;
  await first.close();
  const again = await open({ storage: memoryStorage(items) }).join('veranda', { username: 'aya' });
  const [chat] = again.timeline.chats;
  expect(chat).toMatchObject({ message: '\u200b', state: 'failed', error: { code: 'invalid_payload' } });
  if (chat?.state === 'failed') chat.outgoing.discard();
  expect(again.timeline.chats).toEqual([]);
  expect(unsentIn({ items })).toEqual([]);
});

test('chats for a deleted room are not sent to a new one with its id, but fail, and the user decides', async () => {
  const { url, proxy, open } = await setUp();
  const stored = {};
  const first = open({ storage: memoryStorage(stored) });
  const owner = await connectPlain(url);
  await requestOk(owner, 'create:room', { roomId: 'veranda', username: 'ben' });
  const room = await first.join('veranda', { username: 'aya' });
  await room.send('before').settled;
  const { seq = 0 } = room.timeline.chats[0] ?? {};
  await goOffline(proxy, room);
  room.send('a secret');
  void room.react(seq, '👍');
  await first.close();
  await requestOk(owner, 'delete:room', { roomId: 'veranda', username: 'ben' });
  const outsider = await connectPlain(url);
  await requestOk(outsider, 'create:room', { roomId: 'veranda', username: 'mallory' });
  await requestOk(outsider, 'create:chat', { roomId: 'veranda', username: 'mallory', message: 'hello' });
  proxy.refuse(false);
  const received = collectEvents(outsider, 'create:chat:success');
  const again = await open({ storage: memoryStorage(stored) }).join('veranda', { username: 'aya' });
  const failed: unknown[] = [];
  again.on('failed', ({ event, error }) => failed.push([event, error?.code]));
  await until(() => failed.length === 2, 'it is reported');
  expect(failed).toEqual([
    ['create:chat', 'room_replaced'],
    ['add:reaction', 'room_replaced'],
  ]);
  expect(again.timeline.chats).toMatchObject([{ message: 'hello' }, { message: 'a secret', state: 'failed' }]);
  expect(received).toEqual([]);
  const [, chat] = again.timeline.chats;
  if (chat?.state === 'failed') chat.outgoing.retry();
  await until(() => received.length > 0, 'the owner has decided');
  expect(received).toMatchObject([{ message: 'a secret', username: 'aya' }]);
});

test('a client that was away while its room was replaced does not join the new one by itself', async () => {
  const { url, proxy, open } = await setUp();
  const owner = await connectPlain(url);
  await requestOk(owner, 'create:room', { roomId: 'veranda', username: 'ben' });
  const room = await open().join('veranda', { username: 'aya' });
  await goOffline(proxy, room);
  const sent = room.send('a secret');
  await requestOk(owner, 'delete:room', { roomId: 'veranda', username: 'ben' });
  const outsider = await connectPlain(url);
  await requestOk(outsider, 'create:room', { roomId: 'veranda', username: 'mallory' });
  const comings = collectEvents(outsider, 'add:member:success');
  proxy.refuse(false);
  await until(() => room.state === 'ended', 'it has ended');
  expect(room.ending).toMatchObject({ reason: 'deleted' });
  expect(await sent.settled).toMatchObject({ ok: false, error: { code: 'room_not_found' } });
  expect(comings).toEqual([]);
});

test('a room id and a username are equal in all of their Unicode forms', async () => {
  const { url, open } = await setUp();
  const [id, name] = ['cafe\u0301', 'Ame\u0301lie'];
  const client = open({ storage: memoryStorage() });
  const room = await client.join(id, { username: name, create: true });
  expect([room.id, room.username]).toEqual(['caf\u00e9', 'Am\u00e9lie']);
  expect(await client.join('caf\u00e9', { username: 'Am\u00e9lie' })).toBe(room);
  const ben = await connectPlain(url);
  await requestOk(ben, 'add:member', { roomId: id, username: 'ben' });
  await requestOk(ben, 'create:chat', { roomId: id, username: 'ben', message: 'hello' });
  await until(() => room.timeline.chats.length === 1, 'it is received');
  const { seq = 0 } = room.timeline.chats[0] ?? {};
  const given = { roomId: id, username: 'ben', chatSeq: seq };
  await requestOk(ben, 'add:reaction', { ...given, reaction: 'e\u0301' });
  await room.react(seq, '\u00e9');
  expect(room.timeline.chats[0]).toMatchObject({ reactions: [{ reaction: '\u00e9', count: 2 }] });
  expect(await room.remove(name)).toEqual({ ok: true });
  expect(room.ending).toEqual({ reason: 'left' });
});

test('connect fails without a source of random bytes, unless one is passed', async () => {
  const { open } = await setUp();
  const { crypto } = globalThis;
  const random = (count: number) => crypto.getRandomValues(new Uint8Array(count));
  const real = Object.getOwnPropertyDescriptor(globalThis, 'crypto') as PropertyDescriptor;
  Object.defineProperty(globalThis, 'crypto', { configurable: true, value: undefined });
  onTestFinished(() => void Object.defineProperty(globalThis, 'crypto', real));
  expect(() => connect('http://localhost')).toThrow(JoinError);
  expect(() => connect('http://localhost')).toThrow(expect.objectContaining({ code: 'no_random', retryable: false }));
  const room = await open({ random }).join('veranda', { username: 'aya', create: true });
  expect(await room.send('hello').settled).toMatchObject({ ok: true });
});
