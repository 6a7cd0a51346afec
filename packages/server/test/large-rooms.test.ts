/** Rooms with too many members to broadcast each event to each of them: members receive periodic counts. */
import type { ServerNotice } from '@engawa/protocol';
import type { Store } from '@engawa/server';
import { openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { collectEvents, connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { newDurableStore, storeForAnotherServer, storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';

const roomId = 'veranda';
/** The number of members from which on a room is large in this test. */
const LARGE = 3;
const SETTINGS = { rateLimits: 'off', largeRoomThreshold: LARGE } as const;

interface Guest {
  username: string;
  socket: Socket;
  session: string;
}

/** Members of a room, the first of whom opened it. */
async function startRoom(size: number, options: Parameters<typeof startServer>[0] = {}) {
  const { url, store } = await startServer({ ...SETTINGS, ...options });
  const guests: Guest[] = [];
  for (let number = 0; number < size; number += 1) guests.push(await join(url, `guest ${number}`));
  // Earlier entries are sent to the member before the answer.
  await requestOk(guests[0]!.socket, 'list:members', { roomId });
  return { url, store, guests, owner: guests[0]!.socket };
}

async function join(url: string, username: string): Promise<Guest> {
  const socket = await connect(url);
  const event = username === 'guest 0' ? 'create:room' : 'add:member';
  const { session } = await requestOk(socket, event, { roomId, username });
  return { username, socket, session };
}

const say = (socket: Socket, username: string, message: string) => requestOk(socket, 'create:chat', { roomId, username, message });
const leave = ({ socket, username }: Guest) => requestOk(socket, 'remove:member', { roomId, username });
const drop = ({ socket }: Guest): void => void socket.io.engine.close();
const memberCounts = (socket: Socket) => collectEvents(socket, 'members:changed') as unknown as ServerNotice<'members:changed'>[];
const kindsIn = async (store: Store) =>
  (await store.readPage(roomId, { after: 0, limit: 500 })).entries.map(({ kind, by, quiet }) => `${by} ${kind}${quiet ? ' quietly' : ''}`);

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('joins and leaves are stored unlisted, sent to the member concerned, and to the others as counts', async () => {
    const { url, store, owner, guests } = await startRoom(LARGE, { store: await open() });
    const receivedEvents = memberCounts(owner);
    const others = [collectEvents(owner, 'add:member:success'), collectEvents(owner, 'remove:member:success')];
    const socket = await connect(url);
    const [joined, left] = [collectEvents(socket, 'add:member:success'), collectEvents(socket, 'remove:member:success')];
    const { id, seq, lastId, members } = await requestOk(socket, 'add:member', { roomId, username: 'late' });
    expect(joined).toMatchObject([{ by: 'late', username: 'late', seq, id, prev: lastId, quiet: true }]);
    expect(members).toBe(LARGE + 1);
    await until(() => receivedEvents.at(-1)?.members === LARGE + 1, 'the owner receives one member more');
    expect(receivedEvents.at(-1)).toMatchObject({ roomId, asOf: seq, online: LARGE + 1, joined: ['late'], left: [] });
    await requestOk(socket, 'remove:member', { roomId, username: 'late' });
    expect(left).toMatchObject([{ username: 'late', reason: 'left', quiet: true }]);
    await until(() => receivedEvents.at(-1)?.members === LARGE, 'the owner receives one member less');
    expect(receivedEvents.at(-1)).toMatchObject({ online: LARGE, left: ['late'] });
    // Leaves below the size of a large room are broadcast by name again.
    await leave(guests[2]!);
    await leave(guests[1]!);
    await until(() => others[1]?.length === 1, 'the owner receives the leave by name once the room is no longer large');
    expect(others).toMatchObject([[], [{ username: 'guest 1', reason: 'left' }]]);
    expect((await kindsIn(store)).slice(4)).toEqual([
      'late add:member quietly',
      'late remove:member quietly',
      'guest 2 remove:member quietly',
      'guest 1 remove:member',
    ]);
  });

  test('the list of members is complete, and names stay unique', async () => {
    const { url, owner } = await startRoom(LARGE + 3, { store: await open() });
    const { members, count } = await requestOk(owner, 'list:members', { roomId });
    expect(members.map(({ username }) => username)).toEqual(Array.from({ length: LARGE + 3 }, (__, number) => `guest ${number}`));
    expect(count).toBe(LARGE + 3);
    await expect(join(url, 'guest 4')).rejects.toThrow('name_taken');
  });

  test('broadcast entries continue without a gap over unlisted entries, and a returning member gets only the count of these', async () => {
    const { url, owner, guests } = await startRoom(LARGE, { store: await open() });
    const { socket, session, username } = guests[1]!;
    const { seq, id, epoch } = await say(owner, 'guest 0', 'before');
    socket.disconnect();
    const late = await join(url, 'late');
    const later = await join(url, 'later');
    await leave(late);
    const back = await connect(url, { auth: { session } });
    const resume = async (from: { seq: number; id?: string | null | undefined }) =>
      (await requestOk(back, 'resume:rooms', { rooms: [{ roomId, username, epoch, ...from }] })).rooms[0];
    const caughtUp = { outcome: 'caught_up', seq: seq + 3, id, entries: [] };
    expect(await resume({ seq, id })).toMatchObject({ ...caughtUp, counts: { asOf: seq + 3, members: LARGE + 1, online: LARGE + 1 } });
    expect(await resume({ seq })).toMatchObject(caughtUp);
    const arrived = collectEvents(back, 'create:chat:success');
    const next = await say(owner, 'guest 0', 'after');
    await until(() => arrived.length === 1, 'the member receives newer entries');
    expect(arrived).toMatchObject([{ seq: seq + 4, prev: id }]);
    const now = await resume({ seq, id });
    expect(now).toMatchObject({ outcome: 'caught_up', seq: next.seq, id: next.id, entries: [{ message: 'after' }], counts: {} });
    expect(await resume({ seq: next.seq, id: next.id })).not.toHaveProperty('counts');
    expect(later.socket.connected).toBe(true);
  });

  test('more unlisted entries than a page has are skipped at once', async () => {
    const { store, owner, guests } = await startRoom(LARGE, { store: await open() });
    const { seq, id, epoch } = await say(owner, 'guest 0', 'before');
    const quiet = { by: 'x', author: 'x', kind: 'quiet', body: {}, quiet: true };
    const drafts = Array.from({ length: 1_200 }, (__, number) => ({ id: `${number}`, ...quiet }));
    await store.append(roomId, { epoch, expectedVersions: [], drafts });
    const { socket, username } = guests[1]!;
    const resume = async () =>
      (await requestOk(socket, 'resume:rooms', { rooms: [{ roomId, username, epoch, seq, id }], limit: 100 })).rooms[0];
    expect(await resume()).toMatchObject({ outcome: 'caught_up', seq: seq + 1_200, id, entries: [] });
    await say(owner, 'guest 0', 'after');
    expect(await resume()).toMatchObject({ outcome: 'caught_up', seq: seq + 1_201, entries: [{ message: 'after' }] });
  });

  test('a member resumes by the id of their own unlisted entry as well as by the last broadcast entry', async () => {
    const { url, store, owner } = await startRoom(LARGE, { store: await open() });
    const { socket } = await join(url, 'before');
    const own = collectEvents(socket, 'add:member:success');
    const joined = await requestOk(socket, 'add:member', { roomId, username: 'late' });
    const { epoch, seq, id, lastId } = joined;
    expect(own).toMatchObject([{ quiet: true, seq, id, prev: lastId }]);
    expect(id).not.toBe(lastId);
    await join(url, 'later');
    const resume = async (from: { seq: number; id?: string | null | undefined }, limit = 500) =>
      (await requestOk(socket, 'resume:rooms', { rooms: [{ roomId, username: 'late', epoch, ...from }], limit })).rooms[0];
    const isBroadcast = (message: string) => ({ epoch, entries: [{ message }] });
    for (const shown of [id, lastId])
      expect(await resume({ seq, id: shown })).toMatchObject({ outcome: 'caught_up', id: lastId, entries: [] });
    const first = await say(owner, 'guest 0', 'first');
    await say(owner, 'guest 0', 'second');
    for (const shown of [id, lastId]) {
      const part = await resume({ seq, id: shown }, 2);
      expect(part).toMatchObject({ outcome: 'more', ...isBroadcast('first') });
      expect(await resume({ seq: first.seq, id: first.id })).toMatchObject({ outcome: 'caught_up', ...isBroadcast('second') });
      const step = await resume({ seq, id: shown }, 1);
      if (step?.outcome !== 'more') throw new Error('There is more.');
      expect(await resume({ seq: step.seq, id: step.id })).toMatchObject({ outcome: 'caught_up', entries: [{}, {}] });
    }
    const quiet = { by: 'x', author: 'x', kind: 'quiet', body: {}, quiet: true };
    await store.append(roomId, {
      epoch,
      expectedVersions: [],
      drafts: Array.from({ length: 600 }, (__, number) => ({ id: `${number}`, ...quiet })),
    });
    const again = await requestOk(socket, 'add:member', { roomId, username: 'last' });
    await store.append(roomId, {
      epoch,
      expectedVersions: [],
      drafts: Array.from({ length: 600 }, (__, number) => ({ id: `b${number}`, ...quiet })),
    });
    const far = { seq: again.seq, id: again.id };
    expect(await resume(far, 100)).toMatchObject({ outcome: 'caught_up', id: again.lastId, entries: [] });
    await say(owner, 'guest 0', 'third');
    expect(await resume(far, 100)).toMatchObject({ outcome: 'caught_up', ...isBroadcast('third') });
    expect(await resume({ ...far, id: 'of another log' }, 100)).toMatchObject({ outcome: 'reset' });
  });

  test('a plain Socket.IO client is recovered over unlisted entries', async () => {
    const { url, owner } = await startRoom(LARGE, { store: await open() });
    const ben = (await join(url, 'ben')).socket;
    const chats = collectEvents(ben, 'create:chat:success');
    for (const missed of [0, 2]) {
      const gone = new Promise((resolve) => ben.once('disconnect', resolve));
      ben.io.engine.close();
      await gone;
      await join(url, `while ${missed} were said`);
      for (let number = 0; number < missed; number += 1) await say(owner, 'guest 0', `missed ${number}`);
      const back = new Promise((resolve) => ben.once('connect', () => resolve(undefined)));
      ben.connect();
      await back;
      expect(ben.recovered).toBe(true);
      await until(() => chats.length === missed, 'the client receives what it missed');
    }
    await say(owner, 'guest 0', 'now');
    await until(() => chats.length === 3, 'the client receives newer entries');
    expect(chats.map(({ message }) => message)).toEqual(['missed 0', 'missed 1', 'now']);
  });

  test('a member whose lease expires is counted, and not announced', async () => {
    const { owner, guests, store } = await startRoom(LARGE + 1, { store: await open(), graceMs: 200 });
    const [receivedEvents, presences] = [memberCounts(owner), collectEvents(owner, 'update:presence:success')];
    drop(guests[2]!);
    await until(() => receivedEvents.some(({ online }) => online === LARGE), 'one less is online');
    await until(() => receivedEvents.at(-1)?.members === LARGE, 'one less is a member');
    expect(receivedEvents.at(-1)?.left).toEqual(['guest 2']);
    expect(await kindsIn(store)).toContain('guest 2 remove:member quietly');
    expect(presences.filter(({ username }) => username === 'guest 2')).toEqual([]);
  });
});

test('a removal by the owner is broadcast to all members', async () => {
  const { owner, guests, store } = await startRoom(LARGE + 1);
  const arrived = collectEvents(guests[1]!.socket, 'remove:member:success');
  const own = collectEvents(guests[3]!.socket, 'remove:member:success');
  await requestOk(owner, 'remove:member', { roomId, username: 'guest 3' });
  await until(() => arrived.length === 1 && own.length === 1, 'both receive it');
  expect(arrived).toMatchObject([{ username: 'guest 3', reason: 'removed' }]);
  expect(await kindsIn(store)).toContain('guest 0 remove:member');
});

test('a retried join is answered as the first time, with a position to continue from', async () => {
  const { url, owner } = await startRoom(LARGE);
  const socket = await connect(url);
  const ask = { roomId, username: 'late', clientId: 'once' };
  const first = await requestOk(socket, 'add:member', ask);
  const said = await say(owner, 'guest 0', 'next');
  const again = await requestOk(socket, 'add:member', ask);
  const place = ({ epoch, seq, id, lastId }: typeof first) => ({ epoch, seq, id, lastId });
  expect(place(again)).toEqual(place(first));
  const [resumed] = (await requestOk(socket, 'resume:rooms', { rooms: [{ ...ask, ...place(again), id: again.lastId }] })).rooms;
  expect(resumed).toMatchObject({ outcome: 'caught_up', seq: said.seq, entries: [{ message: 'next' }] });
});

test('members on several servers are counted together, by each server', async () => {
  const one = await startRoom(LARGE);
  const two = await startServer({ store: await storeForAnotherServer(one.store), ...SETTINGS });
  const far = await join(two.url, 'far');
  const [near, there] = [memberCounts(one.owner), memberCounts(far.socket)];
  const farther = await join(two.url, 'farther');
  const all = { members: LARGE + 2, online: LARGE + 2 };
  await until(() => [near, there].every((receivedEvents) => receivedEvents.at(-1)?.online === all.online), 'both count five');
  for (const receivedEvents of [near, there]) expect(receivedEvents.at(-1)).toMatchObject(all);
  await requestOk(farther.socket, 'start:typing', { roomId, username: 'farther' });
  const typing = collectEvents(one.owner, 'typing:changed');
  await until(() => typing.length > 0, 'the typing is received on the other server');
  expect(typing).toEqual([{ roomId, usernames: ['farther'], hasMore: false }]);
  drop(farther);
  await until(() => near.at(-1)?.online === LARGE + 1 && there.at(-1)?.online === LARGE + 1, 'both servers know of the drop');
});

describe('ephemeral events in a large room', () => {
  test('typing is sent as a few names, and the fact that there are more', async () => {
    const { owner, guests } = await startRoom(8);
    const arrived: string[] = [];
    owner.onAny((event: string) => arrived.push(event));
    const receivedEvents = collectEvents(owner, 'typing:changed') as unknown as ServerNotice<'typing:changed'>[];
    const type = ({ socket, username }: Guest) => requestOk(socket, 'start:typing', { roomId, username });
    await type(guests[1]!);
    await until(() => receivedEvents.length === 1, 'one types');
    expect(receivedEvents[0]).toEqual({ roomId, usernames: ['guest 1'], hasMore: false });
    await Promise.all(guests.slice(2).map(type));
    await until(() => receivedEvents.length === 2, 'several type');
    expect(receivedEvents[1]).toMatchObject({ hasMore: true });
    expect(receivedEvents[1]?.usernames).toHaveLength(3);
    await Promise.all(guests.slice(1).map(({ socket, username }) => requestOk(socket, 'stop:typing', { roomId, username })));
    await until(() => receivedEvents.length === 3, 'no member types');
    expect(receivedEvents[2]).toEqual({ roomId, usernames: [], hasMore: false });
    expect(arrived.filter((event) => event.endsWith('typing:success'))).toEqual([]);
  });

  test('a member who sends a chat is no longer typing', async () => {
    const { owner, guests } = await startRoom(LARGE);
    const receivedEvents = collectEvents(owner, 'typing:changed');
    const { socket, username } = guests[1]!;
    await requestOk(socket, 'start:typing', { roomId, username });
    await until(() => receivedEvents.length === 1, 'the member types');
    await say(socket, username, 'done');
    await until(() => receivedEvents.length === 2, 'the member no longer types');
    expect(receivedEvents[1]).toMatchObject({ usernames: [] });
  });

  test('read marks are sent to connections of the same member only', async () => {
    const { url, owner, guests } = await startRoom(LARGE);
    const { socket, session, username } = guests[1]!;
    const second = await connect(url, { auth: { session } });
    await requestOk(second, 'add:member', { roomId, username });
    const [own, other] = [collectEvents(second, 'mark:read:success'), collectEvents(owner, 'mark:read:success')];
    const { seq } = await say(owner, 'guest 0', 'read this');
    expect(await requestOk(socket, 'mark:read', { roomId, username, seq })).toMatchObject({ read: seq, unread: 0 });
    await until(() => own.length === 1, 'the other connection of the member receives it');
    await say(owner, 'guest 0', 'later');
    expect(other).toEqual([]);
    const { members } = await requestOk(owner, 'list:members', { roomId });
    expect(members.find((member) => member.username === username)).toMatchObject({ read: seq });
  });

  test('presence is correct on request, and a dropped member who returns is not shown as away', async () => {
    const { url, owner, guests } = await startRoom(LARGE + 1);
    const arrived = collectEvents(owner, 'update:presence:success');
    const { socket, session, username } = guests[1]!;
    const presence = async () =>
      (await requestOk(owner, 'list:members', { roomId })).members.find((member) => member.username === username)?.presence;
    await requestOk(socket, 'update:presence', { roomId, username, presence: 'away' });
    expect(await presence()).toBe('away');
    drop(guests[1]!);
    await until(async () => (await presence()) === 'offline', 'the member is gone');
    const back = await connect(url, { auth: { session } });
    await requestOk(back, 'add:member', { roomId, username });
    expect(await presence()).toBe('online');
    expect(arrived.filter(({ presence: receivedEvents }) => receivedEvents !== 'online')).toEqual([]);
  });
});

test('when many members join, each connection gets a bounded number of messages', { timeout: 120_000 }, async () => {
  const MANY_MEMBERS = 2_000;
  const { url } = await startServer({ rateLimits: 'off', store: await newDurableStore() });
  const owner = await connect(url);
  await requestOk(owner, 'create:room', { roomId, username: 'owner' });
  const receivedEvents = memberCounts(owner);
  const begun = performance.now();
  const group = Array.from({ length: 20 }, async (_, part) => {
    const some = [];
    for (let number = part; number < MANY_MEMBERS; number += 20) {
      const raw = await openRawWebSocket(url);
      await raw.waitForPacket(/^0/);
      await raw.send('40');
      await raw.waitForPacket(/^40/);
      await raw.send(`420["add:member",{"roomId":"${roomId}","username":"guest ${number}"}]`);
      expect(await raw.waitForPacket(/^430/)).toContain('"ok":true');
      some.push(raw);
    }
    return some;
  });
  const raws = (await Promise.all(group)).flat();
  const seconds = (performance.now() - begun) / 1_000;
  await until(() => receivedEvents.at(-1)?.members === MANY_MEMBERS + 1, 'all are counted');
  const arrived = raws.flatMap((raw) => raw.received.filter((packet) => packet.startsWith('42')));
  // The first two hundred receive each other's joins by name; later each receives its own join, and a count a second.
  expect(arrived.length).toBeLessThan(2 * 200 ** 2 + MANY_MEMBERS * (3 + seconds));
  expect(receivedEvents.length).toBeLessThan(3 + seconds);
});
