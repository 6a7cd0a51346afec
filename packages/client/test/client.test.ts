/** The client: session, storage, states, joins and wake-ups, against the scripted server. */
import type { ClientStorage } from '@engawa/client';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { advanceTime, joinRoom, memoryStorage, messages, newClient, slowStorage, unsentIn, useFakeTime } from './helpers/clients.ts';
import { ROOM } from './helpers/log.ts';
import { ScriptedServer } from './helpers/scripted-server.ts';

beforeEach(useFakeTime);

const KEY = `engawa:http://hall:room:${ROOM}`;

/** A storage that takes a tenth of a second to write. */
function slowMemory(): { stored: Record<string, string>; slow: ClientStorage } {
  const storage = memoryStorage();
  return { stored: storage.items, slow: slowStorage(storage, { read: 0, write: 100 }) };
}

test('the state of a client is connecting, online, reconnecting and closed', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const states = [client.state];
  client.on('state', (state) => states.push(state));
  await advanceTime();
  hall.drop();
  hall.open();
  await advanceTime();
  void client.close();
  void client.close();
  expect(states).toEqual(['connecting', 'online', 'reconnecting', 'online', 'closed']);
});

test('a client creates its own session secret, and has the same one after a reload', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  for (let load = 0; load < 2; load += 1) {
    newClient(hall, { storage }).sync();
    await advanceTime();
  }
  newClient(hall, { storage: memoryStorage() }).sync();
  await advanceTime();
  const [first, second, other] = hall.sessions;
  expect(first).toMatch(/^\w{48}$/);
  expect(second).toBe(first);
  expect(other).not.toBe(first);
});

test.each([
  '{',
  'null',
  '7',
  '"short"',
  '{"username":"aya","position":{"epoch":1},"outbox":[null,{"clientId":7}]}',
  '{"username":"aya","outbox":"x"}',
])('a stored value that cannot be read counts as missing: %s', async (text) => {
  const hall = new ScriptedServer();
  const storage = memoryStorage({ 'engawa:http://hall:session': text, [KEY]: text });
  const { room } = await joinRoom(newClient(hall, { storage }));
  expect(room.state).toBe('live');
  expect(hall.sessions[0]).toMatch(/^\w{48}$/);
});

test.each([
  {
    how: 'throws',
    fail: () => {
      throw new Error('full');
    },
  },
  { how: 'rejects', fail: () => Promise.reject(new Error('full')) },
])('a storage that $how is reported once, and chats are still sent', async ({ fail }) => {
  const hall = new ScriptedServer();
  const client = newClient(hall, { storage: { getItem: fail, setItem: fail, removeItem: fail } });
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  const { room } = await joinRoom(client);
  const sent = room.send('hello');
  await advanceTime(1_000);
  expect(sent.state).toBe('sent');
  expect(errors).toEqual(['storage_failed']);
});

test('a closed room receives nothing more, stays joined, and resumes at its position after the next join', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall, { storage: memoryStorage() });
  const { room, events } = await joinRoom(client);
  hall.drop();
  const sent = room.send('sent later');
  room.close();
  expect([room.state, room.ending, client.rooms]).toEqual(['ended', { reason: 'closed' }, []]);
  expect(await sent.settled).toMatchObject({ ok: false, error: { code: 'closed' } });
  const before = [...events.seqs];
  hall.open();
  await advanceTime(10_000);
  expect(hall.requestsOf('remove:member')).toEqual([]);
  expect(hall.requestsOf('create:chat')).toEqual([]);
  expect(events.seqs).toEqual(before);
  const joining = client.join(ROOM, { username: 'aya' });
  await advanceTime(1_000);
  expect(await joining).not.toBe(room);
  await advanceTime(1_000);
  expect(hall.requestsOf('create:chat')).toMatchObject([{ message: 'sent later' }]);
});

test('a slow storage is written in order, and before a chat is sent', async () => {
  const hall = new ScriptedServer();
  const { stored: items, slow } = slowMemory();
  const joining = newClient(hall, { storage: slow }).join(ROOM, { username: 'aya' });
  await advanceTime(1_000);
  const room = await joining;
  const sent = room.send('hello');
  await advanceTime(99);
  expect(hall.requestsOf('create:chat')).toEqual([]);
  await advanceTime(1_000);
  expect(sent.state).toBe('sent');
  expect(unsentIn({ items })).toEqual([]);
  expect(JSON.parse(items[KEY] ?? '')).toMatchObject({ position: { seq: 2 } });
});

test('close() resolves when a slow storage has finished its writes', async () => {
  const hall = new ScriptedServer();
  const { stored: items, slow } = slowMemory();
  const client = newClient(hall, { storage: slow });
  const joining = client.join(ROOM, { username: 'aya' });
  await advanceTime(1_000);
  const room = await joining;
  hall.drop();
  room.send('one');
  await advanceTime(50);
  room.send('two');
  let isClosed = false;
  void client.close().then(() => (isClosed = true));
  expect(client.state).toBe('closed');
  // Two chats, and the position of the room.
  await advanceTime(240);
  expect(isClosed).toBe(false);
  await advanceTime(20);
  expect(isClosed).toBe(true);
  expect(unsentIn({ items }).map((text) => (JSON.parse(text) as { fields: object }).fields)).toEqual([
    { message: 'one' },
    { message: 'two' },
  ]);
});

test('listRooms waits for a connection, over as many as necessary, and fails when the client is closed', async () => {
  const hall = new ScriptedServer();
  hall.isOpen = false;
  const client = newClient(hall);
  hall.failNext('list:rooms', { code: 'rate_limited', retryable: true, retryAfterMs: 3_000 });
  hall.failNext('list:rooms', 'lost');
  hall.failNext('list:rooms', { rooms: [{ roomId: 'b' }], hasMore: true });
  const listing = client.listRooms({ after: 'a', limit: 1 });
  await advanceTime(60_000);
  expect(hall.requestsOf('list:rooms')).toEqual([]);
  hall.open();
  await advanceTime(30_000);
  expect(await listing).toEqual({ ok: true, rooms: [{ roomId: 'b' }], hasMore: true });
  expect(hall.requestsOf('list:rooms')).toEqual(Array.from({ length: 3 }, () => ({ after: 'a', limit: 1 })));

  hall.failNext('list:rooms', { code: 'invalid_payload' });
  const refused = client.listRooms({ limit: 0 });
  await advanceTime();
  expect(await refused).toMatchObject({ ok: false, error: { code: 'invalid_payload' } });
  hall.drop();
  const late = client.listRooms();
  void client.close();
  expect(await late).toMatchObject({ ok: false, error: { code: 'closed' } });
  expect(await client.listRooms()).toMatchObject({ ok: false, error: { code: 'closed' } });
});

test('a position is stored after the listeners were called, a few times a second, and at the close', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const client = newClient(hall, { storage });
  const { room } = await joinRoom(client);
  await advanceTime(1_000);
  const seq = () => (JSON.parse(storage.items[KEY] ?? '{}') as { position?: { seq: number } }).position?.seq;
  const seen: unknown[] = [];
  room.on('entry', () => seen.push(seq()));
  for (let count = 0; count < 3; count += 1) hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'x' });
  expect(seen).toEqual([1, 1, 1]);
  await advanceTime(249);
  expect(seq()).toBe(1);
  await advanceTime(1);
  expect(seq()).toBe(4);
  hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'x' });
  void client.close();
  expect(seq()).toBe(5);
});

test('a retryable rejection is reported, and retried after its delay', async () => {
  const hall = new ScriptedServer();
  hall.isOpen = false;
  const client = newClient(hall);
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  await advanceTime();
  hall.rejectConnections({ code: 'rate_limited', retryable: true, retryAfterMs: 7_000 });
  hall.isOpen = true;
  await advanceTime(6_999);
  expect(client.state).toBe('connecting');
  await advanceTime(1);
  expect(client.state).toBe('online');
  expect(errors).toEqual(['rate_limited']);
});

test('a final rejection closes the client', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const { room } = await joinRoom(client);
  hall.drop();
  hall.rejectConnections({ code: 'invalid_session', retryable: false });
  expect(client.state).toBe('closed');
  expect(room.ending).toEqual({ reason: 'closed' });
  await expect(client.join(ROOM, { username: 'aya' })).rejects.toMatchObject({ code: 'closed' });
});

test('a client that is closed by its error listener stays closed', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  await joinRoom(client);
  client.on('error', () => void client.close());
  hall.drop();
  hall.isOpen = true;
  hall.rejectConnections({ code: 'busy', retryable: true });
  await advanceTime(60_000);
  expect(client.state).toBe('closed');
  expect(hall.sessions).toHaveLength(1);
});

test('a server that announces its shutdown is left without an error, and rejoined at the announced time', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const { room } = await joinRoom(client);
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  hall.emit('server:closing', { reconnectAfterMs: 3_000 });
  expect(client.state).toBe('online');
  await advanceTime(1_000);
  hall.drop();
  hall.open();
  await advanceTime(1_999);
  expect([client.state, room.state]).toEqual(['reconnecting', 'offline']);
  await advanceTime(1);
  expect([client.state, room.state]).toEqual(['online', 'live']);
  expect(errors).toEqual([]);
});

test('a server that announces its shutdown and does not stop is left at the announced time', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  await joinRoom(client);
  hall.emit('server:closing', { reconnectAfterMs: 3_000 });
  await advanceTime(3_001);
  expect(client.state).toBe('online');
  expect(hall.sessions).toHaveLength(2);
});

test('after sleep the rooms resume, and a connection that does not answer is replaced', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  vi.setSystemTime(Date.now() + 60_000);
  hall.failNext('resume:rooms', 'never');
  await advanceTime(5_000);
  expect(room.isStale).toBe(true);
  await advanceTime(5_001);
  expect(hall.sessions).toHaveLength(2);
  await advanceTime(1_000);
  expect(room.state).toBe('live');
});

test('after sleep a client without a connection reconnects at once, except for a delay from the server', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const { room } = await joinRoom(client);
  hall.drop();
  await advanceTime(60_000);
  hall.isOpen = true;
  expect(client.state).toBe('reconnecting');
  client.sync();
  await advanceTime();
  expect([client.state, room.state]).toEqual(['online', 'live']);
  hall.emit('server:closing', { reconnectAfterMs: 3_000 });
  hall.drop();
  hall.isOpen = true;
  client.sync();
  await advanceTime(2_999);
  expect(client.state).toBe('reconnecting');
  await advanceTime(1);
  expect(client.state).toBe('online');
});

test('a request that is pending at the wake-up does not delay the resume', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const { room } = await joinRoom(client);
  hall.failNext('resume:rooms', 'never');
  hall.failNext('list:rooms', 'never');
  hall.drop();
  hall.open();
  await advanceTime(1_000);
  client.sync();
  await advanceTime(6_000);
  expect(hall.sessions).toHaveLength(3);
  await advanceTime(1_000);
  expect(room.state).toBe('live');
});

test('a stored position survives a client that is closed before it joins', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const first = newClient(hall, { storage });
  await joinRoom(first);
  void first.close();
  hall.drop();
  const second = newClient(hall, { storage });
  const joining = second.join(ROOM, { username: 'aya' }).catch((error: unknown) => error);
  await advanceTime(1_000);
  void second.close();
  expect(await joining).toMatchObject({ code: 'closed' });
  expect(JSON.parse(storage.items[KEY] ?? '')).toMatchObject({ position: { epoch: 'e1', seq: 1 } });
});

test('a client without rooms also checks its connection after sleep', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  client.sync();
  await advanceTime();
  hall.failNext('list:rooms', 'never');
  client.sync();
  await advanceTime(5_001);
  expect(hall.sessions).toHaveLength(2);
});

test('a page resumes when it is shown, and stores its position when it is hidden', async () => {
  const page = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
  vi.stubGlobal('document', document);
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  onTestFinished(() => void vi.unstubAllGlobals());
  const hall = new ScriptedServer();
  const storage = memoryStorage({ 'engawa:http://hall:session': JSON.stringify('s'.repeat(48)) });
  await joinRoom(newClient(hall, { storage }));
  hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'x' });
  document.dispatchEvent(new Event('visibilitychange'));
  expect(JSON.parse(storage.items[KEY] ?? '')).toMatchObject({ position: { seq: 2 } });
  expect(hall.requestsOf('resume:rooms')).toHaveLength(0);
  document.visibilityState = 'visible';
  document.dispatchEvent(new Event('visibilitychange'));
  page.dispatchEvent(new Event('online'));
  await advanceTime();
  expect(hall.requestsOf('resume:rooms')).toHaveLength(1);
});

test('a second join of a room returns the same room, and fails under another name', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const { room } = await joinRoom(client);
  expect(await client.join(ROOM, { username: 'aya' })).toBe(room);
  await expect(client.join(ROOM, { username: 'ben' })).rejects.toMatchObject({ code: 'name_taken' });
  expect(client.rooms).toEqual([room]);
  expect(hall.requestsOf('add:member')).toHaveLength(1);
});

test('a join that is refused with a retryable error is reported and retried', async () => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const errors: unknown[] = [];
  client.on('error', ({ code, roomId }) => errors.push([code, roomId]));
  hall.failNext('add:member', { code: 'storage_full', retryable: true, retryAfterMs: 500 });
  const joining = joinRoom(client);
  await advanceTime(500);
  expect((await joining).room.state).toBe('live');
  expect(errors).toEqual([['storage_full', ROOM]]);
});

test('a join waits for the connection', async () => {
  const hall = new ScriptedServer();
  hall.isOpen = false;
  const joining = joinRoom(newClient(hall));
  await advanceTime(60_000);
  hall.open();
  await advanceTime();
  expect((await joining).room.state).toBe('live');
});

test('a join with a position delivers the entries after it', async () => {
  const hall = new ScriptedServer();
  for (const message of ['one', 'two', 'three']) hall.addEntry({ kind: 'create:chat', by: 'ben', message });
  const { room, events } = await joinRoom(newClient(hall), { from: hall.log?.positionAt(1) ?? 'newest' });
  await advanceTime();
  expect(events.seqs).toEqual([2, 3, 4]);
  expect(messages(room)).toEqual(['one', 'two', 'three']);
});

test('an error of a listener does not affect the client', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  const thrown = new Promise((resolve) => process.prependOnceListener('uncaughtException', resolve));
  const others = process.rawListeners('uncaughtException').slice(1) as NodeJS.UncaughtExceptionListener[];
  for (const other of others) process.off('uncaughtException', other);
  onTestFinished(() => others.forEach((other) => void process.on('uncaughtException', other)));
  const stop = room.on('chat', () => {
    throw new Error('of the application');
  });
  hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'x' });
  stop();
  hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'y' });
  expect(events.seqs).toEqual([2, 3]);
  expect(await thrown).toMatchObject({ message: 'of the application' });
});
