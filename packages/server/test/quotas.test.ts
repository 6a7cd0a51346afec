/** Quotas on real sockets: each is reached, its refusal is typed, members go on reading, and freed space lets writing go on. */
import { describe, expect, test } from 'vitest';
import { from } from './helpers/neighbours.ts';
import { AYA, BEN, exceeded, goesOnReading, KB, ROOM, sayUntilRefused } from './helpers/quotas.ts';
import { ask, connect, done, refused, startServer, until } from './helpers/server.ts';
import { newPlace, openAt, stores } from './helpers/stores.ts';

/** The usage of the store is read again so often. */
const usageEvery = 20;

describe.each(stores)('on the %s store', (_, open) => {
  test('a session that owns as many rooms as it may is refused another one, until it deletes one', async () => {
    const { url } = await startServer({ store: await open(), quotaRoomsPerSession: 3 });
    const aya = await connect(url);
    const { session } = await done(aya, 'create:room', { roomId: 'room 0', username: 'aya' });
    for (const roomId of ['room 1', 'room 2']) await done(aya, 'create:room', { roomId, username: 'aya' });
    const fourth = { roomId: 'room 3', username: 'aya' };
    expect(await refused(aya, 'create:room', fourth)).toMatchObject(exceeded(/own as many rooms/));
    expect((await refused(aya, 'create:room', { roomId: 'room 0', username: 'aya' })).code).toBe('room_exists');

    const again = await connect(url, { auth: { session } });
    expect(await refused(again, 'create:room', fourth)).toMatchObject(exceeded(/own as many rooms/));
    const ben = await connect(url);
    await done(ben, 'create:room', { roomId: "ben's", username: 'ben' });
    await done(aya, 'add:member', { roomId: "ben's", username: 'aya' });

    await done(aya, 'delete:room', { roomId: 'room 1', username: 'aya' });
    await done(again, 'create:room', fourth);
    expect(await refused(aya, 'create:room', { roomId: 'room 4', username: 'aya' })).toMatchObject(exceeded(/own as many rooms/));
  });

  test('a server that has as many rooms as it may refuses another one, until one is deleted', async () => {
    const { url } = await startServer({ store: await open(), quotaRooms: 5, usageEvery });
    const [aya, ben] = [await connect(url), await connect(url)];
    const openRoom = (each: number) => ask(aya, 'create:room', { roomId: `room ${each}`, username: 'aya' });
    // A room that is opened while the usage is being read may count twice until it is read again.
    for (const each of [0, 1, 2, 3, 4]) await until(async () => (await openRoom(each)).ok, `room ${each} is opened`);
    const another = { roomId: 'room 5', username: 'ben' };
    expect(await refused(ben, 'create:room', another)).toMatchObject(exceeded(/server has as many rooms/));
    expect((await refused(ben, 'create:room', { roomId: 'room 0', username: 'ben' })).code).toBe('room_exists');
    await done(ben, 'add:member', { roomId: 'room 0', username: 'ben' });
    await done(ben, 'create:chat', { roomId: 'room 0', username: 'ben', message: 'hello' });
    await done(aya, 'delete:room', { roomId: 'room 3', username: 'aya' });
    await until(async () => (await ask(ben, 'create:room', another)).ok, 'there is space for a room');
    expect(await refused(aya, 'create:room', { roomId: 'room 6', username: 'aya' })).toMatchObject(exceeded(/server has as many rooms/));
  });

  test('a room that holds as much as it may refuses what adds to it, and nothing that reads, leaves, or frees', async () => {
    const { url } = await startServer({ store: await open(), limits: 'off', quotaRoomBytes: 20 * KB });
    const [aya, ben] = [await connect(url), await connect(url)];
    const { session } = await done(aya, 'create:room', AYA);
    await done(ben, 'add:member', BEN);
    const { seq: chatSeq } = await done(ben, 'create:chat', { ...BEN, message: 'before' });
    await done(ben, 'add:reaction', { ...BEN, chatSeq, reaction: '👍' });
    const { error, kept } = await sayUntilRefused(aya, 'aya', KB);
    expect(error).toMatchObject(exceeded(/said in this room/));
    expect(kept).toBeGreaterThan(18);
    expect(kept).toBeLessThanOrEqual(20);

    for (const refusal of [
      await refused(ben, 'create:chat', { ...BEN, message: 'x' }),
      await refused(ben, 'update:chat', { ...BEN, chatSeq, message: 'x' }),
      await refused(aya, 'add:reaction', { ...AYA, chatSeq, reaction: '👍' }),
      await refused(aya, 'update:room', { ...AYA, topic: 'x' }),
    ])
      expect(refusal).toMatchObject(exceeded(/said in this room/));
    await goesOnReading(url, session, 'aya');
    const cho = await connect(url);
    await done(cho, 'add:member', { ...ROOM, username: 'cho' });
    await done(cho, 'remove:member', { ...ROOM, username: 'cho' });
    await done(ben, 'remove:reaction', { ...BEN, chatSeq, reaction: '👍' });
    await done(aya, 'create:room', { roomId: 'another room', username: 'aya' });

    const { chats } = await done(aya, 'list:chats', { ...ROOM, limit: 500 });
    for (const { seq } of chats.filter(({ username }) => username === 'aya').slice(0, 10))
      await done(aya, 'delete:chat', { ...AYA, chatSeq: seq });
    await done(ben, 'create:chat', { ...BEN, message: 'after' });
    await done(aya, 'add:reaction', { ...AYA, chatSeq, reaction: '👍' });
  });

  test('the owner of a room that is full may still say that less is to be kept, which frees space', async () => {
    const { url } = await startServer({ store: await open(), limits: 'off', quotaRoomBytes: 5 * KB, trimEvery: 50 });
    const aya = await connect(url);
    await done(aya, 'create:room', AYA);
    expect((await sayUntilRefused(aya, 'aya', KB)).error.code).toBe('quota_exceeded');
    await done(aya, 'update:room', { ...AYA, retention: { maxCount: 2 } });
    await until(async () => (await ask(aya, 'create:chat', { ...AYA, message: 'after' })).ok, 'there is space in the room');
  });

  test('a member who talks alone on one connection is held to the quota that others used up meanwhile', async () => {
    const store = await open();
    const { url } = await startServer({ store, limits: 'off', quotaRoomBytes: 100 * KB });
    const [aya, ben] = [await connect(url), await connect(url)];
    await done(aya, 'create:room', AYA);
    await done(ben, 'add:member', BEN);
    await done(aya, 'create:chat', { ...AYA, message: 'begins' });
    await sayUntilRefused(ben, 'ben', 10 * KB);
    expect((await sayUntilRefused(aya, 'aya', 3)).error).toMatchObject(exceeded(/said in this room/));
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
    const { limits } = await done(aya, 'create:room', AYA);
    expect(limits.quotas).toEqual({ roomsPerSession: null, rooms: null, roomBytes: null, totalBytes: null });
    expect(limits.perAddress).toMatchObject({ rooms: null, bytes: null });
    for (const each of [1, 2, 3]) await done(aya, 'create:room', { roomId: `room ${each}`, username: 'aya' });
    await done(aya, 'create:chat', { ...AYA, message: 'hello' });
  });
});

test('an address from which as many rooms were opened as may be is refused another one, others are not', async () => {
  const { url } = await startServer({ trustedProxies: 1, roomsPerAddress: 3 });
  const [aya, ben, cho] = [
    await connect(url, { extraHeaders: from('192.0.2.1') }),
    await connect(url, { extraHeaders: from('192.0.2.1') }),
    await connect(url, { extraHeaders: from('192.0.2.2') }),
  ];
  await done(aya, 'create:room', { roomId: 'room 0', username: 'aya' });
  // Those that are there already cost nothing.
  for (const _ of [1, 2, 3, 4, 5])
    expect((await refused(ben, 'create:room', { roomId: 'room 0', username: 'ben' })).code).toBe('room_exists');
  await done(ben, 'create:room', { roomId: 'room 1', username: 'ben' });
  await done(ben, 'create:room', { roomId: 'room 2', username: 'ben' });
  for (const socket of [aya, ben])
    expect(await refused(socket, 'create:room', { roomId: 'room 3', username: 'x' })).toMatchObject(exceeded(/from your address/));
  expect((await refused(ben, 'create:room', { roomId: 'room 0', username: 'ben' })).code).toBe('room_exists');
  await done(ben, 'add:member', { roomId: 'room 0', username: 'ben' });
  await done(cho, 'create:room', { roomId: 'room 3', username: 'cho' });
});

test('an address from which as much is kept as may be at once waits until it may go on; it reads, leaves and deletes meanwhile', async () => {
  const bytesPerAddress = 100 * KB;
  const { url } = await startServer({ trustedProxies: 1, bytesPerAddress });
  const [aya, ben] = [await connect(url, { extraHeaders: from('192.0.2.1') }), await connect(url, { extraHeaders: from('192.0.2.1') })];
  const cho = await connect(url, { extraHeaders: from('192.0.2.2') });
  await done(aya, 'create:room', AYA);
  for (const [socket, username] of [
    [ben, 'ben'],
    [cho, 'cho'],
  ] as const)
    await done(socket, 'add:member', { ...ROOM, username });
  const { kept, error } = await sayUntilRefused(aya, 'aya', 11 * KB);
  expect(kept).toBeGreaterThan(7);
  expect(kept).toBeLessThanOrEqual(10);
  expect(error).toMatchObject({ code: 'rate_limited', retryable: true });
  expect(error.retryAfter).toBeGreaterThan(0);
  expect((await refused(ben, 'create:chat', { ...BEN, message: 'x' })).code).toBe('rate_limited');
  expect((await refused(ben, 'create:room', { roomId: 'another', username: 'ben' })).code).toBe('rate_limited');
  const { chats } = await done(ben, 'list:chats', ROOM);
  await done(aya, 'delete:chat', { ...AYA, chatSeq: Number(chats[0]?.seq) });
  await done(ben, 'remove:member', BEN);
  await done(cho, 'create:chat', { ...ROOM, username: 'cho', message: 'hello' });
});

test('rooms of a session are counted over a restart', async () => {
  const place = newPlace();
  const before = await startServer({ store: await openAt(place), quotaRoomsPerSession: 2 });
  const aya = await connect(before.url);
  const { session } = await done(aya, 'create:room', AYA);
  await done(aya, 'create:room', { roomId: 'attic', username: 'aya' });
  await before.stop();
  await before.store.close();
  const { url } = await startServer({ store: await openAt(place), quotaRoomsPerSession: 2 });
  const again = await connect(url, { auth: { session } });
  expect(await refused(again, 'create:room', { roomId: 'den', username: 'aya' })).toMatchObject(exceeded(/own as many rooms/));
});
