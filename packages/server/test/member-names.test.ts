/** Which client has a name, for how long, and which client gets it back. */
import { type Store, StoreError } from '@engawa/server';
import {
  connect,
  nextEvent,
  requestError,
  requestOk,
  sendRequest,
  startServer,
  until,
  withOverrides,
} from '@engawa/testkit/processes/server';
import { newStore, storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { GRACE_MS } from '#background/lease-manager.js';
import { foldName, memberKey } from '#domain/room-keys.js';

const roomId = 'veranda';
const GRACE = 400;

const drop = (socket: Socket): void => void socket.io.engine.close();
const isFree = async (socket: Socket, username: string) => (await sendRequest(socket, 'add:member', { roomId, username })).ok;
const leaves = async (store: Store) =>
  (await store.readPage(roomId, { limit: 500 })).entries.filter(({ kind }) => kind === 'remove:member');

test('the grace period is thirty seconds', () => {
  expect(GRACE_MS).toBe(30_000);
});

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('a dropped guest leaves once, by an entry that the room receives', async () => {
    const { url, store } = await startServer({ store: await open(), graceMs: GRACE });
    const [aya, ben] = [await connect(url), await connect(url)];
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'Ben' });
    const left = nextEvent(aya, 'remove:member:success');
    drop(ben);
    expect(await left).toMatchObject({ roomId, username: 'Ben', by: 'Ben', reason: 'timed_out', seq: 4 });
    await requestOk(await connect(url), 'add:member', { roomId, username: 'ben' });
    expect(await leaves(store)).toHaveLength(1);
  });

  test('within the grace period the same session takes the name back without an entry, and no other client gets it', async () => {
    const { url, store } = await startServer({ store: await open(), graceMs: GRACE });
    const ben = await connect(url);
    const { session } = await requestOk(ben, 'create:room', { roomId, username: 'ben' });
    drop(ben);
    const thief = await connect(url);
    expect((await requestError(thief, 'add:member', { roomId, username: 'ben' })).code).toBe('name_taken');
    const back = await connect(url, { auth: { session } });
    expect(await requestOk(back, 'add:member', { roomId, username: 'ben' })).toMatchObject({ role: 'owner', session });
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
    expect((await requestError(thief, 'add:member', { roomId, username: 'ben' })).code).toBe('name_taken');
    expect(await leaves(store)).toHaveLength(0);
    await requestOk(back, 'create:chat', { roomId, username: 'ben', message: 'still me' });
  });

  test('a name stays taken while one of its connections is open', async () => {
    const { url, store } = await startServer({ store: await open(), graceMs: GRACE });
    const phone = await connect(url);
    const { session } = await requestOk(phone, 'create:room', { roomId, username: 'ben' });
    const laptop = await connect(url, { auth: { session } });
    await requestOk(laptop, 'add:member', { roomId, username: 'ben' });
    drop(phone);
    await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
    expect(await leaves(store)).toHaveLength(0);
    drop(laptop);
    await until(async () => (await leaves(store)).length === 1, 'the member is gone');
  });

  test('another server releases the guests of a dead server', async () => {
    const store = await open();
    const first = await startServer({ store, graceMs: GRACE });
    const ben = await connect(first.url);
    await requestOk(ben, 'create:room', { roomId, username: 'ben' });
    // A killed server sends no heartbeat: here it is the lease of a node that never sends one.
    await store.append(roomId, {
      epoch: (await store.read(roomId, {})).epoch,
      expectedVersions: [],
      drafts: [
        {
          id: 'e1',
          by: 'ghost',
          author: 'nobody',
          kind: 'add:member',
          body: {},
          keyUpdates: [[memberKey('ghost'), { username: 'ghost', author: 'nobody' }]],
          lease: { key: memberKey('ghost'), node: 'killed' },
        },
      ],
    });
    const second = await connect(first.url);
    await until(() => isFree(second, 'ghost'), 'the name of the ghost is free');
    expect(await leaves(store)).toMatchObject([{ by: 'ghost', body: { reason: 'timed_out' } }]);
    expect(await isFree(second, 'ben')).toBe(false);
  });
});

test('a clock jump does not remove connected members', async () => {
  let ahead = 0;
  const { url, store } = await startServer({ store: await newStore({ clock: () => Date.now() + ahead }), graceMs: GRACE });
  const [aya, ben] = [await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  ahead += 3_600_000;
  drop(ben);
  await until(async () => (await leaves(store)).length > 0, 'a member is gone');
  ahead += 3_600_000;
  await new Promise((resolve) => setTimeout(resolve, GRACE));
  expect((await leaves(store)).map(({ by }) => by)).toEqual(['ben']);
});

test('nor does a clock jump just before the search for expired leases', async () => {
  let ahead = 0;
  const steady = await newStore({ clock: () => Date.now() + ahead });
  let jumps = 0;
  const listExpiredLeases: Store['listExpiredLeases'] = async (limit) => {
    ahead += 3_600_000;
    jumps += 1;
    return steady.listExpiredLeases(limit);
  };
  const { url, store } = await startServer({ store: withOverrides(steady, { listExpiredLeases }), graceMs: GRACE });
  await requestOk(await connect(url), 'create:room', { roomId, username: 'aya' });
  const before = jumps;
  await until(() => jumps > before + 3, 'the clock jumped');
  expect(await leaves(store)).toEqual([]);
});

test('an expired name is released although the store failed at that moment', async () => {
  const store = await newStore();
  let failures = 2;
  const releaseLease: Store['releaseLease'] = async (...asked) => {
    failures -= 1;
    if (failures >= 0) throw new StoreError('full', 'no space');
    return store.releaseLease(...asked);
  };
  // With limits, a client that is refused this often is disconnected.
  const { url } = await startServer({ store: withOverrides(store, { releaseLease }), graceMs: GRACE, rateLimits: 'off' });
  const [aya, ben] = [await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  drop(ben);
  await until(() => isFree(aya, 'ben'), 'the name is free');
  expect(failures).toBeLessThan(0);
});

test('a store that failed is tried again, also without members', async () => {
  const store = await newStore();
  let beats = 0;
  const heartbeat: Store['heartbeat'] = async () => {
    beats += 1;
  };
  const { url } = await startServer({ store: withOverrides(store, { heartbeat, isWritable: false }), graceMs: GRACE });
  expect((await fetch(`${url}/ready`)).status).toBe(503);
  await until(() => beats > 1, 'it is tried again');
});

test('a connection that breaks while it joins does not take the name from a connected one', async () => {
  const { url, store } = await startServer({ graceMs: GRACE });
  const laptop = await connect(url);
  const { session } = await requestOk(laptop, 'create:room', { roomId, username: 'ben' });
  const phone = await connect(url, { auth: { session } });
  phone.emit('add:member', { roomId, username: 'ben' });
  drop(phone);
  await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
  expect(await leaves(store)).toHaveLength(0);
});

test('an owner who lost the session is an ordinary guest', async () => {
  const { url, store } = await startServer({ graceMs: GRACE });
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(await connect(url), 'add:member', { roomId, username: 'ben' });
  drop(aya);
  await until(async () => (await leaves(store)).length === 1, 'the lease of the name has expired');
  const other = await connect(url);
  expect((await requestError(other, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
  await requestOk(other, 'add:member', { roomId, username: 'aya again' });
  expect((await requestError(other, 'delete:room', { roomId, username: 'aya again' })).code).toBe('not_allowed');
});

test('a client that takes over a name does not take over the chats sent under it', async () => {
  const { url } = await startServer();
  const [aya, ben, other] = [await connect(url), await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  const { seq: chatSeq } = await requestOk(ben, 'create:chat', { roomId, username: 'ben', message: 'mine' });
  await requestOk(ben, 'remove:member', { roomId, username: 'ben' });
  await requestOk(other, 'add:member', { roomId, username: 'ben' });
  expect((await requestError(other, 'update:chat', { roomId, username: 'ben', chatSeq, message: 'yours' })).code).toBe('not_allowed');
  await requestOk(ben, 'add:member', { roomId, username: 'ben2' });
  await requestOk(ben, 'update:chat', { roomId, username: 'ben2', chatSeq, message: 'still mine' });
});

test.each([
  ['Aya', 'aYA'],
  ['ａｙａ', 'aya'],
  ['a\u200bya', 'aya'],
  ['e\u0301', 'é'],
  ['ﬁn', 'fin'],
])('%j and %j are the same name', (one, other) => {
  expect(foldName(one)).toBe(foldName(other));
});
