/** `create:chats`: several chats in one packet are stored adjacent and in order, once, or none of them is. */
import { LIMITS, type RequestPayload } from '@engawa/protocol';
import {
  collectEvents,
  connect,
  requestError,
  requestOk,
  sendAny,
  sendRequest,
  startServer,
  until,
} from '@engawa/testkit/processes/server';
import { storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';
import { estimateStoredBytes } from '#domain/stored-bytes.js';

const roomId = 'veranda';
const AYA = { roomId, username: 'aya' };
type Said = RequestPayload<'create:chats'>['chats'][number];
const said = (count: number, from = 0): Said[] =>
  Array.from({ length: count }, (_, index) => ({ message: `${from + index}`, clientId: `c${from + index}` }));

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('several chats are stored in order, adjacent under concurrent writes, and each is broadcast like a single chat', async () => {
    const { url } = await startServer({ store: await open(), rateLimits: 'off' });
    const [aya, ben] = [await connect(url), await connect(url)];
    await requestOk(aya, 'create:room', AYA);
    await requestOk(ben, 'add:member', { roomId, username: 'ben' });
    const received = collectEvents(ben, 'create:chat:success');
    const others = Array.from({ length: 50 }, (__, each) =>
      requestOk(ben, 'create:chat', { roomId, username: 'ben', message: `ben ${each}` }),
    );
    const packets = [0, 1, 2, 3].map((each) => requestOk(aya, 'create:chats', { ...AYA, chats: said(100, 100 * each) }));
    const answers = await Promise.all(packets);
    await Promise.all(others);
    for (const { chats, seq, id, at } of answers) {
      expect(chats.map((chat) => chat.seq)).toEqual(chats.map((__, index) => (chats[0]?.seq ?? 0) + index));
      expect(chats.at(-1)).toEqual({ seq, id, at });
    }
    await until(() => received.length === 450, 'all were received');
    expect(received.filter(({ username }) => username === 'aya').map(({ message }) => message)).toEqual(
      said(400).map(({ message }) => message),
    );
    const ids = new Map(answers.flatMap(({ chats }) => chats.map(({ seq, id }) => [seq, id])));
    for (const [index, { seq, id, prev }] of received.entries()) {
      if (ids.has(seq as number)) expect(id).toBe(ids.get(seq as number));
      if (index > 0) expect(prev).toBe(received[index - 1]?.id);
    }
  });

  test('a retry is answered as the first time, with the position of each, also after deletions, and stores nothing', async () => {
    const { url, store } = await startServer({ store: await open() });
    const aya = await connect(url);
    await requestOk(aya, 'create:room', AYA);
    const packet = { ...AYA, chats: said(3), clientId: 'packet' };
    const first = await requestOk(aya, 'create:chats', packet);
    await requestOk(aya, 'delete:chat', { ...AYA, chatSeq: first.chats[1]?.seq ?? 0 });
    expect(await requestOk(aya, 'create:chats', packet)).toEqual(first);
    expect((await store.read(roomId, {})).head).toBe(first.seq + 1);
    const { clientId } = packet;
    expect(await requestOk(aya, 'create:chat', { ...AYA, message: '0', clientId })).toMatchObject(first.chats[0] as object);
    expect((await store.read(roomId, {})).head).toBe(first.seq + 1);
  });

  test('when one of them cannot be stored, none is', async () => {
    const { url, store } = await startServer({ store: await open() });
    const [aya, ben] = [await connect(url), await connect(url)];
    const { seq } = await requestOk(aya, 'create:room', AYA);
    const answering = (replyTo: number): Said[] => [...said(2), { message: 'x', replyTo }];
    expect((await requestError(aya, 'create:chats', { ...AYA, chats: answering(999) })).code).toBe('chat_not_found');
    expect((await requestError(ben, 'create:chats', { ...AYA, username: 'ben', chats: said(2) })).code).toBe('not_a_member');
    const wrong: [unknown, string][] = [
      [[...said(2), { message: ' ' }], 'chats.2.message: must not be empty'],
      [[{ message: 'x', clientId: 7 }], 'chats.0.clientId: must be text'],
      [[], 'chats: must have at least 1 items'],
      [said(LIMITS.chatsPerPacket + 1), `chats: must have at most ${LIMITS.chatsPerPacket} items`],
      ['x', 'chats: must be a list'],
    ];
    for (const [chats, message] of wrong)
      expect(await sendAny(aya, 'create:chats', { ...AYA, chats })).toMatchObject({ error: { code: 'invalid_payload', message } });
    expect((await store.read(roomId, {})).head).toBe(seq);
  });
});

test('each counts as a single chat, and more than the maximum together are refused permanently', async () => {
  const { url } = await startServer();
  const aya = await connect(url);
  await requestOk(aya, 'create:room', AYA);
  const { burst } = LIMITS.rates.chats;
  await requestOk(aya, 'create:chats', { ...AYA, chats: said(burst - 2) });
  expect(await requestError(aya, 'create:chats', { ...AYA, chats: said(5) })).toMatchObject({ code: 'rate_limited', retryable: true });
  await requestOk(aya, 'create:chat', { ...AYA, message: 'one more' });
  expect(await requestError(aya, 'create:chats', { ...AYA, chats: said(burst + 1) })).toMatchObject({
    code: 'invalid_payload',
    retryable: false,
  });
});

test('a connection that has not joined receives the chats that it added, once and in order', async () => {
  const { url } = await startServer();
  const aya = await connect(url);
  const { session } = await requestOk(aya, 'create:room', AYA);
  const other = await connect(url, { auth: { session } });
  const received = collectEvents(other, 'create:chat:success');
  await requestOk(other, 'create:chats', { ...AYA, chats: said(3) });
  expect(received.map(({ message, clientId }) => [message, clientId])).toEqual(said(3).map(({ message, clientId }) => [message, clientId]));
  expect(await sendRequest(other, 'list:rooms', {})).toMatchObject({ ok: true });
  expect(received).toHaveLength(3);
});

test('their size in the store is counted as that of single chats', () => {
  const chats = [{ message: 'x'.repeat(500), clientId: 'a' }, { message: '\n' }, { message: 'z', replyTo: 7 }];
  const alone = chats.map((chat) => estimateStoredBytes({ ...AYA, ...chat }));
  expect(estimateStoredBytes({ ...AYA, chats })).toBe(alone.reduce((sum, bytes) => sum + bytes, 0));
});
