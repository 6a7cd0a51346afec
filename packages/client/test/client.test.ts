import type { ClientStorage } from '@engawa/client';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { joined, memory, messages, newClient, ownTime, pass, slowed, unsent } from './helpers/clients.ts';
import { Hall } from './helpers/hall.ts';
import { ROOM } from './helpers/log.ts';

beforeEach(ownTime);

const KEY = `engawa:http://hall:room:${ROOM}`;

/** A storage that takes a tenth of a second to write. */
function slowMemory(): { kept: Record<string, string>; slow: ClientStorage } {
  const storage = memory();
  return { kept: storage.kept, slow: slowed(storage, { read: 0, write: 100 }) };
}

test('a client is connecting, online, reconnecting and closed', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const states = [client.state];
  client.on('state', (state) => states.push(state));
  await pass();
  hall.drop();
  hall.open();
  await pass();
  void client.close();
  void client.close();
  expect(states).toEqual(['connecting', 'online', 'reconnecting', 'online', 'closed']);
});

test('its session is a secret of its own making, and the same after a reload', async () => {
  const hall = new Hall();
  const storage = memory();
  for (let load = 0; load < 2; load += 1) {
    newClient(hall, { storage }).sync();
    await pass();
  }
  newClient(hall, { storage: memory() }).sync();
  await pass();
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
])('what is stored and cannot be read is as good as nothing: %s', async (text) => {
  const hall = new Hall();
  const storage = memory({ 'engawa:http://hall:session': text, [KEY]: text });
  const { room } = await joined(newClient(hall, { storage }));
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
])('a storage that $how is told once and keeps nobody from chatting', async ({ fail }) => {
  const hall = new Hall();
  const client = newClient(hall, { storage: { getItem: fail, setItem: fail, removeItem: fail } });
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  const { room } = await joined(client);
  const sent = room.send('hello');
  await pass(1_000);
  expect(sent.state).toBe('sent');
  expect(errors).toEqual(['storage_failed']);
});

test('a room that is closed is followed no more, leaves nobody, and goes on where it was when it is joined again', async () => {
  const hall = new Hall();
  const client = newClient(hall, { storage: memory() });
  const { room, told } = await joined(client);
  hall.drop();
  const sent = room.send('kept for later');
  room.close();
  expect([room.state, room.ending, client.rooms]).toEqual(['ended', { reason: 'closed' }, []]);
  expect(await sent.settled).toMatchObject({ ok: false, error: { code: 'closed' } });
  const before = [...told.seqs];
  hall.open();
  await pass(10_000);
  expect(hall.asksOf('remove:member')).toEqual([]);
  expect(hall.asksOf('create:chat')).toEqual([]);
  expect(told.seqs).toEqual(before);
  const joining = client.join(ROOM, { username: 'aya' });
  await pass(1_000);
  expect(await joining).not.toBe(room);
  await pass(1_000);
  expect(hall.asksOf('create:chat')).toMatchObject([{ message: 'kept for later' }]);
});

test('a slow storage is written in order, and before a chat is asked', async () => {
  const hall = new Hall();
  const { kept, slow } = slowMemory();
  const joining = newClient(hall, { storage: slow }).join(ROOM, { username: 'aya' });
  await pass(1_000);
  const room = await joining;
  const sent = room.send('hello');
  await pass(99);
  expect(hall.asksOf('create:chat')).toEqual([]);
  await pass(1_000);
  expect(sent.state).toBe('sent');
  expect(unsent({ kept })).toEqual([]);
  expect(JSON.parse(kept[KEY] ?? '')).toMatchObject({ position: { seq: 2 } });
});

test('a client is closed when a slow storage has written all', async () => {
  const hall = new Hall();
  const { kept, slow } = slowMemory();
  const client = newClient(hall, { storage: slow });
  const joining = client.join(ROOM, { username: 'aya' });
  await pass(1_000);
  const room = await joining;
  hall.drop();
  room.send('one');
  await pass(50);
  room.send('two');
  let isClosed = false;
  void client.close().then(() => (isClosed = true));
  expect(client.state).toBe('closed');
  // Two chats, and where the room is.
  await pass(240);
  expect(isClosed).toBe(false);
  await pass(20);
  expect(isClosed).toBe(true);
  expect(unsent({ kept }).map((text) => (JSON.parse(text) as { fields: object }).fields)).toEqual([{ message: 'one' }, { message: 'two' }]);
});

test('the rooms are listed as soon as there is a connection, over as many as it takes, or never', async () => {
  const hall = new Hall();
  hall.isOpen = false;
  const client = newClient(hall);
  hall.fail('list:rooms', { code: 'rate_limited', retryable: true, retryAfter: 3_000 });
  hall.fail('list:rooms', 'lost');
  hall.fail('list:rooms', { rooms: [{ roomId: 'b' }], more: true });
  const listing = client.listRooms({ after: 'a', limit: 1 });
  await pass(60_000);
  expect(hall.asksOf('list:rooms')).toEqual([]);
  hall.open();
  await pass(30_000);
  expect(await listing).toEqual({ ok: true, rooms: [{ roomId: 'b' }], more: true });
  expect(hall.asksOf('list:rooms')).toEqual(Array.from({ length: 3 }, () => ({ after: 'a', limit: 1 })));

  hall.fail('list:rooms', { code: 'invalid_payload' });
  const refused = client.listRooms({ limit: 0 });
  await pass();
  expect(await refused).toMatchObject({ ok: false, error: { code: 'invalid_payload' } });
  hall.drop();
  const late = client.listRooms();
  void client.close();
  expect(await late).toMatchObject({ ok: false, error: { code: 'closed' } });
  expect(await client.listRooms()).toMatchObject({ ok: false, error: { code: 'closed' } });
});

test('a position is written only after the listeners were told, a few times a second, and at the close', async () => {
  const hall = new Hall();
  const storage = memory();
  const client = newClient(hall, { storage });
  const { room } = await joined(client);
  await pass(1_000);
  const seq = () => (JSON.parse(storage.kept[KEY] ?? '{}') as { position?: { seq: number } }).position?.seq;
  const seen: unknown[] = [];
  room.on('entry', () => seen.push(seq()));
  for (let count = 0; count < 3; count += 1) hall.tell({ kind: 'create:chat', by: 'ben', message: 'x' });
  expect(seen).toEqual([1, 1, 1]);
  await pass(249);
  expect(seq()).toBe(1);
  await pass(1);
  expect(seq()).toBe(4);
  hall.tell({ kind: 'create:chat', by: 'ben', message: 'x' });
  void client.close();
  expect(seq()).toBe(5);
});

test('a refusal that may pass is told, and tried again when it may', async () => {
  const hall = new Hall();
  hall.isOpen = false;
  const client = newClient(hall);
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  await pass();
  hall.refuse({ code: 'rate_limited', retryable: true, retryAfter: 7_000 });
  hall.isOpen = true;
  await pass(6_999);
  expect(client.state).toBe('connecting');
  await pass(1);
  expect(client.state).toBe('online');
  expect(errors).toEqual(['rate_limited']);
});

test('a refusal for good closes the client', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const { room } = await joined(client);
  hall.drop();
  hall.refuse({ code: 'invalid_session', retryable: false });
  expect(client.state).toBe('closed');
  expect(room.ending).toEqual({ reason: 'closed' });
  await expect(client.join(ROOM, { username: 'aya' })).rejects.toMatchObject({ code: 'closed' });
});

test('a client that is closed when it hears of a refusal stays closed', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  await joined(client);
  client.on('error', () => void client.close());
  hall.drop();
  hall.isOpen = true;
  hall.refuse({ code: 'busy', retryable: true });
  await pass(60_000);
  expect(client.state).toBe('closed');
  expect(hall.sessions).toHaveLength(1);
});

test('a server that is about to stop is left without an error, and come back to at the time it gives', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const { room } = await joined(client);
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  hall.say('close:connection', { returnAfter: 3_000 });
  expect(client.state).toBe('online');
  await pass(1_000);
  hall.drop();
  hall.open();
  await pass(1_999);
  expect([client.state, room.state]).toEqual(['reconnecting', 'offline']);
  await pass(1);
  expect([client.state, room.state]).toEqual(['online', 'live']);
  expect(errors).toEqual([]);
});

test('a server that says it stops and does not is left at that time', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  await joined(client);
  hall.say('close:connection', { returnAfter: 3_000 });
  await pass(3_001);
  expect(client.state).toBe('online');
  expect(hall.sessions).toHaveLength(2);
});

test('after a sleep the rooms are asked for, and a connection that does not answer is replaced', async () => {
  const hall = new Hall();
  const { room } = await joined(newClient(hall));
  vi.setSystemTime(Date.now() + 60_000);
  hall.fail('resume:rooms', 'never');
  await pass(5_000);
  expect(room.stale).toBe(true);
  await pass(5_001);
  expect(hall.sessions).toHaveLength(2);
  await pass(1_000);
  expect(room.state).toBe('live');
});

test('a client that wakes without a connection does not wait for the next try, but for a time that the server gave', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const { room } = await joined(client);
  hall.drop();
  await pass(60_000);
  hall.isOpen = true;
  expect(client.state).toBe('reconnecting');
  client.sync();
  await pass();
  expect([client.state, room.state]).toEqual(['online', 'live']);
  hall.say('close:connection', { returnAfter: 3_000 });
  hall.drop();
  hall.isOpen = true;
  client.sync();
  await pass(2_999);
  expect(client.state).toBe('reconnecting');
  await pass(1);
  expect(client.state).toBe('online');
});

test('a question that is open when the client wakes does not make it wait', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const { room } = await joined(client);
  hall.fail('resume:rooms', 'never');
  hall.fail('list:rooms', 'never');
  hall.drop();
  hall.open();
  await pass(1_000);
  client.sync();
  await pass(6_000);
  expect(hall.sessions).toHaveLength(3);
  await pass(1_000);
  expect(room.state).toBe('live');
});

test('a stored position outlives a client that never got so far as to join', async () => {
  const hall = new Hall();
  const storage = memory();
  const first = newClient(hall, { storage });
  await joined(first);
  void first.close();
  hall.drop();
  const second = newClient(hall, { storage });
  const joining = second.join(ROOM, { username: 'aya' }).catch((error: unknown) => error);
  await pass(1_000);
  void second.close();
  expect(await joining).toMatchObject({ code: 'closed' });
  expect(JSON.parse(storage.kept[KEY] ?? '')).toMatchObject({ position: { epoch: 'e1', seq: 1 } });
});

test('a client without rooms finds out, too, whether its connection answers', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  client.sync();
  await pass();
  hall.fail('list:rooms', 'never');
  client.sync();
  await pass(5_001);
  expect(hall.sessions).toHaveLength(2);
});

test('a page that is shown again asks, and one that is left writes down where it is', async () => {
  const page = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
  vi.stubGlobal('document', document);
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  onTestFinished(() => void vi.unstubAllGlobals());
  const hall = new Hall();
  const storage = memory({ 'engawa:http://hall:session': JSON.stringify('s'.repeat(48)) });
  await joined(newClient(hall, { storage }));
  hall.tell({ kind: 'create:chat', by: 'ben', message: 'x' });
  document.dispatchEvent(new Event('visibilitychange'));
  expect(JSON.parse(storage.kept[KEY] ?? '')).toMatchObject({ position: { seq: 2 } });
  expect(hall.asksOf('resume:rooms')).toHaveLength(0);
  document.visibilityState = 'visible';
  document.dispatchEvent(new Event('visibilitychange'));
  page.dispatchEvent(new Event('online'));
  await pass();
  expect(hall.asksOf('resume:rooms')).toHaveLength(1);
});

test('a room is joined once, and under one name', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const { room } = await joined(client);
  expect(await client.join(ROOM, { username: 'aya' })).toBe(room);
  await expect(client.join(ROOM, { username: 'ben' })).rejects.toMatchObject({ code: 'name_taken' });
  expect(client.rooms).toEqual([room]);
  expect(hall.asksOf('add:member')).toHaveLength(1);
});

test('a join that is refused for now says why, and is asked again', async () => {
  const hall = new Hall();
  const client = newClient(hall);
  const errors: unknown[] = [];
  client.on('error', ({ code, roomId }) => errors.push([code, roomId]));
  hall.fail('add:member', { code: 'storage_full', retryable: true, retryAfter: 500 });
  const joining = joined(client);
  await pass(500);
  expect((await joining).room.state).toBe('live');
  expect(errors).toEqual([['storage_full', ROOM]]);
});

test('a join waits for its connection', async () => {
  const hall = new Hall();
  hall.isOpen = false;
  const joining = joined(newClient(hall));
  await pass(60_000);
  hall.open();
  await pass();
  expect((await joining).room.state).toBe('live');
});

test('an own position is where a room begins', async () => {
  const hall = new Hall();
  for (const message of ['one', 'two', 'three']) hall.tell({ kind: 'create:chat', by: 'ben', message });
  const { room, told } = await joined(newClient(hall), { from: hall.log?.positionAt(1) ?? 'newest' });
  await pass();
  expect(told.seqs).toEqual([2, 3, 4]);
  expect(messages(room)).toEqual(['one', 'two', 'three']);
});

test('a listener that throws is not heard of by the client', async () => {
  const hall = new Hall();
  const { room, told } = await joined(newClient(hall));
  const thrown = new Promise((resolve) => process.prependOnceListener('uncaughtException', resolve));
  const others = process.rawListeners('uncaughtException').slice(1) as NodeJS.UncaughtExceptionListener[];
  for (const other of others) process.off('uncaughtException', other);
  onTestFinished(() => others.forEach((other) => void process.on('uncaughtException', other)));
  const stop = room.on('chat', () => {
    throw new Error('of the application');
  });
  hall.tell({ kind: 'create:chat', by: 'ben', message: 'x' });
  stop();
  hall.tell({ kind: 'create:chat', by: 'ben', message: 'y' });
  expect(told.seqs).toEqual([2, 3]);
  expect(await thrown).toMatchObject({ message: 'of the application' });
});
