/** The name of a room's owner is reserved while the room exists. */
import type { Store } from '@engawa/server';
import { connect, requestError, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { skeletonKey } from '#domain/room-keys.js';

const roomId = 'veranda';
const GRACE = 400;

/** A room whose owner is absent for longer than the grace period, and another member. */
async function startWithoutOwner(store: Store) {
  const { url } = await startServer({ store, graceMs: GRACE });
  const [aya, ben] = [await connect(url), await connect(url)];
  const { session } = await requestOk(aya, 'create:room', { roomId, username: 'Aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  await requestOk(aya, 'create:chat', { roomId, username: 'Aya', message: 'mine' });
  aya.io.engine.close();
  await until(async () => (await requestOk(ben, 'list:members', { roomId })).count === 1, 'the owner is gone');
  return { url, store, session, ben, mallory: await connect(url) };
}

describe.each(storeKinds)('on the %s store', (_, open) => {
  test.each([
    ['Aya', 'name_taken'],
    ['aYA', 'name_taken'],
    ['ａｙａ', 'name_taken'],
    ['ay\u200ba', 'invalid_payload'],
    ['аya', 'name_confusable'],
    ['Ауа', 'name_confusable'],
  ])('an absent owner keeps the name: no other client gets %j', async (username, code) => {
    const { mallory, ben } = await startWithoutOwner(await open());
    for (const guest of [mallory, ben])
      expect(await requestError(guest, 'add:member', { roomId, username })).toMatchObject({ code, retryable: false });
  });

  test('the owner gets the name again, by joining and by resuming, and may then delete the room', async () => {
    for (const way of ['joining', 'resuming']) {
      const { url, session, mallory } = await startWithoutOwner(await open());
      const back = await connect(url, { auth: { session } });
      if (way === 'joining') expect(await requestOk(back, 'add:member', { roomId, username: 'aya' })).toMatchObject({ role: 'owner' });
      else
        expect(await requestOk(back, 'resume:rooms', { rooms: [{ roomId, username: 'Aya', epoch: 'another', seq: 0 }] })).toMatchObject({
          rooms: [{ outcome: 'reset', role: 'owner' }],
        });
      expect((await requestError(mallory, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
      await requestOk(back, 'delete:room', { roomId, username: 'Aya' });
      await requestOk(mallory, 'create:room', { roomId, username: 'aya' });
    }
  });

  test('an owner who left keeps the name, also after a change of the topic', async () => {
    const { url } = await startServer({ store: await open() });
    const [aya, mallory] = [await connect(url), await connect(url)];
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(aya, 'update:room', { roomId, username: 'aya', topic: 'tea' });
    await requestOk(aya, 'remove:member', { roomId, username: 'aya' });
    expect((await requestError(mallory, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
    expect(await requestOk(aya, 'add:member', { roomId, username: 'ayako' })).toMatchObject({ role: 'owner' });
    expect((await requestError(mallory, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
  });

  test('in a room of an earlier version, which reserves no name, presence decides', async () => {
    const { store, url, mallory } = await startWithoutOwner(await open());
    const { epoch } = await store.read(roomId, {});
    const keyUpdates: [string, null][] = [[skeletonKey('aya'), null]];
    await store.append(roomId, {
      epoch,
      expectedVersions: [],
      drafts: [{ id: 'old', by: 'Aya', author: 'aya', kind: 'update:room', body: {}, keyUpdates }],
    });
    expect((await sendRequest(mallory, 'add:member', { roomId, username: 'aya' })).ok).toBe(true);
    expect((await requestError(await connect(url), 'add:member', { roomId, username: 'аya' })).code).toBe('name_confusable');
  });
});
