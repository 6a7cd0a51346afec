/** Quotas on real sockets: each is reached, its refusal is typed, members still read, and freed space allows writes again. */

import { connect, requestError, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { newStoreLocation, openStoreAt, storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { forwardedFor } from './helpers/bystanders.ts';
import { AYA, BEN, exceeded, expectReadable, KB, ROOM, sendUntilRefused } from './helpers/quotas.ts';

/** Milliseconds between two reads of the usage of the store. */
const usageRefreshMs = 20;

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('a session with the maximum number of rooms is refused another one, until it deletes one', async () => {
    const { url } = await startServer({ store: await open(), quotaRoomsPerSession: 3 });
    const aya = await connect(url);
    const { session } = await requestOk(aya, 'create:room', { roomId: 'room 0', username: 'aya' });
    for (const roomId of ['room 1', 'room 2']) await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    const fourth = { roomId: 'room 3', username: 'aya' };
    expect(await requestError(aya, 'create:room', fourth)).toMatchObject(exceeded(/own the maximum number of rooms/));
    expect((await requestError(aya, 'create:room', { roomId: 'room 0', username: 'aya' })).code).toBe('room_exists');

    const again = await connect(url, { auth: { session } });
    expect(await requestError(again, 'create:room', fourth)).toMatchObject(exceeded(/own the maximum number of rooms/));
    const ben = await connect(url);
    await requestOk(ben, 'create:room', { roomId: "ben's", username: 'ben' });
    await requestOk(aya, 'add:member', { roomId: "ben's", username: 'aya' });

    await requestOk(aya, 'delete:room', { roomId: 'room 1', username: 'aya' });
    await requestOk(again, 'create:room', fourth);
    expect(await requestError(aya, 'create:room', { roomId: 'room 4', username: 'aya' })).toMatchObject(
      exceeded(/own the maximum number of rooms/),
    );
  });

  test('a server with the maximum number of rooms refuses another one, until one is deleted', async () => {
    const { url } = await startServer({ store: await open(), quotaRooms: 5, usageRefreshMs });
    const [aya, ben] = [await connect(url), await connect(url)];
    const openRoom = (each: number) => sendRequest(aya, 'create:room', { roomId: `room ${each}`, username: 'aya' });
    // A room that is opened while the usage is being read may count twice until it is read again.
    for (const each of [0, 1, 2, 3, 4]) await until(async () => (await openRoom(each)).ok, `room ${each} is opened`);
    const another = { roomId: 'room 5', username: 'ben' };
    expect(await requestError(ben, 'create:room', another)).toMatchObject(exceeded(/server has the maximum number of rooms/));
    expect((await requestError(ben, 'create:room', { roomId: 'room 0', username: 'ben' })).code).toBe('room_exists');
    await requestOk(ben, 'add:member', { roomId: 'room 0', username: 'ben' });
    await requestOk(ben, 'create:chat', { roomId: 'room 0', username: 'ben', message: 'hello' });
    await requestOk(aya, 'delete:room', { roomId: 'room 3', username: 'aya' });
    await until(async () => (await sendRequest(ben, 'create:room', another)).ok, 'there is space for a room');
    expect(await requestError(aya, 'create:room', { roomId: 'room 6', username: 'aya' })).toMatchObject(
      exceeded(/server has the maximum number of rooms/),
    );
  });

  test('a full room refuses writes that add to it, and no reads, leaves, or deletions', async () => {
    const { url } = await startServer({ store: await open(), rateLimits: 'off', quotaRoomBytes: 20 * KB });
    const [aya, ben] = [await connect(url), await connect(url)];
    const { session } = await requestOk(aya, 'create:room', AYA);
    await requestOk(ben, 'add:member', BEN);
    const { seq: chatSeq } = await requestOk(ben, 'create:chat', { ...BEN, message: 'before' });
    await requestOk(ben, 'add:reaction', { ...BEN, chatSeq, reaction: '👍' });
    const { error, stored } = await sendUntilRefused(aya, 'aya', KB);
    expect(error).toMatchObject(exceeded(/This room is full/));
    expect(stored).toBeGreaterThan(18);
    expect(stored).toBeLessThanOrEqual(20);

    for (const refusal of [
      await requestError(ben, 'create:chat', { ...BEN, message: 'x' }),
      await requestError(ben, 'update:chat', { ...BEN, chatSeq, message: 'x' }),
      await requestError(aya, 'add:reaction', { ...AYA, chatSeq, reaction: '👍' }),
      await requestError(aya, 'update:room', { ...AYA, topic: 'x' }),
    ])
      expect(refusal).toMatchObject(exceeded(/This room is full/));
    await expectReadable(url, session, 'aya');
    const cho = await connect(url);
    await requestOk(cho, 'add:member', { ...ROOM, username: 'cho' });
    await requestOk(cho, 'remove:member', { ...ROOM, username: 'cho' });
    await requestOk(ben, 'remove:reaction', { ...BEN, chatSeq, reaction: '👍' });
    await requestOk(aya, 'create:room', { roomId: 'another room', username: 'aya' });

    const { chats } = await requestOk(aya, 'list:chats', { ...ROOM, limit: 500 });
    for (const { seq } of chats.filter(({ username }) => username === 'aya').slice(0, 10))
      await requestOk(aya, 'delete:chat', { ...AYA, chatSeq: seq });
    await requestOk(ben, 'create:chat', { ...BEN, message: 'after' });
    await requestOk(aya, 'add:reaction', { ...AYA, chatSeq, reaction: '👍' });
  });

  test('the owner of a full room may still shorten its retention, which frees space', async () => {
    const { url } = await startServer({ store: await open(), rateLimits: 'off', quotaRoomBytes: 5 * KB, trimIntervalMs: 50 });
    const aya = await connect(url);
    await requestOk(aya, 'create:room', AYA);
    expect((await sendUntilRefused(aya, 'aya', KB)).error.code).toBe('quota_exceeded');
    await requestOk(aya, 'update:room', { ...AYA, retention: { maxCount: 2 } });
    await until(async () => (await sendRequest(aya, 'create:chat', { ...AYA, message: 'after' })).ok, 'there is space in the room');
  });

  test('a member who chats alone on one connection is limited by a quota that others used up meanwhile', async () => {
    const store = await open();
    const { url } = await startServer({ store, rateLimits: 'off', quotaRoomBytes: 100 * KB });
    const [aya, ben] = [await connect(url), await connect(url)];
    await requestOk(aya, 'create:room', AYA);
    await requestOk(ben, 'add:member', BEN);
    await requestOk(aya, 'create:chat', { ...AYA, message: 'begins' });
    await sendUntilRefused(ben, 'ben', 10 * KB);
    expect((await sendUntilRefused(aya, 'aya', 3)).error).toMatchObject(exceeded(/This room is full/));
  });

  test('nothing is refused where quotas are lifted', async () => {
    const lifted = {
      quotaRoomsPerSession: 0,
      quotaRooms: 0,
      quotaRoomBytes: 0,
      quotaTotalBytes: 0,
      roomsPerAddress: 0,
      bytesPerAddress: 0,
    };
    const { url } = await startServer({ store: await open(), ...lifted });
    const aya = await connect(url);
    const { limits } = await requestOk(aya, 'create:room', AYA);
    expect(limits.quotas).toEqual({ roomsPerSession: null, rooms: null, roomBytes: null, totalBytes: null });
    expect(limits.perAddress).toMatchObject({ rooms: null, bytes: null });
    for (const each of [1, 2, 3]) await requestOk(aya, 'create:room', { roomId: `room ${each}`, username: 'aya' });
    await requestOk(aya, 'create:chat', { ...AYA, message: 'hello' });
  });
});

test('an address that opened the maximum number of rooms is refused another one, others are not', async () => {
  const { url } = await startServer({ trustedProxies: 1, roomsPerAddress: 3 });
  const [aya, ben, cho] = [
    await connect(url, { extraHeaders: forwardedFor('192.0.2.1') }),
    await connect(url, { extraHeaders: forwardedFor('192.0.2.1') }),
    await connect(url, { extraHeaders: forwardedFor('192.0.2.2') }),
  ];
  await requestOk(aya, 'create:room', { roomId: 'room 0', username: 'aya' });
  // Existing rooms cost nothing.
  for (const _ of [1, 2, 3, 4, 5])
    expect((await requestError(ben, 'create:room', { roomId: 'room 0', username: 'ben' })).code).toBe('room_exists');
  await requestOk(ben, 'create:room', { roomId: 'room 1', username: 'ben' });
  await requestOk(ben, 'create:room', { roomId: 'room 2', username: 'ben' });
  for (const socket of [aya, ben])
    expect(await requestError(socket, 'create:room', { roomId: 'room 3', username: 'x' })).toMatchObject(exceeded(/from your address/));
  expect((await requestError(ben, 'create:room', { roomId: 'room 0', username: 'ben' })).code).toBe('room_exists');
  await requestOk(ben, 'add:member', { roomId: 'room 0', username: 'ben' });
  await requestOk(cho, 'create:room', { roomId: 'room 3', username: 'cho' });
});

test('an address beyond its rate of stored bytes waits; meanwhile it reads, leaves and deletes', async () => {
  const bytesPerAddress = 100 * KB;
  const { url } = await startServer({ trustedProxies: 1, bytesPerAddress });
  const [aya, ben] = [
    await connect(url, { extraHeaders: forwardedFor('192.0.2.1') }),
    await connect(url, { extraHeaders: forwardedFor('192.0.2.1') }),
  ];
  const cho = await connect(url, { extraHeaders: forwardedFor('192.0.2.2') });
  await requestOk(aya, 'create:room', AYA);
  for (const [socket, username] of [
    [ben, 'ben'],
    [cho, 'cho'],
  ] as const)
    await requestOk(socket, 'add:member', { ...ROOM, username });
  const { stored, error } = await sendUntilRefused(aya, 'aya', 11 * KB);
  expect(stored).toBeGreaterThan(7);
  expect(stored).toBeLessThanOrEqual(10);
  expect(error).toMatchObject({ code: 'rate_limited', retryable: true });
  expect(error.retryAfterMs).toBeGreaterThan(0);
  expect((await requestError(ben, 'create:chat', { ...BEN, message: 'x' })).code).toBe('rate_limited');
  expect((await requestError(ben, 'create:room', { roomId: 'another', username: 'ben' })).code).toBe('rate_limited');
  const { chats } = await requestOk(ben, 'list:chats', ROOM);
  await requestOk(aya, 'delete:chat', { ...AYA, chatSeq: Number(chats[0]?.seq) });
  await requestOk(ben, 'remove:member', BEN);
  await requestOk(cho, 'create:chat', { ...ROOM, username: 'cho', message: 'hello' });
});

test('rooms of a session are counted across a restart', async () => {
  const place = newStoreLocation();
  const before = await startServer({ store: await openStoreAt(place), quotaRoomsPerSession: 2 });
  const aya = await connect(before.url);
  const { session } = await requestOk(aya, 'create:room', AYA);
  await requestOk(aya, 'create:room', { roomId: 'attic', username: 'aya' });
  await before.stop();
  await before.store.close();
  const { url } = await startServer({ store: await openStoreAt(place), quotaRoomsPerSession: 2 });
  const again = await connect(url, { auth: { session } });
  expect(await requestError(again, 'create:room', { roomId: 'den', username: 'aya' })).toMatchObject(
    exceeded(/own the maximum number of rooms/),
  );
});
