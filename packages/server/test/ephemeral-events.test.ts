/** Ephemeral events of a room: typing, presence and read marks. */
import { LIMITS } from '@engawa/protocol';
import { openMemory } from '@engawa/server';
import {
  collectEvents,
  connect,
  requestError,
  requestOk,
  sendRequest,
  startServer,
  until,
  withOverrides,
} from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { newStoreLocation, storeForAnotherServer, storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EphemeralEvents } from '#rooms/ephemeral-events.js';
import { newConnection } from './helpers/peers.ts';

const roomId = 'veranda';

async function startRoom(options: Parameters<typeof startServer>[0] = {}) {
  const { url, store } = await startServer({ rateLimits: 'off', ...options });
  const [aya, ben] = [await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  const { session } = await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  return { url, store, aya, ben, session };
}

const say = (socket: Socket, username: string, message: string) => requestOk(socket, 'create:chat', { roomId, username, message });
const drop = (socket: Socket): void => void socket.io.engine.close();
const memberNamed = async (socket: Socket, name: string) =>
  (await requestOk(socket, 'list:members', { roomId })).members.find(({ username }) => username === name);

test('chats that a page returned count as read, before the node received their broadcast', async () => {
  const store = withOverrides(openMemory(), { subscribe: async () => () => undefined });
  const { aya, ben } = await startRoom({ store });
  await say(aya, 'aya', 'hello');
  const { seq } = await requestOk(ben, 'list:chats', { roomId });
  expect(await requestOk(ben, 'mark:read', { roomId, username: 'ben', seq })).toMatchObject({ read: seq, unread: 0 });
  expect((await requestError(ben, 'mark:read', { roomId, username: 'ben', seq: seq + 1 })).code).toBe('invalid_payload');
});

test('typing is broadcast to the room, and no entry', async () => {
  const { store, aya, ben } = await startRoom();
  const { head } = await store.read(roomId, {});
  const [started, stopped] = [collectEvents(aya, 'start:typing:success'), collectEvents(aya, 'stop:typing:success')];
  await requestOk(ben, 'start:typing', { roomId, username: 'ben' });
  await until(() => started.length === 1, 'aya receives the typing of ben');
  await requestOk(ben, 'stop:typing', { roomId, username: 'ben' });
  await until(() => stopped.length === 1, 'aya receives the end of the typing');
  expect([...started, ...stopped]).toEqual([
    { roomId, username: 'ben' },
    { roomId, username: 'ben' },
  ]);
  expect((await store.read(roomId, {})).head).toBe(head);
});

test('of many ephemeral events of one member only the latest is broadcast', async () => {
  const { aya, ben } = await startRoom();
  const received: string[] = [];
  aya.onAny((event: string) => received.push(event));
  for (let times = 0; times < 200; times += 1) {
    ben.emit('start:typing', { roomId, username: 'ben' });
    ben.emit('stop:typing', { roomId, username: 'ben' });
  }
  await until(() => received.includes('stop:typing:success'), 'aya receives the last event');
  await say(aya, 'aya', 'enough');
  expect(received.filter((event) => event.includes('typing')).length).toBeLessThan(20);
});

test.each([
  ['in a small room', {}],
  ['in a large room', { largeRoomThreshold: 2 }],
])('a chat ends the typing of its author, %s, also before the typing was broadcast', async (_, settings) => {
  const { store, aya, ben } = await startRoom(settings);
  const far = await connect((await startServer({ rateLimits: 'off', ...settings, store: await storeForAnotherServer(store) })).url);
  await requestOk(far, 'add:member', { roomId, username: 'far' });
  const typing = [aya, far].map((socket) => {
    const names = new Set<unknown>();
    socket.on('start:typing:success', ({ username }: { username: string }) => names.add(username));
    socket.on('stop:typing:success', ({ username }: { username: string }) => names.delete(username));
    socket.on('create:chat:success', ({ username }: { username: string }) => names.delete(username));
    socket.on('typing:changed', ({ usernames }: { usernames: string[] }) => {
      names.clear();
      for (const username of usernames) names.add(username);
    });
    return names;
  });
  const chats = collectEvents(far, 'create:chat:success');
  const slowly = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  for (const wait of [0, 10, 40]) {
    ben.emit('start:typing', { roomId, username: 'ben' });
    await slowly(wait);
    await say(ben, 'ben', `typed within ${wait} ms`);
    await slowly(400);
    expect(typing.map((names) => [...names])).toEqual([[], []]);
  }
  expect(chats).toHaveLength(3);
  await requestOk(ben, 'start:typing', { roomId, username: 'ben' });
  await until(() => typing.every((names) => names.has('ben')), 'what is typed next is seen');
});

test('ephemeral events have a rate of their own, and do not use that of chats', async () => {
  const { ben } = await startRoom({ rateLimits: 'on' });
  const answers = await Promise.all(Array.from({ length: 80 }, () => sendRequest(ben, 'start:typing', { roomId, username: 'ben' })));
  expect(answers.filter((answer) => !answer.ok && answer.error.code === 'rate_limited').length).toBeGreaterThan(0);
  await say(ben, 'ben', 'still received');
});

describe('presence', () => {
  test('a member is online, away when they set it, offline when they dropped, and online when they are back', async () => {
    const { url, aya, ben, session } = await startRoom();
    const receivedEvents = collectEvents(aya, 'update:presence:success');
    expect(await memberNamed(aya, 'ben')).toMatchObject({ presence: 'online' });
    await requestOk(ben, 'update:presence', { roomId, username: 'ben', presence: 'away' });
    await until(() => receivedEvents.at(-1)?.presence === 'away', 'aya receives that ben is away');
    expect(await memberNamed(aya, 'ben')).toMatchObject({ presence: 'away' });
    drop(ben);
    await until(() => receivedEvents.at(-1)?.presence === 'offline', 'aya receives that ben is offline');
    expect(receivedEvents.at(-1)).toEqual({ roomId, username: 'ben', presence: 'offline', online: 1 });
    await until(async () => (await memberNamed(aya, 'ben'))?.presence === 'offline', 'the list says so, too');
    const back = await connect(url, { auth: { session } });
    expect(await requestOk(back, 'add:member', { roomId, username: 'ben' })).toMatchObject({ online: 2 });
    await until(() => receivedEvents.at(-1)?.presence === 'online', 'aya receives that ben is back');
    expect(receivedEvents.at(-1)).toMatchObject({ online: 2 });
  });

  test('a member is away only when all their connections are, and offline after the last of them', async () => {
    const { url, aya, ben, session } = await startRoom();
    const receivedEvents: unknown[] = [];
    aya.on('update:presence:success', ({ username, presence }: { username: string; presence: string }) => {
      if (username === 'ben') receivedEvents.push(presence);
    });
    const second = await connect(url, { auth: { session } });
    await requestOk(second, 'add:member', { roomId, username: 'ben' });
    await until(() => receivedEvents.length > 0, 'aya receives that ben came');
    const say = (socket: Socket, presence: 'online' | 'away') =>
      requestOk(socket, 'update:presence', { roomId, username: 'ben', presence });
    const is = async (presence: string) => {
      // Longer than ephemeral events are batched: a wrong event would have arrived by now.
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect([await memberNamed(aya, 'ben'), receivedEvents.at(-1)]).toMatchObject([{ presence }, presence]);
    };
    await say(ben, 'away');
    await is('online');
    await say(second, 'away');
    await is('away');
    await say(ben, 'online');
    await is('online');
    drop(ben);
    await is('away');
    const third = await connect(url, { auth: { session } });
    await requestOk(third, 'add:member', { roomId, username: 'ben' });
    await is('online');
    drop(third);
    await is('away');
    drop(second);
    await is('offline');
    expect(receivedEvents).toEqual(['online', 'away', 'online', 'away', 'online', 'away', 'offline']);
  });

  test('a member on two servers has the more present of both states', async () => {
    const one = await startServer({ rateLimits: 'off' });
    const two = await startServer({ rateLimits: 'off', store: await storeForAnotherServer(one.store) });
    const [aya, ben] = [await connect(one.url), await connect(one.url)];
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    const { session } = await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const [far, other] = [await connect(two.url, { auth: { session } }), await connect(two.url)];
    await requestOk(far, 'add:member', { roomId, username: 'ben' });
    await requestOk(other, 'add:member', { roomId, username: 'other' });
    const say = (socket: Socket, presence: 'online' | 'away') =>
      requestOk(socket, 'update:presence', { roomId, username: 'ben', presence });
    const receivedEvents = [collectEvents(aya, 'update:presence:success'), collectEvents(other, 'update:presence:success')];
    const are = async (presence: string) => {
      await until(async () => (await memberNamed(aya, 'ben'))?.presence === presence, `one server says ${presence}`);
      await until(async () => (await memberNamed(other, 'ben'))?.presence === presence, `the other says ${presence}`);
      await new Promise((resolve) => setTimeout(resolve, 150));
      const last = receivedEvents.map((all) => all.findLast(({ username }) => username === 'ben')?.presence);
      expect(last).toEqual([presence, presence]);
    };
    await say(ben, 'online');
    await are('online');
    await say(far, 'away');
    await are('online');
    await say(ben, 'away');
    await are('away');
    await say(far, 'online');
    await are('online');
    drop(far);
    await are('away');
  });

  test('a phone that sleeps for 40 seconds stays a member on servers with a longer absence or grace period; otherwise it has left', async () => {
    const servers: [flags: string[], hasExpired: boolean][] = [
      [[], false],
      [['--absence', '0'], true],
      [['--absence', '0', '--grace', '1m'], false],
    ];
    // In parallel, since most of the time is waiting.
    const outcomes = await Promise.all(servers.map(async ([flags]) => sleepAndComeBack(flags)));
    for (const [index, [, hasExpired]] of servers.entries()) {
      const receivedEvents = hasExpired ? [[{ username: 'phone' }], [{ username: 'phone', reason: 'timed_out' }]] : [[], []];
      expect(outcomes[index], servers[index]?.[0].join(' ')).toMatchObject(receivedEvents);
    }

    /** The joins and leaves of the phone that others received; without any, its presence is online again. */
    async function sleepAndComeBack(flags: string[]): Promise<unknown[][]> {
      const server = new ServerProcess(newStoreLocation(), { flags });
      onTestFinished(async () => void (await server.stop()));
      const url = await server.listening;
      const [aya, phone] = [await connect(url), await connect(url)];
      await requestOk(aya, 'create:room', { roomId, username: 'aya' });
      const joined = collectEvents(aya, 'add:member:success');
      const { session, epoch, seq, lastId } = await requestOk(phone, 'add:member', { roomId, username: 'phone' });
      await until(() => joined.length === 1, 'the entry is broadcast');
      const comings = [collectEvents(aya, 'add:member:success'), collectEvents(aya, 'remove:member:success')];
      const presences = collectEvents(aya, 'update:presence:success');
      drop(phone);
      await until(() => presences.at(-1)?.presence === 'offline', 'it is seen that it is gone');
      await new Promise((resolve) => setTimeout(resolve, 40_000));
      const back = await connect(url, { auth: { session } });
      const { rooms } = await requestOk(back, 'resume:rooms', { rooms: [{ roomId, username: 'phone', epoch, seq, id: lastId }] });
      expect(rooms[0]).toMatchObject({ outcome: 'caught_up' });
      await until(() => comings.flat().length > 0 || presences.at(-1)?.presence === 'online', 'it is seen that it is back');
      return comings;
    }
  });

  test('members who reconnect after a kill -9 receive the current count within a second', async () => {
    const place = newStoreLocation();
    const killed = new ServerProcess(place);
    onTestFinished(() => killed.kill().catch(() => undefined));
    const names = ['aya', 'ben', 'chiyo'];
    const sessions: string[] = [];
    const url = await killed.listening;
    for (const username of names) {
      const joined = await requestOk(await connect(url), username === 'aya' ? 'create:room' : 'add:member', { roomId, username });
      sessions.push(joined.session);
    }
    await killed.kill();
    const started = new ServerProcess(place);
    onTestFinished(async () => void (await started.stop()));
    const again = await started.listening;
    const online: number[] = [];
    for (const [index, username] of names.entries()) {
      const socket = await connect(again, { auth: { session: sessions[index] } });
      for (const event of ['members:changed', 'update:presence:success'])
        socket.on(event, (receivedEvents: { online: number }) => (online[index] = receivedEvents.online));
      const [room] = (await requestOk(socket, 'resume:rooms', { rooms: [{ roomId, username, epoch: '', seq: 0 }] })).rooms;
      if (room?.outcome !== 'reset') throw new Error(`It is ${room?.outcome}.`);
      online[index] = room.online;
    }
    expect(online).toEqual([1, 2, 3]);
    await until(() => online.every((count) => count === 3), 'all know how many are back', 1_000);
  });

  test('members on several servers are counted together', async () => {
    const one = await startServer();
    const two = await startServer({ store: await storeForAnotherServer(one.store) });
    const [aya, ben] = [await connect(one.url), await connect(two.url)];
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    const receivedEvents = collectEvents(aya, 'update:presence:success');
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await until(() => receivedEvents.some(({ username }) => username === 'ben'), 'aya receives the presence of ben');
    await until(async () => {
      await requestOk(aya, 'update:presence', { roomId, username: 'aya', presence: 'online' });
      return receivedEvents.at(-1)?.online === 2;
    }, 'both are counted');
  });
});

describe.each(storeKinds)('read marks on the %s store', (_, open) => {
  const mark = (socket: Socket, username: string, seq: number) => requestOk(socket, 'mark:read', { roomId, username, seq });
  const listed = async (socket: Socket) => (await requestOk(socket, 'list:rooms', {})).rooms.find((room) => room.roomId === roomId);
  const reaction = { roomId, reaction: '👍' };

  test('a mark only advances, the rest is unread, and the room receives it', async () => {
    const { aya, ben } = await startRoom({ store: await open() });
    const receivedEvents = collectEvents(aya, 'mark:read:success');
    const seqs = [await say(aya, 'aya', '1'), await say(aya, 'aya', '2'), await say(aya, 'aya', '3')].map(({ seq }) => seq);
    const [first, second, third] = seqs as [number, number, number];
    expect(await memberNamed(aya, 'ben')).toMatchObject({ since: 3, read: 3 });
    expect(await mark(ben, 'ben', second)).toMatchObject({ read: second, unread: 1, mentions: 0, asOf: third });
    expect(await mark(ben, 'ben', first)).toMatchObject({ read: second, unread: 1 });
    expect(await mark(ben, 'ben', third)).toMatchObject({ read: third, unread: 0 });
    await until(() => receivedEvents.at(-1)?.read === third, 'aya receives the read mark of ben');
    expect(receivedEvents.every(({ read }) => read === second || read === third)).toBe(true);
    await say(aya, 'aya', '4');
    expect(await memberNamed(aya, 'ben')).toMatchObject({ read: third });
    expect(await requestOk(ben, 'add:member', { roomId, username: 'ben' })).toMatchObject({ read: third, seq: third + 1, unread: 1 });
  });

  test('a member who reconnects after a night gets unread counts, also of rooms that are not joined yet', async () => {
    const { url, aya, ben, session } = await startRoom({ store: await open(), graceMs: 100 });
    const { seq } = await say(aya, 'aya', 'good night');
    await mark(ben, 'ben', seq);
    drop(ben);
    await until(async () => (await memberNamed(aya, 'ben')) === undefined, 'the lease of the name expired');
    for (const text of ['1', '2', 'ben?', '4', '5']) await say(aya, 'aya', text);
    const back = await connect(url, { auth: { session } });
    const unread = { read: seq, unread: 5, mentions: 1 };
    expect(await listed(back)).toMatchObject(unread);
    expect(await listed(await connect(url))).not.toHaveProperty('unread');
    const joined = await requestOk(back, 'add:member', { roomId, username: 'ben' });
    expect(joined).toMatchObject(unread);
    expect(await memberNamed(aya, 'ben')).toMatchObject({ read: seq });
    const resumed = await requestOk(back, 'resume:rooms', { rooms: [{ roomId, username: 'ben', epoch: 'another', seq: 0 }] });
    expect(resumed.rooms[0]).toMatchObject({ outcome: 'reset', ...unread });
    expect(await mark(back, 'ben', joined.seq)).toMatchObject({ read: joined.seq, unread: 0, mentions: 0 });
    expect(await listed(back)).toMatchObject({ read: joined.seq, unread: 0, mentions: 0 });
  });

  test('a mark belongs to the author, under any name, and not to a later holder of the name', async () => {
    const { aya, ben, url } = await startRoom({ store: await open() });
    const { seq } = await say(aya, 'aya', '1');
    await mark(ben, 'ben', seq);
    await requestOk(ben, 'remove:member', { roomId, username: 'ben' });
    await say(aya, 'aya', '2');
    const other = await connect(url);
    await requestOk(other, 'add:member', { roomId, username: 'ben' });
    expect(await memberNamed(aya, 'ben')).toMatchObject({ read: seq + 3 });
    expect(await listed(ben)).toMatchObject({ read: seq, unread: 1 });
    await requestOk(ben, 'add:member', { roomId, username: 'benjamin' });
    expect(await memberNamed(aya, 'benjamin')).toMatchObject({ read: seq });
    await say(aya, 'aya', 'benjamin!');
    expect(await listed(ben)).toMatchObject({ unread: 2, mentions: 1 });
    await requestOk(aya, 'remove:member', { roomId, username: 'benjamin' });
    expect(await listed(ben)).toMatchObject({ read: seq, unread: 2, mentions: 1 });
  });

  test('only current chats of other authors count as unread', async () => {
    const { url, aya, ben } = await startRoom({ store: await open(), graceMs: 100 });
    const { seq: chatSeq } = await say(aya, 'aya', 'read');
    await mark(ben, 'ben', chatSeq);
    const own = await say(ben, 'ben', 'mine, says ben');
    await requestOk(ben, 'update:chat', { roomId, username: 'ben', chatSeq: own.seq, message: 'still mine' });
    await requestOk(ben, 'add:reaction', { ...reaction, username: 'ben', chatSeq });
    await requestOk(aya, 'add:reaction', { ...reaction, username: 'aya', chatSeq });
    await requestOk(aya, 'update:room', { roomId, username: 'aya', topic: 'tea' });
    for (const name of ['phone', 'telephone']) {
      const napping = await connect(url);
      await requestOk(napping, 'add:member', { roomId, username: name });
      drop(napping);
      await until(async () => (await memberNamed(aya, name)) === undefined, 'the lease of the name expired');
    }
    const count = async () => {
      const { unread, mentions } = await requestOk(ben, 'add:member', { roomId, username: 'ben' });
      return [unread, mentions];
    };
    expect(await count()).toEqual([0, 0]);
    const first = await say(aya, 'aya', 'hello');
    const second = await say(aya, 'aya', 'what do you think, @Ben?');
    await say(aya, 'aya', 'bench, benefit, reuben');
    expect(await count()).toEqual([3, 1]);
    await requestOk(aya, 'update:chat', { roomId, username: 'aya', chatSeq: first.seq, message: 'hello ben' });
    expect(await count()).toEqual([3, 2]);
    await requestOk(aya, 'delete:chat', { roomId, username: 'aya', chatSeq: second.seq });
    expect(await count()).toEqual([2, 1]);
  });

  test('the unread count ends at a hundred', async () => {
    const { aya, ben } = await startRoom({ store: await open() });
    await Promise.all(Array.from({ length: 130 }, (__, number) => say(aya, 'aya', `${number} for ben`)));
    expect(await listed(ben)).toMatchObject({ unread: 100, mentions: 100 });
    const { seq } = await requestOk(ben, 'list:chats', { roomId, limit: 1 });
    expect(await mark(ben, 'ben', seq - 99)).toMatchObject({ unread: 99, mentions: 99 });
  });
});

test('unread counts are limited so that resuming stays affordable, and are left out beyond that', async () => {
  const { aya, ben } = await startRoom({ rateLimits: 'on' });
  await say(aya, 'aya', 'unread');
  const { rooms } = await requestOk(ben, 'list:rooms', {});
  expect(rooms).toMatchObject([{ read: 3, unread: 1 }]);
  const rates = { ...LIMITS.rates, resumes: { burst: 4, perSecond: 0.001 } };
  const connection = newConnection('a', { limits: { ...LIMITS, rates } });
  expect(Array.from({ length: 5 }, () => connection.tryTakeCountToken())).toEqual([true, true, true, false, false]);
  connection.takeResumeTokens(1);
});

test('a mark beyond the head, or for another member, is refused', async () => {
  const { aya, ben } = await startRoom();
  expect((await requestError(ben, 'mark:read', { roomId, username: 'ben', seq: 10_000 })).code).toBe('invalid_payload');
  expect((await requestError(ben, 'mark:read', { roomId, username: 'aya', seq: 1 })).code).toBe('not_a_member');
  expect((await requestError(ben, 'start:typing', { roomId, username: 'aya' })).code).toBe('not_a_member');
  await requestOk(aya, 'remove:member', { roomId, username: 'ben' });
  expect((await requestError(ben, 'start:typing', { roomId, username: 'ben' })).code).toBe('not_a_member');
});

test('ephemeral events and counts that arrive after the room has ended are not broadcast', async () => {
  const receivedEvents: string[] = [];
  const announced: object[] = [];
  const signals = new EphemeralEvents({
    node: 'here',
    largeRoomThreshold: 200,
    summary: {} as never,
    countLocalOnline: () => 1,
    localPresence: () => 'online',
    reassertPresence: async () => undefined,
    broadcast: (event) => receivedEvents.push(event),
    emitToMember: () => undefined,
    publish: async (said) => void announced.push(said),
    onError: () => undefined,
  });
  signals.close();
  const before = announced.length;
  signals.receive({ node: 'there', online: 1, said: { event: 'start:typing', signal: { roomId, username: 'ben' } } });
  signals.scheduleCount();
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect([receivedEvents, announced.length]).toEqual([[], before]);
});
