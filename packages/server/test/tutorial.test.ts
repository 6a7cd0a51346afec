/**
 * The original tutorial: its four events used by a plain Socket.IO client, and its twelve defects, each
 * with a test that fails on the tutorial's server.
 */

import {
  collectEvents,
  connect,
  newClient,
  nextEvent,
  requestError,
  requestOk,
  sendRequest,
  startServer,
  until,
  withTimeout,
} from '@engawa/testkit/processes/server';
import { newDurableStore, storeForAnotherServer } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';

const ROOM = { roomId: 'veranda' };

/** The events that a client of the tutorial listens to. */
const RECEIVED = new Set(['create:room:success', 'add:member:success', 'remove:member:success', 'create:chat:success', 'error']);

async function inRoom(url: string, username: string, event: 'create:room' | 'add:member' = 'add:member'): Promise<Socket> {
  const socket = await connect(url);
  await requestOk(socket, event, { ...ROOM, username });
  return socket;
}

describe.each([['websocket'], ['polling']])('a plain Socket.IO client over %s', (transport) => {
  const transports = [transport];

  test('uses the four events and receives the replies of the tutorial, texts included', async () => {
    const { url } = await startServer({ store: await newDurableStore() });
    const aya = await connect(url, { transports });
    const ben = await connect(url, { transports });
    const received = { aya: [] as string[], ben: [] as string[] };
    for (const [name, socket] of Object.entries({ aya, ben })) {
      socket.onAny((event: string, payload: Record<string, string | undefined>) => {
        if (!RECEIVED.has(event)) return;
        const words = [event, payload.roomId, payload.username, payload.message].filter((word) => word !== undefined);
        received[name as 'aya' | 'ben'].push(words.join(' '));
      });
    }
    /** Sends the request, and waits until both have received all of its events. */
    const say = async (socket: Socket, [event, payload]: [string, object], receivedBy: { aya: number; ben: number }) => {
      socket.emit(event, { ...ROOM, ...payload });
      await until(() => received.aya.length === receivedBy.aya && received.ben.length === receivedBy.ben, `${event} is received`);
    };

    await say(ben, ['add:member', { username: 'ben' }], { aya: 0, ben: 1 });
    await say(ben, ['remove:member', { username: 'ben' }], { aya: 0, ben: 2 });
    await say(aya, ['create:room', { username: 'aya' }], { aya: 2, ben: 2 });
    await say(ben, ['create:room', { username: 'ben' }], { aya: 2, ben: 3 });
    await say(ben, ['add:member', { username: 'aya' }], { aya: 2, ben: 4 });
    await say(ben, ['add:member', { username: 'ben' }], { aya: 3, ben: 5 });
    await say(aya, ['create:chat', { username: 'aya', message: 'こんにちは' }], { aya: 4, ben: 6 });
    await say(ben, ['create:chat', { username: 'ben', message: 'hello' }], { aya: 5, ben: 7 });
    await say(ben, ['remove:member', { username: 'ben' }], { aya: 6, ben: 8 });

    expect(received.aya).toEqual([
      'create:room:success veranda aya',
      'add:member:success veranda aya',
      'add:member:success veranda ben',
      'create:chat:success veranda aya こんにちは',
      'create:chat:success veranda ben hello',
      'remove:member:success veranda ben',
    ]);
    expect(received.ben).toEqual([
      'error Room does not exist.',
      'error Room does not exist.',
      'error Room already exist.',
      'error Username already exists, please choose another username.',
      'add:member:success veranda ben',
      'create:chat:success veranda aya こんにちは',
      'create:chat:success veranda ben hello',
      'remove:member:success veranda ben',
    ]);
  });
});

test('every origin may connect by default', async () => {
  const { url } = await startServer();
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { origin: 'https://anywhere.example' } });
  expect(response.status).toBe(200);
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
});

describe('the defects of the tutorial are fixed', () => {
  test('1: chats can be read back', async () => {
    const { url } = await startServer();
    const aya = await inRoom(url, 'aya', 'create:room');
    await requestOk(aya, 'create:chat', { ...ROOM, username: 'aya', message: 'first' });
    const ben = await inRoom(url, 'ben');
    const { chats } = await requestOk(ben, 'list:chats', ROOM);
    expect(chats.map(({ message }) => message)).toEqual(['first']);
  });

  test('2: a name is free again after its connection ended', async () => {
    const { url } = await startServer({ graceMs: 300 });
    await inRoom(url, 'aya', 'create:room');
    const ben = await inRoom(url, 'ben');
    const next = await connect(url);
    expect((await requestError(next, 'add:member', { ...ROOM, username: 'ben' })).code).toBe('name_taken');
    ben.io.engine.close();
    await until(async () => (await sendRequest(next, 'add:member', { ...ROOM, username: 'ben' })).ok, 'the name is free');
  });

  test('3: no client chats for another member, chats outside its rooms, or removes a member without the right', async () => {
    const { url } = await startServer();
    const aya = await inRoom(url, 'aya', 'create:room');
    const ben = await inRoom(url, 'ben');
    const outsider = await connect(url);
    const message = 'I am aya';
    expect((await requestError(ben, 'create:chat', { ...ROOM, username: 'aya', message })).code).toBe('not_a_member');
    expect((await requestError(outsider, 'create:chat', { ...ROOM, username: 'aya', message })).code).toBe('not_a_member');
    expect((await requestError(outsider, 'create:chat', { ...ROOM, username: 'eve', message })).code).toBe('not_a_member');
    expect((await requestError(outsider, 'remove:member', { ...ROOM, username: 'ben' })).code).toBe('not_a_member');
    expect((await requestError(ben, 'remove:member', { ...ROOM, username: 'aya' })).code).toBe('not_allowed');
    expect((await requestOk(aya, 'list:chats', ROOM)).chats).toEqual([]);
    expect((await requestOk(aya, 'list:members', ROOM)).count).toBe(2);
  });

  test('4: of many clients that request one name or open one room at once, one succeeds, and no room is half-created', async () => {
    const { url } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
    const sockets = await Promise.all(Array.from({ length: 30 }, () => connect(url)));
    const opened = await Promise.all(sockets.map((socket, each) => sendRequest(socket, 'create:room', { ...ROOM, username: `u${each}` })));
    expect(opened.filter(({ ok }) => ok)).toHaveLength(1);
    const owner = sockets[opened.findIndex(({ ok }) => ok)] as Socket;
    expect((await requestOk(owner, 'list:members', ROOM)).members).toMatchObject([{ role: 'owner' }]);
    const others = sockets.filter((socket) => socket !== owner);
    const joined = await Promise.all(others.map((socket) => sendRequest(socket, 'add:member', { ...ROOM, username: 'ben' })));
    expect(joined.filter(({ ok }) => ok)).toHaveLength(1);
    expect(joined.filter((answer) => !answer.ok && answer.error.code === 'name_taken')).toHaveLength(28);
  });

  test('5: "::" in a room or a name is ordinary text', async () => {
    const { url } = await startServer();
    const socket = await connect(url);
    await requestOk(socket, 'create:room', { roomId: 'a', username: 'b::c' });
    await requestOk(socket, 'create:room', { roomId: 'a::b', username: 'x' });
    await requestOk(socket, 'add:member', { roomId: 'a::b', username: 'c' });
    expect((await requestOk(socket, 'list:members', { roomId: 'a' })).members.map(({ username }) => username)).toEqual(['b::c']);
    expect((await requestOk(socket, 'list:members', { roomId: 'a::b' })).members.map(({ username }) => username)).toEqual(['c', 'x']);
  });

  test('6: two servers on one store broadcast to each other', async () => {
    const one = await startServer();
    const two = await startServer({ store: await storeForAnotherServer(one.store) });
    const aya = await inRoom(one.url, 'aya', 'create:room');
    const ben = await inRoom(two.url, 'ben');
    const [toAya, toBen] = [nextEvent(aya, 'create:chat:success'), nextEvent(ben, 'create:chat:success')];
    await requestOk(aya, 'create:chat', { ...ROOM, username: 'aya', message: 'across' });
    expect(await toBen).toEqual(await toAya);
  });

  test('7: removing a member removes that member, and not the requesting client', async () => {
    const { url } = await startServer();
    const aya = await inRoom(url, 'aya', 'create:room');
    const ben = await inRoom(url, 'ben');
    const [toAya, toBen] = [collectEvents(aya, 'create:chat:success'), collectEvents(ben, 'create:chat:success')];
    const removed = nextEvent(ben, 'remove:member:success');
    await requestOk(aya, 'remove:member', { ...ROOM, username: 'ben' });
    expect(await removed).toMatchObject({ username: 'ben', by: 'aya', reason: 'removed' });
    await requestOk(aya, 'create:chat', { ...ROOM, username: 'aya', message: 'the member is gone' });
    expect((await requestError(ben, 'create:chat', { ...ROOM, username: 'ben', message: 'am I?' })).code).toBe('not_a_member');
    expect([toAya.length, toBen.length]).toEqual([1, 0]);
  });

  test('8: when the store fails the caller gets an error, and the process and its connections continue', async () => {
    const { url, store } = await startServer();
    const aya = await inRoom(url, 'aya', 'create:room');
    const ben = await connect(url);
    await store.close();
    const answer = await requestError(aya, 'create:chat', { ...ROOM, username: 'aya', message: 'kept?' });
    expect(answer).toMatchObject({ code: 'busy', retryable: true });
    expect((await requestError(ben, 'create:room', { roomId: 'new', username: 'ben' })).message).toBe('Room creation failed.');
    expect((await requestError(ben, 'add:member', { ...ROOM, username: 'ben' })).message).toBe('User creation failed.');
    expect([aya.connected, ben.connected]).toEqual([true, true]);
  });

  test('8: an entry is stored before it is broadcast', async () => {
    const { url } = await startServer({ store: await newDurableStore() });
    const aya = await inRoom(url, 'aya', 'create:room');
    const ben = await inRoom(url, 'ben');
    const chat = nextEvent(ben, 'create:chat:success');
    aya.emit('create:chat', { ...ROOM, username: 'aya', message: 'kept' });
    const { seq } = await chat;
    expect((await requestOk(ben, 'list:chats', ROOM)).chats).toMatchObject([{ seq, message: 'kept' }]);
  });

  test('9: the port is the configured one', async () => {
    const { url } = await startServer({ port: 0 });
    expect(new URL(url).port).not.toBe('3000');
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test('10: a refusal ends nothing: the same connection may send more requests', async () => {
    const { url } = await startServer();
    const socket = newClient(url);
    const error = nextEvent(socket, 'error');
    socket.emit('add:member', { ...ROOM, username: 'aya' });
    expect(await error).toMatchObject({ code: 'room_not_found', message: 'Room does not exist.', retryable: false, event: 'add:member' });
    await requestOk(socket, 'create:room', { ...ROOM, username: 'aya' });
  });

  test('11: a member who leaves receives their own leave, and repeated requests are answered once each', async () => {
    const { url } = await startServer();
    await inRoom(url, 'aya', 'create:room');
    const ben = await inRoom(url, 'ben');
    const [left, joined] = [collectEvents(ben, 'remove:member:success'), collectEvents(ben, 'add:member:success')];
    // Like clients of the tutorial, without acknowledgements.
    for (const event of ['add:member', 'remove:member', 'remove:member']) ben.emit(event, { ...ROOM, username: 'ben' });
    await until(() => left.length === 2, 'the leave is received twice');
    expect(joined).toMatchObject([{ ...ROOM, username: 'ben' }]);
    expect(left).toMatchObject([
      { ...ROOM, username: 'ben', reason: 'left' },
      { ...ROOM, username: 'ben' },
    ]);
  });

  test('12: size, rate and kind of requests are limited, and the limits are stated', async () => {
    const { url } = await startServer();
    const aya = await connect(url);
    const { limits } = await requestOk(aya, 'create:room', { ...ROOM, username: 'aya' });
    const tooLong = 'x'.repeat(limits.textCodePoints + 1);
    expect((await requestError(aya, 'create:chat', { ...ROOM, username: 'aya', message: tooLong })).code).toBe('invalid_payload');
    const flood = Array.from({ length: 40 }, () => sendRequest(aya, 'create:chat', { ...ROOM, username: 'aya', message: 'x' }));
    const refusals = (await withTimeout(Promise.all(flood), 'answers')).filter((answer) => !answer.ok);
    expect(refusals.length).toBeGreaterThan(0);
    expect(refusals[0]).toMatchObject({ error: { code: 'rate_limited', retryable: true } });
  });
});
