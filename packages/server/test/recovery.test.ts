/**
 * Plain Socket.IO clients, which know nothing of logs: the handshake of their reconnect (`pid` and
 * `offset`) is enough to receive what they missed, also from another server on the same store.
 */
import { type RoomChunk, type Store, StoreError } from '@engawa/server';
import {
  collectEvents,
  connect,
  newClient,
  requestError,
  requestOk,
  sendRequest,
  startServer,
  until,
  withOverrides,
  withTimeout,
} from '@engawa/testkit/processes/server';
import { isOnRedis, newStore, reopenStore, storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { memberKey } from '#domain/room-keys.js';

const roomId = 'veranda';
const GRACE = 300;

type ReceivedEntry = Record<string, unknown>;

/** A plain Socket.IO client that reconnects on request, and records the entries that it received. */
async function connectPlain(url: string): Promise<{ socket: Socket; received: [event: string, payload: ReceivedEntry][] }> {
  const socket = await connect(url);
  const received: [string, ReceivedEntry][] = [];
  socket.onAny((event: string, payload: ReceivedEntry) => {
    if (payload.prev !== undefined) received.push([event, payload]);
  });
  return { socket, received };
}

const drop = async (socket: Socket): Promise<void> => {
  const gone = new Promise((resolve) => socket.once('disconnect', resolve));
  socket.io.engine.close();
  await gone;
};

/** Reconnects, to another server if one is given; returns whether it was recovered. */
async function reconnect(socket: Socket, url?: string): Promise<boolean> {
  if (url !== undefined) (socket.io as unknown as { uri: string }).uri = url;
  const back = new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
  socket.connect();
  await withTimeout(back, 'reconnect');
  return socket.recovered;
}

const say = (socket: Socket, username: string, message: string) => requestOk(socket, 'create:chat', { roomId, username, message });
async function sayAll(socket: Socket, username: string, messages: string[]): Promise<void> {
  for (let at = 0; at < messages.length; at += 500) {
    await Promise.all(messages.slice(at, at + 500).map((message) => say(socket, username, message)));
  }
}

const chatsIn = (received: [string, ReceivedEntry][]) =>
  received.filter(([event]) => event === 'create:chat:success').map(([, { message }]) => message);
const seqsIn = (received: [string, ReceivedEntry][]) => received.map(([, { seq }]) => seq);
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `${from + index}`);

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('a dropped client is recovered: it receives what it missed, once, in order, before anything new', async () => {
    const { url } = await startServer({ store: await open(), rateLimits: 'off' });
    const aya = await connect(url);
    const { socket: ben, received } = await connectPlain(url);
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await say(aya, 'aya', '0');
    await until(() => chatsIn(received).length === 1, 'the client received the first');
    await drop(ben);
    await sayAll(aya, 'aya', numbers(1, 2_000));
    const returning = reconnect(ben);
    const meanwhile = sayAll(aya, 'aya', numbers(2_000, 2_500));
    expect(await returning).toBe(true);
    await meanwhile;
    await until(() => chatsIn(received).length === 2_500, 'the client has received everything');
    expect(chatsIn(received)).toEqual(numbers(0, 2_500));
    expect(seqsIn(received)).toEqual(numbers(3, 2_504).map(Number));
    await say(ben, 'ben', 'back');
    await until(() => chatsIn(received).at(-1) === 'back', 'the client receives its own chat');
  });

  test('requesting the own name again, as tutorial clients do, succeeds and changes nothing', async () => {
    const { url, store } = await startServer({ store: await open() });
    const { socket: ben, received } = await connectPlain(url);
    await requestOk(ben, 'create:room', { roomId, username: 'ben' });
    await drop(ben);
    expect(await reconnect(ben)).toBe(true);
    const { head } = await store.read(roomId, {});
    expect(await requestOk(ben, 'add:member', { roomId, username: 'ben' })).toMatchObject({ seq: head, username: 'ben', role: 'owner' });
    await say(ben, 'ben', 'once');
    await until(() => chatsIn(received).length > 0, 'the client receives its own chat');
    expect(chatsIn(received)).toEqual(['once']);
    expect((await store.read(roomId, {})).head).toBe(head + 1);
  });

  test('another server on the same log recovers the client, as after a restart', async () => {
    const first = await startServer({ store: await open() });
    const { socket: ben, received } = await connectPlain(first.url);
    await requestOk(ben, 'create:room', { roomId, username: 'ben' });
    await say(ben, 'ben', '0');
    await until(() => chatsIn(received).length === 1, 'the client received it');
    await first.stop();
    const second = await startServer({ store: await reopenStore(first.store) });
    const aya = await connect(second.url);
    await requestOk(aya, 'add:member', { roomId, username: 'aya' });
    await say(aya, 'aya', '1');
    expect(await reconnect(ben, second.url)).toBe(true);
    await until(() => chatsIn(received).length === 2, 'the client received what it missed');
    expect(seqsIn(received)).toEqual([1, 2, 3, 4, 5]);
  });

  test('a guest whose lease expired, and for whom there is no space to rejoin, is notified and stays connected', async () => {
    const first = await startServer({ store: await open(), graceMs: GRACE });
    const aya = await connect(first.url);
    const { socket: ben } = await connectPlain(first.url);
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await first.stop();
    const second = await startServer({ store: await reopenStore(first.store), graceMs: GRACE, quotaRoomBytes: 1 });
    const isMember = async () => (await second.store.read(roomId, { keys: [memberKey('ben')] })).keys.size > 0;
    await until(async () => !(await isMember()), 'the lease of the name expired');
    expect(await reconnect(ben, second.url)).toBe(false);
    expect(await requestError(ben, 'add:member', { roomId, username: 'ben' })).toMatchObject({ code: 'quota_exceeded' });
    expect(await sendRequest(ben, 'list:rooms', {})).toMatchObject({ ok: true });
    expect(ben.connected).toBe(true);
  });

  test('a guest whose lease expired meanwhile is recovered, and a member again', async () => {
    const { url, store } = await startServer({ store: await open(), graceMs: GRACE });
    const aya = await connect(url);
    const { socket: ben, received } = await connectPlain(url);
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await drop(ben);
    await until(async () => (await store.read(roomId, { keys: ['member/ben'] })).keys.size === 0, 'the name is free');
    await say(aya, 'aya', 'missed');
    expect(await reconnect(ben)).toBe(true);
    await until(() => received.length === 4, 'the client has received everything');
    expect(received.map(([event]) => event)).toEqual([
      'add:member:success',
      'remove:member:success',
      'create:chat:success',
      'add:member:success',
    ]);
    await say(ben, 'ben', 'here again');
  });

  test('a member who was removed meanwhile does not rejoin', async () => {
    const { url } = await startServer({ store: await open() });
    const aya = await connect(url);
    const { socket: ben, received } = await connectPlain(url);
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await until(() => received.length === 1, 'the client has joined');
    await drop(ben);
    await requestOk(aya, 'remove:member', { roomId, username: 'ben' });
    await say(aya, 'aya', 'about the member');
    expect(await reconnect(ben)).toBe(false);
    expect((await requestError(ben, 'create:chat', { roomId, username: 'ben', message: 'still here' })).code).toBe('not_a_member');
    expect(received).toHaveLength(1);
  });

  test('a member who is removed during the replay receives no entry after the removal', async () => {
    const { url } = await startServer({ store: await open(), rateLimits: 'off' });
    const aya = await connect(url);
    const { socket: ben, received } = await connectPlain(url);
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await until(() => received.length === 1, 'the client has joined');
    await drop(ben);
    await sayAll(aya, 'aya', numbers(0, 3_000));
    const first = new Promise((resolve) => ben.once('create:chat:success', resolve));
    expect(await reconnect(ben)).toBe(true);
    await withTimeout(first, 'the first missed entry');
    expect(received.length, 'more entries are to be sent').toBeLessThan(3_000);
    const removal = await requestOk(aya, 'remove:member', { roomId, username: 'ben' });
    await say(aya, 'aya', 'after the removal');
    await until(() => received.at(-1)?.[0] === 'remove:member:success', 'the client receives its removal');
    await sendRequest(ben, 'list:rooms', {});
    expect(seqsIn(received)).toEqual(numbers(3, removal.seq + 1).map(Number));
    expect(chatsIn(received)).not.toContain('after the removal');
  });

  test('a client with two names in a room receives each entry once', async () => {
    const { url } = await startServer({ store: await open() });
    const aya = await connect(url);
    const { socket: ben, received } = await connectPlain(url);
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    for (const username of ['ben', 'benji']) await requestOk(ben, 'add:member', { roomId, username });
    await until(() => received.length === 2, 'the client has joined');
    await drop(ben);
    await say(aya, 'aya', 'missed');
    expect(await reconnect(ben)).toBe(true);
    await say(ben, 'ben', 'here');
    await say(ben, 'benji', 'here, too');
    await until(() => chatsIn(received).at(-1) === 'here, too', 'the client has received everything');
    expect(seqsIn(received)).toEqual([3, 4, 5, 6, 7]);
  });

  test('in several rooms each is complete; entries repeat only where the clocks of rooms differ', async () => {
    const { url, store } = await startServer({ store: await open(), rateLimits: 'off' });
    const aya = await connect(url);
    const { socket: ben, received } = await connectPlain(url);
    const rooms = ['one', 'two', 'three'];
    for (const room of rooms) {
      await requestOk(aya, 'create:room', { roomId: room, username: 'aya' });
      await requestOk(ben, 'add:member', { roomId: room, username: 'ben' });
    }
    const sayIn = (room: string, message: string) => requestOk(aya, 'create:chat', { roomId: room, username: 'aya', message });
    for (const room of rooms) await sayIn(room, 'received');
    await until(() => chatsIn(received).length === 3, 'the client has received everything');
    await drop(ben);
    for (const round of numbers(0, 20)) for (const room of rooms) await sayIn(room, round);
    expect(await reconnect(ben)).toBe(true);
    for (const room of rooms) await sayIn(room, 'end');
    await until(() => chatsIn(received).filter((message) => message === 'end').length === 3, 'the client received the last chats');
    for (const room of rooms) {
      const own = seqsIn(received.filter(([, { roomId: where }]) => where === room));
      // Perhaps also chats from just before the join.
      const once = [...new Set(own)].filter((seq) => Number(seq) >= 3);
      expect(store.maxClockSkewUs > 0 ? once : own).toEqual(numbers(3, 26).map(Number));
    }
  });
});

test('a deleted or replaced text is sent in its current state', async () => {
  const { url } = await startServer();
  const aya = await connect(url);
  const { socket: ben, received } = await connectPlain(url);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  await until(() => received.length === 1, 'the client has joined');
  await drop(ben);
  const [edited, deleted] = [await say(aya, 'aya', 'helo'), await say(aya, 'aya', 'oops')].map(({ seq }) => seq) as [number, number];
  await requestOk(aya, 'update:chat', { roomId, username: 'aya', chatSeq: edited, message: 'hell' });
  const { seq } = await requestOk(aya, 'update:chat', { roomId, username: 'aya', chatSeq: edited, message: 'hello' });
  await requestOk(aya, 'delete:chat', { roomId, username: 'aya', chatSeq: deleted });
  expect(await reconnect(ben)).toBe(true);
  await until(() => received.length === 5, 'the client has received everything');
  expect(received.slice(1)).toMatchObject([
    ['create:chat:success', { message: 'hello', edited: seq }],
    ['create:chat:success', { message: '', deleted: true }],
    ['update:chat:success', { chatSeq: edited, message: 'hello' }],
    ['delete:chat:success', { chatSeq: deleted }],
  ]);
});

test('a client that received entries which the log lost is not recovered', async () => {
  const { url, store } = await startServer();
  const aya = await connect(url);
  const { socket: ben, received } = await connectPlain(url);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  const lagging = await copyOf(store);
  await say(aya, 'aya', 'lost');
  await until(() => chatsIn(received).includes('lost'), 'the client received it');
  await drop(ben);
  const second = await startServer({ store: lagging });
  expect(await reconnect(ben, second.url)).toBe(false);
});

/** A copy of the rooms in another store. */
async function copyOf(store: Store): Promise<Store> {
  const copy = await newStore();
  await copy.importChunk((await store.exportChunk(roomId, null)) as RoomChunk);
  return copy;
}

describe('attack 37: the auth payload of a client', () => {
  const victims = 'victim';

  async function setUp() {
    const { url } = await startServer({ rateLimits: 'off' });
    const aya = await connect(url);
    const { session } = await requestOk(aya, 'create:room', { roomId, username: victims });
    await say(aya, victims, 'private');
    return { url, aya, session, pid: pidOf(aya) };
  }

  test.each([
    ['a pid that was never given', 'x'.repeat(32)],
    ['a pid of plain Socket.IO', 'dHvYzQfTqk3CXGYrAAAB'],
    ['an empty pid', ''],
    ['a pid of a prototype', '__proto__'],
    ['a pid of 50,000 letters', 'x'.repeat(50_000)],
  ])('%s resumes nothing, and receives nothing', async (_, pid) => {
    const { url, aya } = await setUp();
    const mallory = await connect(url, { auth: { pid, offset: '0' } });
    const received = collectEvents(mallory, 'create:chat:success');
    expect(mallory.recovered).toBeFalsy();
    await say(aya, victims, 'still private');
    expect((await requestError(mallory, 'create:chat', { roomId, username: victims, message: 'x' })).code).toBe('not_a_member');
    expect(received).toEqual([]);
  });

  test('a recovery token authenticates its client, and does not contain the session', async () => {
    const { url, pid, session } = await setUp();
    expect(pid).not.toContain(session);
    const again = await connect(url, { auth: { pid } });
    expect(await requestOk(again, 'add:member', { roomId, username: victims })).toMatchObject({ role: 'owner', session });
    expect(pidOf(again)).not.toBe(pid);
  });

  test.each([
    ['the session', (_: string, session: string) => session],
    ['a token with a changed nonce', (pid: string) => changed(pid, 3)],
    ['a token with a changed session', (pid: string) => changed(pid, 30)],
    ['a token with a changed signature', (pid: string) => changed(pid, pid.length - 3)],
    ['a shortened token', (pid: string) => pid.slice(0, -2)],
    ['two tokens in one', (pid: string) => pid + pid],
  ])('%s is not accepted', async (_, forge) => {
    const { url, pid, session } = await setUp();
    const mallory = await connect(url, { auth: { pid: forge(pid, session) } });
    expect((await requestError(mallory, 'create:chat', { roomId, username: victims, message: 'x' })).code).toBe('not_a_member');
  });

  test('a client is refused while the store cannot be read, connects again by itself, and is admitted', async () => {
    const store = await newStore();
    let failures = 2;
    const secret = async () => {
      failures -= 1;
      if (failures >= 0) throw new StoreError('busy', 'Not now.');
      return store.secret();
    };
    const { url } = await startServer({ store: withOverrides(store, { secret }) });
    const aya = newClient(url, { reconnection: true, reconnectionDelay: 10 });
    await until(() => aya.connected, 'the client is admitted');
    expect(failures).toBe(-1);
    expect((await requestOk(aya, 'create:room', { roomId, username: 'aya' })).role).toBe('owner');
  });

  test('a token of another server is not accepted', async () => {
    const [{ pid }, { url }] = [await setUp(), await setUp()];
    const mallory = await connect(url, { auth: { pid } });
    expect((await requestError(mallory, 'create:chat', { roomId, username: victims, message: 'x' })).code).toBe('not_a_member');
  });

  test.each(['', '-1', 'NaN', '0-0', '1e3', '0x10', "1' OR '1'='1", '9'.repeat(17), '1'.repeat(50_000), '١٢'])(
    'the offset %j recovers no client',
    async (offset) => {
      const { url, pid, aya } = await setUp();
      const again = await connect(url, { auth: { pid, offset } });
      expect(again.recovered).toBeFalsy();
      expect((await requestOk(again, 'add:member', { roomId, username: victims })).role).toBe('owner');
      expect(aya.connected).toBe(true);
    },
  );

  test.each([
    ['no texts', { pid: { $ne: null }, offset: ['0'] }],
    ['numbers', { pid: 1, offset: 0 }],
    ['null', { pid: null, offset: null }],
  ])('%s recover no client', async (_, auth) => {
    const { url, aya } = await setUp();
    expect((await connect(url, { auth })).recovered).toBeFalsy();
    expect(aya.connected).toBe(true);
  });
});

describe('a member who joins again, as after a reload', () => {
  const session = 'a'.repeat(32);

  /** A client with this session that joins the rooms. */
  async function reloaded(url: string, roomIds: string[]) {
    const socket = await connect(url, { auth: { session } });
    const received: [event: string, payload: ReceivedEntry][] = [];
    socket.onAny((event: string, payload: ReceivedEntry) => {
      if (payload.prev !== undefined) received.push([event, payload]);
    });
    for (const id of roomIds) await requestOk(socket, 'add:member', { roomId: id, username: 'ben' });
    return { socket, received };
  }

  async function setUp() {
    const server = await startServer({ rateLimits: 'off' });
    const aya = await connect(server.url);
    for (const id of ['veranda', 'kitchen', 'garden']) await requestOk(aya, 'create:room', { roomId: id, username: 'aya' });
    const addChat = (id: string, message: string) => requestOk(aya, 'create:chat', { roomId: id, username: 'aya', message });
    const first = await reloaded(server.url, ['veranda', 'kitchen', 'garden']);
    await addChat('kitchen', 'before');
    await drop(first.socket);
    return { ...server, addChat };
  }

  test('is recovered after a drop before any entry, and receives what was missed once', async () => {
    const { url, addChat } = await setUp();
    const { socket, received } = await reloaded(url, ['kitchen', 'veranda']);
    await drop(socket);
    await addChat('veranda', 'missed');
    expect(await reconnect(socket)).toBe(true);
    await until(() => chatsIn(received).length > 0, 'the entry is broadcast');
    await addChat('veranda', 'after');
    await until(() => chatsIn(received).includes('after'), 'everything is received');
    expect(chatsIn(received)).toEqual(['missed', 'after']);
  });

  test('receives nothing twice, and misses nothing, for any order of joins and chats', async () => {
    const { url, addChat } = await setUp();
    for (const order of [
      ['veranda', 'kitchen', 'garden'],
      ['garden', 'kitchen', 'veranda'],
    ]) {
      const { socket, received } = await reloaded(url, order.slice(0, 2));
      await addChat(String(order[0]), 'received');
      await until(() => chatsIn(received).length === 1, 'it is received');
      await requestOk(socket, 'add:member', { roomId: String(order[2]), username: 'ben' });
      await drop(socket);
      for (const id of order) await addChat(id, `missed in ${id}`);
      expect(await reconnect(socket)).toBe(true);
      const missed = order.map((id) => `missed in ${id}`);
      await until(() => missed.every((message) => chatsIn(received).includes(message)), 'everything is received');
      expect(new Set(received.map(([, { roomId: id, seq }]) => `${String(id)} ${String(seq)}`)).size).toBe(received.length);
      // On Redis the clocks of servers may differ: chats from just before the join may arrive, too.
      if (!isOnRedis) expect(chatsIn(received)).toHaveLength(4);
      await drop(socket);
    }
  });
});

/** The recovery token that the library of a client shows when it reconnects. */
const pidOf = (socket: Socket): string => (socket as unknown as { _pid: string })._pid;

/** The token with another character at this place. */
const changed = (token: string, at: number): string => token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
