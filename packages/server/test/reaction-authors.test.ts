/** A reaction belongs to its author, and not to a name. */

import { connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import type { Socket } from 'socket.io-client';
import { describe, expect, test } from 'vitest';
import { reactionKey } from '#domain/room-keys.js';

const roomId = 'veranda';
const reaction = '👍';
const GRACE = 400;

async function reactionsSeenBy(socket: Socket): Promise<object[] | undefined> {
  const { chats } = await requestOk(socket, 'list:chats', { roomId });
  return chats[0]?.reactions;
}

/** Ben has reacted to a chat; a third client has not joined yet. */
async function start(open: (typeof storeKinds)[number][1]) {
  const { url, store } = await startServer({ store: await open(), graceMs: GRACE });
  const [aya, ben, other] = [await connect(url), await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  const { session } = await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  const { seq: chatSeq } = await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'tea?' });
  const asBen = { roomId, username: 'ben', chatSeq, reaction };
  await requestOk(ben, 'add:reaction', asBen);
  return { url, store, aya, ben, other, session, asBen };
}

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('a client that takes over a name has none of its reactions: these stay when the client removes its own', async () => {
    const { url, aya, ben, other, session, asBen } = await start(open);
    ben.io.engine.close();
    await until(async () => (await requestOk(aya, 'list:members', { roomId })).count === 1, 'ben is gone');
    await requestOk(other, 'add:member', { roomId, username: 'ben' });
    expect(await reactionsSeenBy(other)).toEqual([{ reaction, count: 1 }]);

    const { seq } = await requestOk(other, 'remove:reaction', asBen);
    expect(await reactionsSeenBy(other)).toEqual([{ reaction, count: 1 }]);
    expect((await requestOk(other, 'add:reaction', asBen)).seq).toBe(seq + 1);
    expect(await reactionsSeenBy(other)).toEqual([{ reaction, count: 2, mine: true }]);
    await requestOk(other, 'remove:reaction', asBen);
    expect(await reactionsSeenBy(other)).toEqual([{ reaction, count: 1 }]);

    const back = await connect(url, { auth: { session } });
    await requestOk(back, 'add:member', { roomId, username: 'benji' });
    expect(await reactionsSeenBy(back)).toEqual([{ reaction, count: 1, mine: true }]);
    await requestOk(back, 'remove:reaction', { ...asBen, username: 'benji' });
    expect(await reactionsSeenBy(aya)).toBeUndefined();
  });

  test('an author under two names has one reaction', async () => {
    const { ben, asBen } = await start(open);
    await requestOk(ben, 'add:member', { roomId, username: 'benji' });
    const { seq } = await requestOk(ben, 'add:reaction', asBen);
    expect((await requestOk(ben, 'add:reaction', { ...asBen, username: 'benji' })).seq).toBe(seq);
    expect(await reactionsSeenBy(ben)).toEqual([{ reaction, count: 1, mine: true }]);
  });

  test('a member who resumes in another log receives which reactions are theirs', async () => {
    const { url, session } = await start(open);
    const back = await connect(url, { auth: { session } });
    const { rooms } = await requestOk(back, 'resume:rooms', { rooms: [{ roomId, username: 'ben', epoch: 'another', seq: 0 }] });
    expect(rooms).toMatchObject([{ outcome: 'reset', page: { chats: [{ reactions: [{ reaction, count: 1, mine: true }] }] } }]);
  });

  test('a reaction of an earlier version, which belonged to a name, is counted and belongs to no author', async () => {
    const { store, aya, ben, asBen } = await start(open);
    const { epoch } = await store.read(roomId, {});
    await store.append(roomId, {
      epoch,
      expectedVersions: [],
      drafts: [
        {
          id: 'old',
          by: 'ben',
          author: 'old',
          kind: 'add:reaction',
          body: asBen,
          keyUpdates: [[reactionKey(asBen.chatSeq, reaction, 'ben'), true]],
        },
      ],
    });
    expect(await reactionsSeenBy(aya)).toEqual([{ reaction, count: 2 }]);
    await requestOk(ben, 'remove:reaction', asBen);
    expect(await reactionsSeenBy(ben)).toEqual([{ reaction, count: 1 }]);
    await requestOk(ben, 'remove:reaction', asBen);
    expect(await reactionsSeenBy(ben)).toEqual([{ reaction, count: 1 }]);
  });
});
