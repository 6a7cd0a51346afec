/** A room is its log, not its id: a request for one room is refused by another with the same id. */

import { collectEvents, connect, requestError, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';

const roomId = 'veranda';

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('add:member with an epoch is refused by another room with the same id, and accepted by a continuation of that log', async () => {
    const { url } = await startServer({ store: await open() });
    const [aya, ben, cho] = [await connect(url), await connect(url), await connect(url)];
    const { epoch } = await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben', epoch });
    await requestOk(cho, 'add:member', { roomId, username: 'cho', epoch: `${epoch}.fork` });
    await requestOk(aya, 'delete:room', { roomId, username: 'aya' });
    await requestOk(aya, 'create:room', { roomId, username: 'aya' });
    const received = collectEvents(aya, 'add:member:success');
    expect(await requestError(ben, 'add:member', { roomId, username: 'ben', epoch })).toMatchObject({ code: 'room_not_found' });
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    await until(() => received.length > 0, 'it is received');
    expect(received).toMatchObject([{ username: 'ben' }]);
  });
});

test('a reaction is the same in each of its Unicode forms, and sent in one form', async () => {
  const { url } = await startServer();
  const [aya, ben] = [await connect(url), await connect(url)];
  await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  const { seq: chatSeq } = await requestOk(aya, 'create:chat', { roomId, username: 'aya', message: 'cafe\u0301' });
  const received = collectEvents(aya, 'add:reaction:success');
  await requestOk(aya, 'add:reaction', { roomId, username: 'aya', chatSeq, reaction: '\u00e9' });
  await requestOk(ben, 'add:reaction', { roomId, username: 'ben', chatSeq, reaction: 'e\u0301' });
  await until(() => received.length === 2, 'both are received');
  expect(received.map((each) => (each as { reaction: string }).reaction)).toEqual(['\u00e9', '\u00e9']);
  const { chats } = await requestOk(ben, 'list:chats', { roomId });
  expect(chats).toMatchObject([{ message: 'cafe\u0301', reactions: [{ reaction: '\u00e9', count: 2, mine: true }] }]);
  await requestOk(ben, 'remove:reaction', { roomId, username: 'ben', chatSeq, reaction: 'e\u0301' });
  expect((await requestOk(ben, 'list:chats', { roomId })).chats[0]?.reactions).toMatchObject([{ count: 1 }]);
});
