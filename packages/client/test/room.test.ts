/** Rooms: joins, entries, resets, info, commands and ephemeral events, against the scripted server. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { MAX_OUTBOX_BYTES, MAX_OUTBOX_ITEMS } from '#room/outbox.js';
import { advanceTime, joinRoom, memoryStorage, messages, newClient, useFakeTime } from './helpers/clients.ts';
import { ModelLog, ROOM } from './helpers/log.ts';
import { ScriptedServer } from './helpers/scripted-server.ts';

beforeEach(useFakeTime);

const chat = (message: string, by = 'ben') => ({ kind: 'create:chat', by, message });

const sent = (hall: ScriptedServer) => hall.requestsOf('create:chat').map(({ clientId, message }) => ({ clientId, message }));

/** The log loses everything after an entry, and continues in another epoch. */
function fork(hall: ScriptedServer, epoch: string, seq: number): void {
  const log = new ModelLog(epoch);
  for (const entry of hall.log?.entries.slice(0, seq) ?? []) log.entries.push({ ...entry, epoch });
  hall.log = log;
  hall.emit('reset:room', { roomId: ROOM, epoch, seq });
}

test('a new member sees the newest chats and receives what follows', async () => {
  const hall = new ScriptedServer();
  for (let count = 1; count <= 60; count += 1) hall.addEntry(chat(`${count}`));
  const { room, events } = await joinRoom(newClient(hall));
  expect(room).toMatchObject({ state: 'live', isStale: false, topic: 'tea', members: 1, online: 1, role: 'member', username: 'aya' });
  expect(messages(room)).toEqual(Array.from({ length: 50 }, (_, at) => `${at + 11}`));
  hall.addEntry(chat('news'));
  expect(messages(room).at(-1)).toBe('news');
  expect(events.seqs).toEqual([62]);
  expect(room.unread).toBe(60);
});

test('loadOlder adds older chats before those that are shown, until there are none', async () => {
  const hall = new ScriptedServer();
  for (let count = 1; count <= 130; count += 1) hall.addEntry(chat(`${count}`));
  const { room } = await joinRoom(newClient(hall));
  expect(room.timeline.hasOlder).toBe(true);
  expect(await room.timeline.loadOlder()).toEqual({ ok: true, added: 50 });
  expect(await room.timeline.loadOlder()).toEqual({ ok: true, added: 30 });
  expect(room.timeline.hasOlder).toBe(false);
  expect(messages(room)).toHaveLength(130);
  expect(await room.timeline.loadOlder()).toEqual({ ok: true, added: 0 });
});

test('entries that arrive before the room is loaded are delivered once, in order', async () => {
  const hall = new ScriptedServer();
  hall.onRequest = (event) => {
    if (event === 'list:chats') hall.addEntry(chat('meanwhile'));
  };
  const { room, events } = await joinRoom(newClient(hall));
  expect(events.seqs).toEqual([2]);
  expect(messages(room)).toEqual(['meanwhile']);
  expect(room.position).toEqual(hall.log?.positionAt(2));
});

test('entries that were missed in a drop are delivered once, in order, without gaps', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.addEntry(chat('before'));
  hall.drop();
  expect(room).toMatchObject({ state: 'offline', isStale: true });
  for (let count = 0; count < 25; count += 1) hall.log?.add(chat(`missed ${count}`));
  hall.resumePageSize = 10;
  hall.onRequest = (event) => {
    if (event === 'resume:rooms' && hall.requestsOf('resume:rooms').length === 2) hall.addEntry(chat('live meanwhile'));
  };
  hall.open();
  await advanceTime();
  expect(events.seqs).toEqual(Array.from({ length: 27 }, (_, at) => at + 2));
  expect(events.states).toEqual(['offline', 'catching up', 'live']);
  expect(hall.requestsOf('resume:rooms')).toHaveLength(3);
});

test('a room that does not fit into an answer is requested again, as often as necessary, and keeps its position', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.drop();
  const putOff = { rooms: [{ outcome: 'more', roomId: ROOM, ...hall.log?.positionAt(1), entries: [] }] };
  for (let count = 0; count < 10; count += 1) hall.failNext('resume:rooms', putOff);
  hall.log?.add(chat('missed'));
  hall.open();
  await advanceTime(500);
  // No room fitted into the answer: the delay grows with each request.
  expect(hall.requestsOf('resume:rooms').length).toBeLessThan(8);
  await advanceTime(60_000);
  expect(hall.requestsOf('resume:rooms')).toHaveLength(11);
  for (const { rooms } of hall.requestsOf('resume:rooms')) expect(rooms).toMatchObject([{ seq: 1 }]);
  expect(events).toMatchObject({ seqs: [2], resets: [], states: ['offline', 'catching up', 'live'] });
  expect(messages(room)).toEqual(['missed']);
});

test('a resume that is refused with a delay is retried after that delay', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.drop();
  hall.failNext('resume:rooms', { code: 'rate_limited', retryable: true, retryAfterMs: 7_000 });
  hall.open();
  await advanceTime(6_999);
  expect(hall.requestsOf('resume:rooms')).toHaveLength(1);
  await advanceTime(1);
  expect(hall.requestsOf('resume:rooms')).toHaveLength(2);
  expect(room.state).toBe('live');
});

test('a gap between live entries is requested once', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.log?.add(chat('not received'));
  hall.addEntry(chat('received'));
  hall.addEntry(chat('received, too'));
  expect(messages(room)).toEqual([]);
  await advanceTime();
  expect(messages(room)).toEqual(['not received', 'received', 'received, too']);
  expect(events.seqs).toEqual([2, 3, 4]);
  expect(hall.requestsOf('resume:rooms')).toHaveLength(1);
});

test('early entries beyond the limit of the buffer are read from the log instead', async () => {
  const hall = new ScriptedServer();
  const { events } = await joinRoom(newClient(hall));
  hall.onAnswer = (event) => {
    if (event !== 'resume:rooms' || hall.requestsOf('resume:rooms').length > 1) return;
    for (let count = 0; count < 1_000; count += 1) hall.addEntry(chat(`${count}`));
  };
  hall.log?.add(chat('not received'));
  hall.addEntry(chat('received'));
  await advanceTime();
  expect(events.seqs).toEqual(Array.from({ length: 1_002 }, (_, at) => at + 2));
  expect(hall.requestsOf('resume:rooms').length).toBeGreaterThan(1);
});

test('early entries are delivered in log order, whatever the order of their arrival', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.onAnswer = (event) => {
    if (event !== 'resume:rooms') return;
    const late = ['one', 'two'].map((message) => hall.log?.add(chat(message)));
    for (const entry of late.reverse()) hall.emit('create:chat:success', entry);
  };
  hall.drop();
  hall.open();
  await advanceTime();
  expect(events.seqs).toEqual([2, 3]);
  expect(room.state).toBe('live');
  expect(hall.requestsOf('resume:rooms')).toHaveLength(1);
});

test('entries that are not broadcast leave no gap', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.log?.add({ kind: 'add:member', by: 'cho', quiet: true });
  hall.addEntry(chat('next'));
  expect(events.seqs).toEqual([3]);
  expect(room.state).toBe('live');
});

test('the member counts of a large room include the earlier entries once', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const received: unknown[] = [];
  room.on('members', (counts) => received.push(counts));
  const { epoch } = room.position;
  const say = (asOf: number, members: number) =>
    hall.emit('members:changed', { roomId: ROOM, epoch, asOf, members, online: members, joined: ['cho'], left: [] });
  hall.addEntry({ kind: 'add:member', by: 'ben' });
  expect(room.members).toBe(2);
  say(2, 300);
  expect([room.members, room.online]).toEqual([300, 300]);
  expect(received).toEqual([{ members: 300, online: 300, joined: ['cho'], left: [] }]);
  hall.addEntry({ kind: 'remove:member', by: 'ben', username: 'ben', reason: 'removed' });
  expect(room.members).toBe(299);
  // Older than the known member counts; `online` has no order.
  say(1, 301);
  expect([room.members, room.online]).toEqual([299, 301]);
  // The counts include an entry that is delivered later.
  say(4, 400);
  hall.addEntry({ kind: 'add:member', by: 'dan' });
  expect(room.members).toBe(400);
  hall.emit('members:changed', { roomId: ROOM, epoch: 'another', asOf: 9, members: 1, online: 1 });
  hall.emit('members:changed', { roomId: ROOM });
  expect(room.members).toBe(400);
});

test('a client that resumes over entries that are not broadcast receives the counts with the answer', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.drop();
  for (const by of ['cho', 'dan']) hall.log?.add({ kind: 'add:member', by, quiet: true });
  hall.failNext('resume:rooms', {
    rooms: [
      { ...{ outcome: 'caught_up', roomId: ROOM, entries: [] }, ...hall.log!.positionAt(3), counts: { asOf: 3, members: 3, online: 2 } },
    ],
  });
  hall.open();
  await advanceTime();
  expect([room.state, room.members, room.online]).toEqual(['live', 3, 2]);
  hall.addEntry(chat('next'));
  expect(events.seqs).toEqual([4]);
});

test('a large room names some typing members and says that there are more, for six seconds', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const received: (readonly string[])[] = [];
  room.on('typing', (usernames) => received.push(usernames));
  const say = (usernames: string[], hasMore: boolean) => hall.emit('typing:changed', { roomId: ROOM, usernames, hasMore });
  say(['aya', 'ben', 'cho'], true);
  expect([room.typingUsers, room.hasMoreTypingUsers]).toEqual([['ben', 'cho'], true]);
  say(['ben', 'cho'], true);
  say(['ben'], false);
  hall.emit('typing:changed', { roomId: ROOM });
  expect([room.typingUsers, room.hasMoreTypingUsers]).toEqual([['ben'], false]);
  say(['ben', 'cho'], true);
  hall.addEntry(chat('done'));
  await advanceTime(6_100);
  expect([room.typingUsers, room.hasMoreTypingUsers]).toEqual([[], false]);
  expect(received[0]).toEqual(['ben', 'cho']);
  expect(received.at(-1)).toEqual([]);
});

test('another log emits a reset: the newest chats replace the shown ones, and entries follow from there', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.addEntry(chat('lost'));
  hall.log = new ModelLog('e1.2');
  hall.log.add(chat('of the other log'));
  hall.emit('reset:room', { roomId: ROOM, epoch: 'e1.2', seq: 0 });
  await advanceTime();
  expect(events.resets).toEqual(['reset']);
  expect(messages(room)).toEqual(['of the other log']);
  hall.addEntry(chat('and on'));
  expect(events.seqs).toEqual([2, 2]);
  expect(room.position).toEqual(hall.log.positionAt(2));
});

test('a room that was joined in a log that is lost takes its info from the log that replaces it', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const before = newClient(hall, { storage });
  await joinRoom(before);
  await before.close();
  const log = hall.log as ModelLog;
  hall.log = new ModelLog('e1.2');
  hall.log.entries.push(...log.entries.map((entry) => ({ ...entry, epoch: 'e1.2' })));
  hall.addEntry(chat('lost again'));
  hall.onAnswer = (event) => {
    if (event === 'list:chats') hall.log = log;
  };
  const { room } = await joinRoom(newClient(hall, { storage }));
  hall.addEntry({ kind: 'update:room', by: 'ben', topic: 'cake' });
  expect(room).toMatchObject({ state: 'live', topic: 'cake', position: log.positionAt(log.head) });
});

test('a log that was forked at a known position is detected after a drop', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.addEntry(chat('lost'));
  hall.drop();
  const fork = new ModelLog('e1', 'fork');
  fork.add({ kind: 'add:member', by: 'aya' });
  fork.add(chat('instead'));
  hall.log = fork;
  hall.open();
  await advanceTime();
  expect(events.resets).toEqual(['reset']);
  expect(messages(room)).toEqual(['instead']);
});

test.each(['add:member', 'list:chats'])('a reset before the answer to %s of a joining client is not missed', async (event) => {
  const hall = new ScriptedServer();
  hall.addEntry(chat('kept'));
  hall.onAnswer = (answered) => {
    if (answered === event) fork(hall, 'e1.2', 1);
  };
  hall.addEntry(chat('lost'));
  const { room } = await joinRoom(newClient(hall));
  await advanceTime();
  expect(room.state).toBe('live');
  expect(room.position).toEqual(hall.log?.positionAt(1));
  expect(messages(room)).toEqual(['kept']);
});

test('own chats that a fork lost are sent again under the same client id, and stay shown', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const stored = room.send('kept');
  await advanceTime();
  const lost = room.send('lost');
  await advanceTime();
  expect([stored.state, lost.state]).toEqual(['sent', 'sent']);
  fork(hall, 'e1.2', 2);
  await advanceTime();
  expect(messages(room)).toEqual(['kept', 'lost']);
  expect(sent(hall)).toEqual([stored, lost, lost].map(({ clientId, message }) => ({ clientId, message })));
});

test('an own chat that a fork lost is shown once, even if another page announces first that it sends it again', async () => {
  const notes: { clientId: string; request?: object }[] = [];
  let deliverNote: (note: object) => void = () => undefined;
  class Channel {
    set onmessage(listener: (event: { data: object }) => void) {
      deliverNote = (data) => listener({ data });
    }
    postMessage = (note: { clientId: string }) => void notes.push(note);
    close = () => undefined;
  }
  // The other page exists, and holds its lock.
  const request = (name: string, step: () => unknown) => (name.endsWith(':other') ? new Promise(() => undefined) : Promise.resolve(step()));
  vi.stubGlobal('BroadcastChannel', Channel);
  vi.stubGlobal('navigator', { locks: { request } });
  onTestFinished(() => void vi.unstubAllGlobals());
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall, { storage: memoryStorage() }));
  const { clientId } = room.send('lost');
  await advanceTime();
  expect(notes[0]).toMatchObject({ clientId, request: { epoch: 'e1' } });
  deliverNote({ clientId, request: { ...notes[0]?.request, epoch: 'e1.2', life: 'other' } });
  fork(hall, 'e1.2', 1);
  await advanceTime();
  expect(room.timeline.chats.map(({ message, state }) => [message, state])).toEqual([['lost', undefined]]);
});

test('at most the newest thousand chats that a fork lost are sent again, in order', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  for (let count = 0; count <= MAX_OUTBOX_ITEMS; count += 1) {
    room.send(`${count}`);
    await advanceTime();
  }
  expect(hall.log?.head).toBe(MAX_OUTBOX_ITEMS + 2);
  fork(hall, 'e1.2', 1);
  await advanceTime();
  expect(sent(hall).slice(MAX_OUTBOX_ITEMS + 1)).toEqual(sent(hall).slice(1, MAX_OUTBOX_ITEMS + 1));
  expect(hall.log?.head).toBe(MAX_OUTBOX_ITEMS + 1);
});

test('at most a megabyte of the chats that a fork lost is sent again', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const message = 'x'.repeat(MAX_OUTBOX_BYTES / 64 - '{"message":""}'.length);
  for (let count = 0; count < 70; count += 1) {
    room.send(message);
    await advanceTime();
  }
  fork(hall, 'e1.2', 1);
  await advanceTime();
  expect(sent(hall)).toHaveLength(70 + 64);
});

test('after several forks in a row, of which only the last is noticed, the chats that any of them lost are sent again', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  room.send('lost');
  await advanceTime();
  hall.failNext('resume:rooms', 'lost');
  fork(hall, 'e1.2', 1);
  hall.log?.add(chat('instead'));
  fork(hall, 'e1.3', 2);
  await advanceTime(1_000);
  expect(messages(room)).toEqual(['instead', 'lost']);
  expect(sent(hall).map(({ message }) => message)).toEqual(['lost', 'lost']);
});

test('chats before a page that has known chats are not lost, and are not sent again', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  room.send('long ago');
  await advanceTime();
  for (let count = 1; count <= 60; count += 1) hall.addEntry(chat(`${count}`));
  room.send('lost');
  await advanceTime();
  fork(hall, 'e1.2', 62);
  await advanceTime();
  expect(messages(room).slice(-2)).toEqual(['60', 'lost']);
  expect(sent(hall).map(({ message }) => message)).toEqual(['long ago', 'lost', 'lost']);
});

test('a room that was created again does not receive the chats of the former one', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  room.send('in the former room');
  await advanceTime();
  hall.drop();
  hall.log = new ModelLog('e2');
  hall.members.clear();
  hall.open();
  await advanceTime();
  expect(events.resets).toEqual(['reset']);
  expect(room.state).toBe('live');
  expect(hall.requestsOf('create:chat')).toHaveLength(1);
  expect(messages(room)).toEqual([]);
});

test('a removal in the missed entries, followed by a rejoin, does not end the room', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.drop();
  hall.log?.add({ kind: 'remove:member', by: 'ben', username: 'aya', reason: 'removed' });
  hall.log?.add({ kind: 'add:member', by: 'aya' });
  hall.open();
  await advanceTime();
  expect(room.state).toBe('live');
  expect(events.seqs).toEqual([2, 3]);
});

test('an early entry of a part of the log that was lost is requested once, and then dropped', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.emit('create:chat:success', { ...new ModelLog('e1', 'lost').add(chat('lost')), seq: 3, prev: 'lost-2' });
  await advanceTime();
  expect(room.state).toBe('live');
  hall.addEntry(chat('and on'));
  expect(events.seqs).toEqual([2]);
  expect(hall.requestsOf('resume:rooms').length).toBeLessThanOrEqual(2);
});

test('a member who is removed at the moment of a reset does not rejoin by itself', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.addEntry(chat('lost'));
  hall.onAnswer = (event) => {
    if (event !== 'resume:rooms' || hall.banned.has('aya')) return;
    hall.banned.add('aya');
    hall.members.delete('aya');
    hall.log?.add({ kind: 'remove:member', by: 'ben', username: 'aya', reason: 'removed' });
    hall.addEntry(chat('without ben'));
  };
  fork(hall, 'e1.2', 1);
  await advanceTime(1_000);
  expect(room.ending?.reason).toBe('removed');
  expect(hall.requestsOf('add:member')).toHaveLength(1);
});

test('a log that contradicts itself is loaded anew, and entries follow from there', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.log?.add(chat('missed'));
  const elsewhere = { ...new ModelLog('e1', 'another').add(chat('of nowhere')), prev: 'nobody', seq: 2 };
  hall.failNext('resume:rooms', { rooms: [{ outcome: 'caught_up', roomId: ROOM, ...hall.log?.positionAt(2), entries: [elsewhere] }] });
  hall.addEntry(chat('now'));
  await advanceTime();
  expect(events.resets).toEqual(['reset']);
  expect(messages(room)).toEqual(['missed', 'now']);
  hall.addEntry(chat('and on'));
  expect(events.seqs).toEqual([4]);
});

test('a late entry of a former log is requested once, and then dropped', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  const late = { ...new ModelLog('e0').add(chat('late')), seq: 9 };
  hall.emit('create:chat:success', late);
  await advanceTime(60_000);
  expect(room.state).toBe('live');
  expect(events).toMatchObject({ seqs: [], resets: [] });
  expect(hall.requestsOf('resume:rooms').length).toBeLessThanOrEqual(2);
});

test('a member who joins during a new count of the members is counted', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.log = new ModelLog('e1.2');
  hall.log.add({ kind: 'add:member', by: 'aya' });
  hall.onAnswer = (event) => {
    if (event === 'resume:rooms') hall.addEntry({ kind: 'add:member', by: 'ben' });
  };
  hall.emit('reset:room', { roomId: ROOM, epoch: 'e1.2', seq: 0 });
  await advanceTime();
  expect(room.members).toBe(2);
});

test('a member who is in the answer to the join is not counted again by the entry', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.log?.add({ kind: 'add:member', by: 'ben' });
  const facts = { role: 'member', topic: 'tea', retention: {}, members: 2, asOf: 2, online: 2, read: 1 };
  const place = { roomId: ROOM, username: 'aya', ...hall.log?.positionAt(1) };
  hall.failNext('resume:rooms', { rooms: [{ outcome: 'reset', ...place, ...facts, page: hall.log?.page('aya') }] });
  hall.addEntry(chat('after'));
  await advanceTime();
  expect(room.position.seq).toBe(3);
  expect(room.members).toBe(2);
});

test('a member who joined in a part of the log that was lost is not counted', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.addEntry({ kind: 'add:member', by: 'ben' });
  expect(room.members).toBe(2);
  fork(hall, 'e1', 1);
  hall.drop();
  hall.open();
  await advanceTime();
  expect(events.resets).toEqual(['reset']);
  expect(room.members).toBe(1);
});

test('topic, retention and members follow the entries, each counted once', async () => {
  const hall = new ScriptedServer();
  hall.addEntry({ kind: 'add:member', by: 'ben' });
  hall.onAnswer = (event) => {
    if (event === 'add:member') hall.addEntry({ kind: 'add:member', by: 'cho' });
  };
  const { room } = await joinRoom(newClient(hall), { from: hall.log?.positionAt(0) ?? 'newest' });
  await advanceTime();
  expect(room.position.seq).toBe(3);
  expect(room.members).toBe(2);
  hall.addEntry({ kind: 'remove:member', by: 'ben', reason: 'left' });
  hall.addEntry({ kind: 'update:room', by: 'cho', topic: 'coffee' });
  expect(room).toMatchObject({ members: 1, topic: 'coffee', retention: {} });
  hall.addEntry({ kind: 'update:room', by: 'cho', retention: { maxCount: 100 } });
  expect(room).toMatchObject({ topic: 'coffee', retention: { maxCount: 100 } });
});

test('an expired member rejoins without an event, and receives the missed entries', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.drop();
  hall.members.delete('aya');
  hall.log?.add({ kind: 'remove:member', by: 'aya', reason: 'timed_out' });
  hall.log?.add(chat('missed'));
  hall.open();
  await advanceTime();
  expect(room.state).toBe('live');
  expect(events.seqs).toEqual([2, 3, 4]);
  expect(events.states).toEqual(['offline', 'catching up', 'live']);
});

test('an expired member rejoins once, however often a resume asks for it', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.drop();
  hall.members.delete('aya');
  hall.failNext('add:member', { code: 'busy', retryable: true });
  hall.open();
  await advanceTime(1_000);
  expect(room.state).toBe('live');
  const [, first, second] = hall.requestsOf('add:member').map(({ clientId }) => clientId);
  expect(first).toEqual(expect.any(String));
  expect(second).toBe(first);
});

test.each([
  {
    what: 'taken by another',
    happen: (hall: ScriptedServer) => void hall.members.set('aya', 'another'),
    ending: { reason: 'refused', code: 'name_taken' },
  },
  {
    what: 'removed by the owner',
    happen: (hall: ScriptedServer) => void hall.banned.add('aya'),
    ending: { reason: 'removed', code: 'removed' },
  },
  { what: 'without its room', happen: (hall: ScriptedServer) => hall.close(), ending: { reason: 'deleted', code: 'room_not_found' } },
])('a name that is $what after a drop ends the room, with the reason', async ({ happen, ending }) => {
  const hall = new ScriptedServer();
  const client = newClient(hall);
  const { room } = await joinRoom(client);
  hall.drop();
  happen(hall);
  hall.open();
  await advanceTime();
  expect(room.state).toBe('ended');
  expect(room.ending).toMatchObject({ reason: ending.reason, error: { code: ending.code } });
  expect(client.rooms).toEqual([]);
  expect(await room.edit(1, 'x')).toMatchObject({ ok: false, error: { code: ending.code } });
});

test.each([
  { deed: { kind: 'delete:room', by: 'ben' }, reason: 'deleted' },
  { deed: { kind: 'remove:member', by: 'ben', username: 'aya', reason: 'removed' }, reason: 'removed' },
])('$deed.kind ends the room of the member it names, and says who did it', async ({ deed, reason }) => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.addEntry({ ...deed });
  expect(room.ending).toEqual({ reason, by: 'ben' });
  expect(events.seqs).toEqual([2]);
});

test('a leave ends the room, and removes it from the storage', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  const { room } = await joinRoom(newClient(hall, { storage }));
  await advanceTime(300);
  expect(Object.keys(storage.items)).toContain(`engawa:http://hall:room:${ROOM}`);
  expect(await room.leave()).toMatchObject({ ok: true });
  expect(room.ending).toEqual({ reason: 'left' });
  expect(Object.keys(storage.items)).toEqual(['engawa:http://hall:session']);
});

test('a command without an answer is repeated under the same client id until it is answered', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.addEntry(chat('x'));
  hall.failNext('add:reaction', 'lost');
  hall.failNext('add:reaction', { code: 'busy', retryable: true });
  const reacting = room.react(2, '👍');
  await advanceTime();
  hall.open();
  await advanceTime(20_000);
  expect(await reacting).toMatchObject({ ok: true, seq: 3 });
  expect(new Set(hall.requestsOf('add:reaction').map(({ clientId }) => clientId)).size).toBe(1);
  expect(hall.requestsOf('add:reaction')).toHaveLength(3);
  expect(room.timeline.chats[0]).toMatchObject({ reactions: [{ reaction: '👍', count: 1, mine: true }] });
});

test('members can be listed by every member', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('list:members', { members: [{ username: 'aya' }], count: 1, hasMore: false });
  expect(await room.listMembers({ after: 'a', limit: 7 })).toMatchObject({ ok: true, count: 1 });
  expect(hall.requestsOf('list:members')).toEqual([{ roomId: ROOM, after: 'a', limit: 7 }]);
});

test('a refused command resolves with its error', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  hall.failNext('update:chat', { code: 'not_allowed' });
  expect(await room.edit(1, 'x')).toMatchObject({ ok: false, error: { code: 'not_allowed', retryable: false } });
});

test('a room is created if the option says so, and the join fails otherwise', async () => {
  const hall = new ScriptedServer();
  hall.log = undefined;
  const client = newClient(hall);
  const refused = client.join(ROOM, { username: 'aya' }).catch((error: unknown) => error);
  await advanceTime();
  expect(await refused).toMatchObject({ name: 'JoinError', code: 'room_not_found', retryable: false });
  const { room } = await joinRoom(client, { create: true });
  expect(room.state).toBe('live');
});

test('a client starts at its stored position, with the chats before it', async () => {
  const hall = new ScriptedServer();
  const storage = memoryStorage();
  hall.addEntry(chat('old'));
  const first = newClient(hall, { storage });
  await joinRoom(first);
  hall.addEntry(chat('seen'));
  void first.close();
  hall.log?.add(chat('missed'));
  hall.log?.add({ kind: 'update:chat', by: 'ben', chatSeq: 1, message: 'edited' });
  const { room, events } = await joinRoom(newClient(hall, { storage }));
  await advanceTime();
  expect(messages(room)).toEqual(['edited', 'seen', 'missed']);
  expect(events.seqs).toEqual([4, 5]);
  expect(events.states).toEqual(['live']);
  expect(new Set(hall.sessions).size).toBe(1);
});

test('only the latest read mark is sent, and again if it was not answered', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  for (let count = 0; count < 5; count += 1) {
    hall.addEntry(chat('x'));
    room.markRead();
  }
  await advanceTime();
  expect(room.unread).toBe(0);
  expect(hall.requestsOf('mark:read')).toEqual([{ roomId: ROOM, username: 'aya', seq: 6 }]);
  room.markRead(3);
  expect(room.unread).toBe(0);
  hall.drop();
  hall.addEntry(chat('y'));
  hall.open();
  await advanceTime(1_000);
  room.markRead();
  hall.drop();
  hall.open();
  await advanceTime(1_000);
  expect(hall.requestsOf('mark:read').at(-1)).toMatchObject({ seq: 7 });
});

test('typing is sent every three seconds while it lasts, and its end once', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  for (let key = 0; key < 8; key += 1) {
    room.typing();
    await advanceTime(500);
  }
  expect(hall.requestsOf('start:typing')).toHaveLength(2);
  expect(hall.requestsOf('stop:typing')).toHaveLength(0);
  await advanceTime(5_000);
  expect(hall.requestsOf('stop:typing')).toHaveLength(1);
});

test('a typing member is shown for six seconds, or until their next chat', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  const types = (username: string) => hall.emit('start:typing:success', { roomId: ROOM, username });
  for (const username of ['ben', 'cho', 'aya']) types(username);
  expect(room.typingUsers).toEqual(['ben', 'cho']);
  hall.addEntry(chat('done', 'ben'));
  expect(room.typingUsers).toEqual(['cho']);
  await advanceTime(5_000);
  types('cho');
  await advanceTime(5_000);
  expect(room.typingUsers).toEqual(['cho']);
  await advanceTime(1_000);
  expect(room.typingUsers).toEqual([]);
});

test('ephemeral events report presence and read marks; their repetition as answers is no entry', async () => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  hall.emit('update:presence:success', { roomId: ROOM, username: 'ben', presence: 'offline', online: 7 });
  hall.emit('mark:read:success', { roomId: ROOM, username: 'ben', read: 9 });
  hall.emit('mark:read:success', { roomId: ROOM, username: 'ben', read: 4 });
  hall.emit('add:member:success', { roomId: ROOM, epoch: 'e1', seq: 2, id: 'x', username: 'ben' });
  expect(room.online).toBe(7);
  expect([...room.readMarks]).toEqual([['ben', 9]]);
  expect(events.seqs).toEqual([]);
});

test.each([
  [null],
  [7],
  ['text'],
  [{}],
  [{ roomId: ROOM }],
  [{ roomId: ROOM, prev: null, epoch: 1, seq: 'x', id: {} }],
  [{ roomId: ROOM, username: {} }],
])('a malformed event is ignored: %j', async (payload) => {
  const hall = new ScriptedServer();
  const { room, events } = await joinRoom(newClient(hall));
  for (const event of ['create:chat:success', 'start:typing:success', 'mark:read:success', 'reset:room', 'server:closing', 'x']) {
    if (event !== 'server:closing') hall.emit(event, payload);
  }
  await advanceTime();
  expect(room.state).toBe('live');
  expect(events.seqs).toEqual([]);
});

test('one change is emitted for all changes of the same tick', async () => {
  const hall = new ScriptedServer();
  const { room } = await joinRoom(newClient(hall));
  await advanceTime();
  let changes = 0;
  room.on('change', () => {
    changes += 1;
  });
  const before = room.timeline.chats;
  expect(room.timeline.chats).toBe(before);
  for (let count = 0; count < 10; count += 1) hall.addEntry(chat('x'));
  await advanceTime();
  expect(changes).toBe(1);
  expect(room.timeline.chats).not.toBe(before);
});
