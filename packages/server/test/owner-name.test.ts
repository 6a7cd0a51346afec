/** The name of a room's owner is nobody else's while the room is there. */
import type { Store } from '@engawa/server';
import { describe, expect, test } from 'vitest';
import { skeletonKey } from '#chat/keys.js';
import { ask, connect, done, refused, startServer, until } from './helpers/server.ts';
import { stores } from './helpers/stores.ts';

const roomId = 'veranda';
const GRACE = 400;

/** A room whose owner is away for longer than the grace, and somebody else in it. */
async function startWithoutOwner(store: Store) {
  const { url } = await startServer({ store, grace: GRACE });
  const [aya, ben] = [await connect(url), await connect(url)];
  const { session } = await done(aya, 'create:room', { roomId, username: 'Aya' });
  await done(ben, 'add:member', { roomId, username: 'ben' });
  await done(aya, 'create:chat', { roomId, username: 'Aya', message: 'mine' });
  aya.io.engine.close();
  await until(async () => (await done(ben, 'list:members', { roomId })).count === 1, 'the owner is gone');
  return { url, store, session, ben, mallory: await connect(url) };
}

describe.each(stores)('on the %s store', (_, open) => {
  test.each([
    ['Aya', 'name_taken'],
    ['aYA', 'name_taken'],
    ['ａｙａ', 'name_taken'],
    ['ay\u200ba', 'invalid_payload'],
    ['аya', 'name_confusable'],
    ['Ауа', 'name_confusable'],
  ])('an owner who is away keeps the name: nobody is given %j', async (username, code) => {
    const { mallory, ben } = await startWithoutOwner(await open());
    for (const guest of [mallory, ben])
      expect(await refused(guest, 'add:member', { roomId, username })).toMatchObject({ code, retryable: false });
  });

  test('the owner is given it again, by joining and by resuming, and may then delete the room', async () => {
    for (const way of ['joining', 'resuming']) {
      const { url, session, mallory } = await startWithoutOwner(await open());
      const back = await connect(url, { auth: { session } });
      if (way === 'joining') expect(await done(back, 'add:member', { roomId, username: 'aya' })).toMatchObject({ role: 'owner' });
      else
        expect(await done(back, 'resume:rooms', { rooms: [{ roomId, username: 'Aya', epoch: 'another', seq: 0 }] })).toMatchObject({
          rooms: [{ outcome: 'reset', role: 'owner' }],
        });
      expect((await refused(mallory, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
      await done(back, 'delete:room', { roomId, username: 'Aya' });
      await done(mallory, 'create:room', { roomId, username: 'aya' });
    }
  });

  test('an owner who left by themselves keeps the name, also after the topic was changed', async () => {
    const { url } = await startServer({ store: await open() });
    const [aya, mallory] = [await connect(url), await connect(url)];
    await done(aya, 'create:room', { roomId, username: 'aya' });
    await done(aya, 'update:room', { roomId, username: 'aya', topic: 'tea' });
    await done(aya, 'remove:member', { roomId, username: 'aya' });
    expect((await refused(mallory, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
    expect(await done(aya, 'add:member', { roomId, username: 'ayako' })).toMatchObject({ role: 'owner' });
    expect((await refused(mallory, 'add:member', { roomId, username: 'aya' })).code).toBe('name_taken');
  });

  test('in a room of an earlier version, which reserves no name, presence decides', async () => {
    const { store, url, mallory } = await startWithoutOwner(await open());
    const { epoch } = await store.read(roomId, {});
    const sets: [string, null][] = [[skeletonKey('aya'), null]];
    await store.append(roomId, {
      epoch,
      given: [],
      drafts: [{ id: 'old', by: 'Aya', author: 'aya', kind: 'update:room', body: {}, sets }],
    });
    expect((await ask(mallory, 'add:member', { roomId, username: 'aya' })).ok).toBe(true);
    expect((await refused(await connect(url), 'add:member', { roomId, username: 'аya' })).code).toBe('name_confusable');
  });
});
