/** Fault tests: logs that were trimmed, changed during an absence, or hold unknown entries. */
import type { Draft, Store } from '@engawa/server';
import { disconnectAll, ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { connect, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newDurableStore, storeKinds } from '@engawa/testkit/stores';
import { describe, expect, test } from 'vitest';

const portOf = (url: string) => ({ port: Number(new URL(url).port) });

test('F27: a client that missed more than is retained receives a reset, the newest chats, and all later entries', async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off', trimIntervalMs: 50 });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', url);
  const ben = await setup.addSdkActor('ben', proxy.url);
  const chiyo = await setup.addSocketIoActor('chiyo', proxy.url);
  await aya.sendChats(10);
  await until(() => [ben, chiyo].every(({ texts }) => texts.length === 10), 'they received the first');
  const [{ epoch }, held] = [await store.read(ROOM, {}), ben.room.position];
  const comeBack = await disconnectAll(proxy, ben, chiyo);
  await aya.sendChats(100);
  expect(await aya.room.setRetention({ maxCount: 55 })).toMatchObject({ ok: true });
  await until(async () => (await store.readPage(ROOM, { limit: 1 })).oldest > 50, 'the log is trimmed');
  expect(aya.room.retention).toEqual({ maxCount: 55 });
  await aya.room.setRetention({});
  comeBack();
  await until(() => ben.resets.length > 0 && ben.isLive && chiyo.reconnects === 1, 'they are back');
  expect(ben.resets).toEqual(['too_old']);
  expect(chiyo.recoveries, 'the entries that a plain Socket.IO client missed are trimmed').toBe(0);

  await aya.sendChats(10);
  await until(() => ben.texts.length === 10, 'the client receives the last one');
  const { head, oldest } = await store.readPage(ROOM, { limit: 1 });
  expect(ben.seqs).toEqual(Array.from({ length: 10 }, (_, place) => head - 9 + place));
  expect(ben.room.timeline.chats).toEqual(aya.room.timeline.chats.slice(-ben.room.timeline.chats.length));
  expect(ben.room.timeline.chats.length).toBeGreaterThan(40);

  // Clients in other languages send the query themselves, and learn how far back the log goes.
  const dan = await connect(url);
  await requestOk(dan, 'add:member', { roomId: ROOM, username: 'dan' });
  const { rooms } = await requestOk(dan, 'resume:rooms', {
    rooms: [{ roomId: ROOM, username: 'dan', epoch: String(epoch), seq: held.seq }],
  });
  const who = { username: 'dan', role: 'member', members: 4, topic: '' };
  expect(rooms).toMatchObject([{ outcome: 'too_old', oldest, seq: head + 1, ...who, page: { hasMore: { after: false } } }]);
});

describe.each(storeKinds)('on the %s store', (_, open) => {
  test('F34: an entry of an unknown kind takes its seq and harms no client: not by a broadcast, nor in a resume, nor in a page', async () => {
    const { url, store } = await startServer({ store: await open(), rateLimits: 'off' });
    const proxy = await startProxy(portOf(url));
    const setup = new ConsistencyChecker();
    const aya = await setup.addSdkActor('aya', url);
    const ben = await setup.addSdkActor('ben', proxy.url);
    const chiyo = await setup.addSocketIoActor('chiyo', proxy.url);
    await aya.sendChats(5);
    await until(() => [ben, chiyo].every(({ texts }) => texts.length === 5), 'they are here');
    await poison(store);
    await aya.sendChats(5);
    await until(() => [ben, chiyo].every(({ texts }) => texts.length >= 10), 'they receive what follows it');
    const comeBack = await disconnectAll(proxy, ben, chiyo);
    await poison(store);
    await aya.sendChats(5);
    comeBack();
    await until(() => [ben, chiyo].every((each) => each.isLive && each.texts.length >= 15), 'they receive the missed entries');

    const { head } = await store.read(ROOM, {});
    for (const person of [ben, chiyo])
      expect(person.seqs).toEqual(Array.from(person.seqs, (__, place) => head - person.seqs.length + 1 + place));
    for (const { room } of [aya, ben]) expect(room).toMatchObject({ state: 'live', position: { seq: head } });
    expect([ben.resets, ben.errors, chiyo.recoveries]).toEqual([[], [], 1]);
    const dan = await setup.addSdkActor('dan', url);
    const page = await dan.room.history({ limit: 500 });
    const said = page.ok
      ? page.chats.flatMap(({ message }) => (typeof message === 'string' && message.startsWith('aya ') ? [message] : []))
      : [];
    expect(said).toEqual(Array.from({ length: 15 }, (__, number) => `aya ${number + 1}`));
  });
});

/** Kinds of another version, and bodies that no version writes. */
const POISON: [kind: string, body: Draft['body']][] = [
  ['create:poll', { question: 'tea?', options: ['yes', { maybe: null }] }],
  ['', { x: 1 }],
  ['__proto__', { __proto__: null, constructor: 'x' }],
  ['create:chat', { message: { deep: ['er'] } }],
  ['create:chat', {}],
  ['create:chat', { seq: 1, id: 'x', prev: 5, epoch: null, roomId: 'other', at: 'never', by: 'you', kind: 'delete:room' }],
  ['update:chat', { chatSeq: 'x', message: 7 }],
  ['delete:chat', { chatSeq: -1 }],
  ['add:reaction', { chatSeq: null, reaction: { much: 'x'.repeat(1_000) } }],
  ['remove:reaction', {}],
  ['update:room', { topic: ['no', 'text'] }],
  ['remove:member', {}],
  ['remove:member', { username: 42 }],
  ['add:member', { username: ['x'] }],
];

async function poison(store: Store): Promise<void> {
  for (const [kind, body] of POISON) {
    const { epoch } = await store.read(ROOM, {});
    const draft: Draft = {
      id: crypto.randomUUID(),
      by: 'zoe',
      author: 'nobody',
      kind,
      body,
      listed: kind === 'create:chat' || kind === '',
    };
    await store.append(ROOM, { epoch, expectedVersions: [], drafts: [draft] });
  }
}

test('F35: chats that were edited, deleted and reacted to during an absence are equal for returning and for new members', async () => {
  const { url } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', url);
  const ben = await setup.addSdkActor('ben', proxy.url);
  await Promise.all([aya.sendChats(10), ben.sendChats(10)]);
  await until(() => [aya, ben].every(({ texts }) => texts.length === 20), 'both received everything');
  const comeBack = await disconnectAll(proxy, ben);
  await aya.sendChats(5);
  const own = aya.room.timeline.chats.filter(({ username }) => username === 'aya').map(({ seq }) => Number(seq));
  for (const [place, seq] of own.entries()) {
    await aya.room.edit(seq, 'once');
    await aya.room.edit(seq, `twice ${place}`);
    await aya.room.react(seq, '👍');
    await aya.room.react(seq, '縁');
    if (place % 2) await aya.room.unreact(seq, '👍');
    if (place % 3 === 0) await aya.room.delete(seq);
  }
  const received = ben.seqs.length;
  comeBack();
  await until(() => ben.isLive, 'the client is back');
  expect(ben.resets, 'the client received each change, not the result').toEqual([]);
  expect(ben.seqs.length - received).toBe(5 + own.length * 4 + Math.floor(own.length / 2) + Math.ceil(own.length / 3));
  const receivedEvents = new Set(ben.receivedLog.entries.slice(received).map(({ kind }) => kind));
  expect([...receivedEvents].toSorted()).toEqual(['add:reaction', 'create:chat', 'delete:chat', 'remove:reaction', 'update:chat']);
  await setup.waitUntilConsistent();
  expect(ben.room.timeline.chats.filter(({ message }) => message === null)).toHaveLength(Math.ceil(own.length / 3));
});
