/** The outbox: order, retries, packets, failures and storage, against the scripted server. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { MAX_OUTBOX_BYTES, MAX_OUTBOX_ITEMS } from '#room/outbox.js';
import { advanceTime, joinRoom, memoryStorage, messages, newClient, unsentIn, useFakeTime } from './helpers/clients.ts';
import { ModelLog, ROOM } from './helpers/log.ts';
import { ScriptedServer } from './helpers/scripted-server.ts';

beforeEach(useFakeTime);

const asked = (hall: ScriptedServer) => hall.requestsOf('create:chat').map(({ message }) => message);

test('a chat is shown at once, and exactly once until the room delivers it', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const shown: number[] = [];
  room.on('change', () => shown.push(room.timeline.chats.filter(({ message }) => message === 'hello').length));
  const sent = room.send('hello');
  expect(room.timeline.chats).toMatchObject([{ message: 'hello', state: 'sending', username: 'aya', clientId: sent.clientId }]);
  await advanceTime();
  expect(await sent.settled).toEqual({ ok: true, seq: 2 });
  expect(sent).toMatchObject({ state: 'sent', seq: 2, error: undefined });
  expect(room.timeline.chats).toMatchObject([{ message: 'hello', seq: 2 }]);
  expect(room.timeline.chats[0]).not.toHaveProperty('state');
  expect(new Set(shown)).toEqual(new Set([1]));
});

test('an acknowledged chat is shown as sent while its entry is missing', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { roomId: ROOM, epoch: 'e1', seq: 2, id: 'e1-2' });
  const sent = room.send('hello');
  await advanceTime();
  expect(sent.state).toBe('sent');
  expect(room.timeline.chats).toMatchObject([{ message: 'hello', state: 'sent', seq: 2 }]);
  hall.addEntry({ kind: 'create:chat', by: 'aya', message: 'hello', clientId: sent.clientId });
  expect(room.timeline.chats).toMatchObject([{ message: 'hello', seq: 2 }]);
  expect(room.timeline.chats[0]).not.toHaveProperty('state');
});

test('an acknowledged chat is sent again after a reset if the log has another entry at its seq', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { roomId: ROOM, epoch: 'e1', seq: 2, id: 'lost-2' });
  const sent = room.send('hello');
  await advanceTime();
  hall.drop();
  hall.log?.add({ kind: 'create:chat', by: 'ben', message: 'instead' });
  hall.open();
  await advanceTime(5_000);
  expect(messages(room)).toEqual(['instead', 'hello']);
  expect(hall.log?.entries.at(-1)).toMatchObject({ seq: 3, clientId: sent.clientId });
  expect(events).toMatchObject({ seqs: [2, 3], resets: ['reset'] });
});

test('a chat that is acknowledged in another log is detected, and sent again if the current log lacks it', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { roomId: ROOM, epoch: 'e1.2', seq: 2, id: 'lost-2' });
  room.send('hello');
  await advanceTime();
  expect(events.resets).toEqual(['reset']);
  expect(messages(room)).toEqual(['hello']);
  expect(asked(hall)).toEqual(['hello', 'hello']);
  expect(hall.log?.head).toBe(2);
});

test('an acknowledged chat that is delivered with a later text, without its client id, does not count as lost', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { roomId: ROOM, epoch: 'e1', seq: 2, id: 'e1-2' });
  room.send('hello');
  await advanceTime();
  hall.addEntry({ kind: 'create:chat', by: 'aya', message: 'hello!', edited: 3 });
  await advanceTime();
  expect(messages(room)).toEqual(['hello!']);
  expect(asked(hall)).toEqual(['hello']);
});

test('a chat of another member with the same client id does not count as an own one', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', 'never');
  const sent = room.send('mine');
  await advanceTime();
  hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'by ben', clientId: sent.clientId });
  expect(messages(room)).toEqual(['by ben', 'mine']);
  expect(sent.state).toBe('sending');
});

test('chats are sent one after the other, in the order of writing', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { code: 'rate_limited', retryable: true, retryAfterMs: 5_000 });
  for (const message of ['one', 'two', 'three']) room.send(message);
  await advanceTime(4_999);
  expect(asked(hall)).toEqual(['one']);
  await advanceTime(1);
  expect(asked(hall)).toEqual(['one', 'one', 'two', 'three']);
  expect(messages(room)).toEqual(['one', 'two', 'three']);
});

test('a chat that was stored but not acknowledged is sent again under the same client id, and is there once', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', 'lost');
  const sent = room.send('once');
  const next = room.send('next');
  await advanceTime();
  expect(room.state).toBe('offline');
  hall.open();
  await advanceTime(20_000);
  expect([await sent.settled, await next.settled]).toEqual([
    { ok: true, seq: 2 },
    { ok: true, seq: 3 },
  ]);
  expect(messages(room)).toEqual(['once', 'next']);
  expect(hall.log?.head).toBe(3);
});

test('a request without an answer is repeated without a limit', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  for (let count = 0; count < 5; count += 1) hall.failNext('create:chat', 'never');
  const sent = room.send('patient');
  await advanceTime(120_000);
  expect(sent.state).toBe('sent');
  expect(new Set(hall.requestsOf('create:chat').map(({ clientId }) => clientId))).toEqual(new Set([sent.clientId]));
});

test('a refused chat has failed with its error, stays until it is discarded, and does not block others', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { code: 'invalid_payload' });
  const bad = room.send('bad');
  const good = room.send('good');
  await advanceTime();
  expect(bad).toMatchObject({ state: 'failed', error: { code: 'invalid_payload' } });
  expect(await bad.settled).toMatchObject({ ok: false });
  expect(good.state).toBe('sent');
  expect(messages(room)).toEqual(['good', 'bad']);
  bad.discard();
  expect(messages(room)).toEqual(['good']);
});

test('a failed chat can be retried', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('create:chat', { code: 'not_allowed' });
  const sent = room.send('again');
  await advanceTime();
  sent.retry();
  expect(sent.state).toBe('sending');
  await advanceTime();
  expect(await sent.settled).toEqual({ ok: true, seq: 2 });
  sent.retry();
  sent.discard();
  expect(messages(room)).toEqual(['again']);
});

test('an expired member rejoins before their chat is sent', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.members.delete('aya');
  const sent = room.send('still here');
  await advanceTime(20_000);
  expect(sent.state).toBe('sent');
  expect(room.state).toBe('live');
});

test('a chat that is larger than a frame fails, and the connection stays', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const sent = room.send('x'.repeat(70_000));
  await advanceTime();
  expect(sent).toMatchObject({ state: 'failed', error: { code: 'invalid_payload' } });
  expect(asked(hall)).toEqual([]);
});

test.each([
  { what: 'chats', count: MAX_OUTBOX_ITEMS, message: 'x' },
  { what: 'bytes', count: 16, message: 'x'.repeat(MAX_OUTBOX_BYTES / 16 - '{"message":""}'.length) },
])('more $what than the outbox can hold are refused with busy', async ({ count, message }) => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.drop();
  for (let sent = 0; sent < count; sent += 1) expect(room.send(message).state).toBe('sending');
  const over = room.send('over');
  expect(over).toMatchObject({ state: 'failed', error: { code: 'busy', retryable: true } });
  expect(room.timeline.chats).toHaveLength(count);
});

test('a pending chat outlives its client, is stored before it is sent, and is sent once', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const first = newClient(hall, { storage });
  const { room } = await joinRoom(first);
  let storageCopy = '';
  hall.onRequest = (event) => {
    if (event === 'create:chat') storageCopy = unsentIn(storage)[0] ?? '';
  };
  hall.failNext('create:chat', 'lost');
  const sent = room.send('survives');
  await advanceTime();
  expect(JSON.parse(storageCopy)).toMatchObject({ fields: { message: 'survives' }, clientId: sent.clientId });
  void first.close();
  expect(await sent.settled).toMatchObject({ ok: false, error: { code: 'closed' } });
  hall.open();
  const { room: again } = await joinRoom(newClient(hall, { storage }));
  await advanceTime(1_000);
  expect(messages(again)).toEqual(['survives']);
  expect(hall.log?.entries.filter(({ kind }) => kind === 'create:chat')).toHaveLength(1);
  expect(unsentIn(storage)).toEqual([]);
});

test('a reply has its replyTo while it is pending, in every attempt, after a reload, and in the room', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const first = newClient(hall, { storage });
  const { room } = await joinRoom(first);
  const { seq } = hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'tea?' });
  hall.drop();
  const sent = room.send('gladly', { replyTo: seq });
  room.send('plain');
  expect(sent.replyTo).toBe(seq);
  expect(room.timeline.chats.slice(1)).toMatchObject([
    { replyTo: seq, state: 'sending' },
    { replyTo: undefined, state: 'sending' },
  ]);
  await advanceTime();
  void first.close();
  hall.failNext('create:chat', 'lost');
  hall.open();
  const { room: again } = await joinRoom(newClient(hall, { storage }));
  await advanceTime(1_000);
  hall.open();
  await advanceTime(20_000);
  const asks = hall.requestsOf('create:chat').filter(({ message }) => message === 'gladly');
  expect(asks.map(({ clientId, replyTo }) => ({ clientId, replyTo }))).toEqual([
    { clientId: sent.clientId, replyTo: seq },
    { clientId: sent.clientId, replyTo: seq },
  ]);
  expect(again.timeline.chats.map(({ message, replyTo }) => ({ message, replyTo }))).toEqual([
    { message: 'tea?', replyTo: undefined },
    { message: 'gladly', replyTo: seq },
    { message: 'plain', replyTo: undefined },
  ]);
});

test('a reply that is pending while the log is set back replies to no chat of the new log', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const { seq } = hall.addEntry({ kind: 'create:chat', by: 'ben', message: 'tea?' });
  hall.drop();
  const sent = room.send('gladly', { replyTo: seq });
  hall.log = new ModelLog('e1.2');
  for (const message of ['something', 'else']) hall.log.add({ kind: 'create:chat', by: 'ben', message });
  hall.open();
  await advanceTime(1_000);
  expect(sent).toMatchObject({ state: 'sent', replyTo: undefined });
  expect(messages(room)).toEqual(['something', 'else', 'gladly']);
  expect(hall.requestsOf('create:chat')).toEqual([expect.not.objectContaining({ replyTo: seq })]);
});

test('a leave whose answer is lost ends the room as left', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('remove:member', 'lost');
  const leaving = room.leave();
  await advanceTime();
  hall.members.delete('aya');
  hall.open();
  await advanceTime(20_000);
  expect(await leaving).toEqual({ ok: true });
  expect(hall.requestsOf('add:member')).toHaveLength(1);
});

const packets = (hall: ScriptedServer) =>
  hall.requestsOf('create:chats').map(({ chats }) => (chats as { message: string }[]).map(({ message }) => message));
const numbered = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

test('pending chats are sent together, in packets that grow while each is accepted at once, and arrive in order', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const sent = numbered(1, 20).map((message) => room.send(message));
  await advanceTime();
  expect(asked(hall)).toEqual(['1']);
  expect(packets(hall)).toEqual([numbered(2, 3), numbered(4, 7), numbered(8, 15), numbered(16, 20)]);
  expect(await Promise.all(sent.map(({ settled }) => settled))).toEqual(sent.map((_, index) => ({ ok: true, seq: index + 2 })));
  expect(messages(room)).toEqual(numbered(1, 20));
});

test('a packet is no larger than one chat may be, and has at most a hundred chats', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  for (const _ of numbered(1, 20)) room.send('x'.repeat(4_000));
  for (const message of numbered(1, 400)) room.send(message);
  await advanceTime();
  const sizes = hall
    .requestsOf('create:chats')
    .map((packet) => ({ bytes: JSON.stringify(packet).length, count: (packet.chats as object[]).length }));
  expect(Math.max(...sizes.map(({ bytes }) => bytes))).toBeLessThan(16_500);
  expect(Math.max(...sizes.map(({ count }) => count))).toBe(100);
});

test.each(['lost', 'never'] as const)(
  'a packet that was tried, and whose answer was %s, is the same packet after a reload',
  async (fault) => {
    const hall = new ScriptedServer();
    const storage = memoryStorage();
    const before = newClient(hall, { storage });
    const { room } = await joinRoom(before);
    for (const message of ['1', '2', '3']) room.send(message);
    hall.failNext('create:chats', fault);
    await advanceTime();
    expect(packets(hall)).toEqual([['2', '3']]);
    // The page is gone, and its storage is left.
    const storageCopy = memoryStorage({ ...storage.items });
    hall.drop();
    void before.close();
    hall.isOpen = true;
    const { room: after } = await joinRoom(newClient(hall, { storage: storageCopy }));
    after.send('4');
    await advanceTime(20_000);
    expect(packets(hall).slice(0, 2)).toEqual([
      ['2', '3'],
      ['2', '3'],
    ]);
    expect(new Set(hall.requestsOf('create:chats').map(({ clientId }) => clientId)).size).toBe(1);
    expect(hall.log?.chats('aya').map(({ message }) => message)).toEqual(['1', '2', '3', '4']);
    expect(after.timeline.chats.filter(({ state }) => state)).toEqual([]);
    expect(unsentIn(storageCopy)).toEqual([]);
  },
);

test('the rest of a packet after a crash is answered from the log, each chat with its own seq', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const before = newClient(hall, { storage });
  const { room } = await joinRoom(before);
  for (const message of ['1', '2', '3']) room.send(message);
  hall.failNext('create:chats', 'lost');
  await advanceTime();
  const all = Object.entries(storage.items);
  const storageCopy = memoryStorage(Object.fromEntries(all.filter(([, value]) => !value.includes('"message":"2"'))));
  void before.close();
  hall.isOpen = true;
  const { room: after } = await joinRoom(newClient(hall, { storage: storageCopy }), { from: 'newest' });
  await advanceTime(20_000);
  expect(messages(after)).toEqual(['1', '2', '3']);
  expect(unsentIn(storageCopy)).toEqual([]);
});

test('a chat of a packet whose first chat was stored alone does not get the seq of that one', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const before = newClient(hall, { storage });
  const { room } = await joinRoom(before);
  hall.failNext('create:chat', 'lost');
  const first = room.send('1');
  const second = room.send('2');
  await advanceTime();
  // Another page sent both in one packet, got one seq as the answer, and ended before it had split the packet.
  const entries = Object.entries(storage.items).filter(([key]) => !key.endsWith(first.clientId));
  const stored = Object.fromEntries(entries);
  const key = Object.keys(stored).find((each) => each.endsWith(second.clientId))!;
  stored[key] = JSON.stringify({ ...JSON.parse(stored[key]!), packet: first.clientId, index: 1 });
  void before.close();
  hall.isOpen = true;
  await joinRoom(newClient(hall, { storage: memoryStorage(stored) }), { from: 'newest' });
  await advanceTime(20_000);
  expect(hall.log?.chats('aya').map(({ message }) => message)).toEqual(['1', '2']);
});

test('a refused chat does not prevent the others of its packet from being sent', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.onRequest = () => {
    const { event, payload } = hall.requests.at(-1)!;
    const said = event === 'create:chats' ? (payload.chats as { message: string }[]) : [payload];
    if (said.some(({ message }) => message === 'bad')) hall.failNext(event as 'create:chat', { code: 'invalid_payload' });
  };
  const sent = ['1', '2', '3', '4', 'bad', '6', '7', '8'].map((message) => room.send(message));
  await advanceTime();
  expect(sent.map(({ state }) => state)).toEqual(['sent', 'sent', 'sent', 'sent', 'failed', 'sent', 'sent', 'sent']);
  expect(hall.log?.chats('aya').map(({ message }) => message)).toEqual(['1', '2', '3', '4', '6', '7', '8']);
});

test('of two clients with one storage each sends its own chats, and the other one those left behind, once', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const [one, other] = [newClient(hall, { storage }), newClient(hall, { storage })];
  const { room } = await joinRoom(one);
  await joinRoom(other);
  for (const message of numbered(1, 9)) room.send(message);
  await advanceTime();
  hall.failNext('create:chats', 'lost');
  for (const message of numbered(10, 20)) room.send(message);
  void one.close();
  hall.open();
  await advanceTime(20_000);
  expect(hall.log?.chats('aya').map(({ message }) => message)).toEqual(numbered(1, 20));
  expect(unsentIn(storage)).toEqual([]);
});

test('an offline page does not send the chats that another page wrote before the member left', async () => {
  const [hall, other] = [new ScriptedServer(), new ScriptedServer()];
  const storage = memoryStorage();
  const { room } = await joinRoom(newClient(hall, { storage }));
  const { room: offline } = await joinRoom(newClient(other, { storage }));
  other.drop();
  hall.failNext('create:chat', 'never');
  room.send('before leaving');
  await advanceTime(100);
  expect(messages(offline)).toEqual(['before leaving']);
  await room.leave();
  await advanceTime(100);
  expect(messages(offline)).toEqual([]);
  other.open();
  await advanceTime(20_000);
  expect(offline.state).toBe('live');
  expect(other.requestsOf('create:chat')).toEqual([]);
});

test('a request that another page removes while this page sends it is gone from the storage, too', async () => {
  let receive: (note: object) => void = () => undefined;
  class Channel {
    set onmessage(listener: (event: { data: object }) => void) {
      receive = (data) => listener({ data });
    }
    postMessage = () => undefined;
    close = () => undefined;
  }
  vi.stubGlobal('BroadcastChannel', Channel);
  vi.stubGlobal('navigator', { locks: { request: async (_: string, step: () => unknown) => step() } });
  onTestFinished(() => void vi.unstubAllGlobals());
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const ended = newClient(hall, { storage });
  const { room } = await joinRoom(ended);
  hall.drop();
  const { clientId } = room.send('1');
  room.send('2');
  await advanceTime();
  const stored = memoryStorage({ ...storage.items });
  void ended.close();
  hall.open();
  hall.failNext('create:chat', 'never');
  await joinRoom(newClient(hall, { storage: stored }));
  // Its write came first: this page has stored the request again since.
  receive({ clientId });
  await advanceTime(60_000);
  expect(hall.log?.chats('aya').map(({ message }) => message)).toEqual(['2']);
  expect(unsentIn(stored)).toEqual([]);
});
