/** Logs that were trimmed, restored, edited meanwhile, or hold what nobody understands. */
import { cpSync } from 'node:fs';
import { type Draft, openEmbedded, openMemory, type Store } from '@engawa/server';
import { describe, expect, test } from 'vitest';
import { type FaultyProxy, startProxy } from '../../../server/test/helpers/proxy.ts';
import { connect, done, embeddedStore, newFolder, type Running, startServer, until } from '../../../server/test/helpers/server.ts';
import { type Person, ROOM } from '../helpers/people.ts';
import { Scene } from '../helpers/scene.ts';

const portOf = (url: string) => ({ port: Number(new URL(url).port) });

/** Nobody behind the proxy is connected until what this returns is called. */
async function away(proxy: FaultyProxy, ...people: Person[]): Promise<() => void> {
  const before = people.map(({ drops }) => drops);
  proxy.refuse(true);
  proxy.cut();
  await until(() => people.every(({ drops }, place) => drops > (before[place] ?? 0)), 'they dropped');
  return () => proxy.refuse(false);
}

test('F27: who comes back after more than is kept is told so, sees the newest chats, and hears all from then on', async () => {
  const { url, store } = await startServer({ store: await embeddedStore(), limits: 'off' });
  const proxy = await startProxy(portOf(url));
  const scene = new Scene();
  const aya = await scene.enter('aya', url);
  const ben = await scene.enter('ben', proxy.url);
  const chiyo = await scene.enterStock('chiyo', proxy.url);
  await aya.say(10);
  await until(() => [ben, chiyo].every(({ texts }) => texts.length === 10), 'they heard the first');
  const [{ epoch }, held] = [await store.read(ROOM, {}), ben.room.position];
  const comeBack = await away(proxy, ben, chiyo);
  await aya.say(100);
  await store.trim(ROOM, 60);
  comeBack();
  await until(() => ben.resets.length > 0 && ben.isHere && chiyo.returns === 1, 'they are back');
  expect(ben.resets).toEqual(['too_old']);
  expect(chiyo.recovered, 'what a stock client missed is not there any more').toBe(0);

  await aya.say(10);
  await until(() => ben.texts.length === 10, 'he hears the last');
  const { head, oldest } = await store.page(ROOM, { limit: 1 });
  expect(ben.seqs).toEqual(Array.from({ length: 10 }, (_, place) => head - 9 + place));
  expect(ben.room.timeline.chats).toEqual(aya.room.timeline.chats.slice(-ben.room.timeline.chats.length));
  expect(ben.room.timeline.chats.length).toBeGreaterThan(40);

  // Clients in other languages ask, and are answered how far back the log goes.
  const dan = await connect(url);
  await done(dan, 'add:member', { roomId: ROOM, username: 'dan' });
  const { rooms } = await done(dan, 'resume:rooms', { rooms: [{ roomId: ROOM, username: 'dan', epoch: String(epoch), seq: held.seq }] });
  const who = { username: 'dan', role: 'member', members: 4, topic: '' };
  expect(rooms).toMatchObject([{ outcome: 'too_old', oldest, seq: head + 1, ...who, page: { more: { after: false } } }]);
});

test.each([
  ['is behind them', 0],
  ['has gone on since', 30],
])(
  'F28: who comes back to a log that was restored from an old copy, and %s, is told so; what he said and it lost is said again',
  async (_, meanwhile) => {
    const [folder, copy] = [newFolder(), newFolder()];
    const first = await on(folder);
    const [proxy, direct] = [await startProxy(portOf(first.url)), await startProxy(portOf(first.url))];
    const scene = new Scene();
    const [aya, ben] = [await scene.enter('aya', direct.url), await scene.enter('ben', proxy.url)];
    await aya.say(5);
    await until(() => ben.texts.length === 5, 'he heard them');
    // What is in the files at rest is what an operator copies.
    const comeBack = await away(proxy, ben);
    const ayaComesBack = await away(direct, aya);
    await close(first);
    cpSync(folder, copy, { recursive: true });
    const second = await on(folder);
    for (const each of [proxy, direct]) each.retarget(portOf(second.url).port);
    comeBack();
    ayaComesBack();
    await ben.say(20);
    await until(() => ben.texts.length === 25 && aya.texts.length === 25, 'all heard all');
    const before = ben.room.position.seq;

    const [benReturns, ayaReturns] = [await away(proxy, ben), await away(direct, aya)];
    await close(second);
    const third = await on(copy);
    for (const each of [proxy, direct]) each.retarget(portOf(third.url).port);
    const { head } = await third.store.read(ROOM, {});
    expect(head, 'the log lost its end').toBeLessThan(before);
    ayaReturns();
    await until(() => aya.resets.length > 0 && aya.isHere, 'aya is told');
    await aya.say(meanwhile);
    benReturns();
    await until(() => ben.resets.length > 0 && ben.isHere, 'ben is told');
    await aya.say(1);
    await scene.calm();
    expect([aya.resets, ben.resets]).toEqual([['reset'], ['reset']]);
    const chats = ben.room.timeline.chats.filter(({ username }) => username === 'ben').map(({ message }) => message);
    expect(chats).toEqual(Array.from({ length: 20 }, (__, number) => `ben ${number + 1}`));
  },
);

async function on(folder: string): Promise<Running> {
  return startServer({ store: await openEmbedded({ folder }), limits: 'off' });
}

async function close({ stop, store }: Running): Promise<void> {
  await stop();
  await store.close();
}

describe.each([
  ['memory', async () => openMemory()],
  ['embedded', embeddedStore],
])('on the %s store', (_, open) => {
  test('F34: an entry that nobody understands takes its place and harms nobody: not who hears it, nor who missed it, nor who pages', async () => {
    const { url, store } = await startServer({ store: await open(), limits: 'off' });
    const proxy = await startProxy(portOf(url));
    const scene = new Scene();
    const aya = await scene.enter('aya', url);
    const ben = await scene.enter('ben', proxy.url);
    const chiyo = await scene.enterStock('chiyo', proxy.url);
    await aya.say(5);
    await until(() => [ben, chiyo].every(({ texts }) => texts.length === 5), 'they are here');
    await poison(store);
    await aya.say(5);
    await until(() => [ben, chiyo].every(({ texts }) => texts.length >= 10), 'they hear what is said after it');
    const comeBack = await away(proxy, ben, chiyo);
    await poison(store);
    await aya.say(5);
    comeBack();
    await until(() => [ben, chiyo].every((each) => each.isHere && each.texts.length >= 15), 'they are told what they missed');

    const { head } = await store.read(ROOM, {});
    for (const person of [ben, chiyo])
      expect(person.seqs).toEqual(Array.from(person.seqs, (__, place) => head - person.seqs.length + 1 + place));
    for (const { room } of [aya, ben]) expect(room).toMatchObject({ state: 'live', position: { seq: head } });
    expect([ben.resets, ben.errors, chiyo.recovered]).toEqual([[], [], 1]);
    const dan = await scene.enter('dan', url);
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
      by: 'somebody',
      author: 'nobody',
      kind,
      body,
      listed: kind === 'create:chat' || kind === '',
    };
    await store.append(ROOM, { epoch, given: [], drafts: [draft] });
  }
}

test('F35: chats that were edited, deleted and reacted to while somebody was away are for him as for who opens the room anew', async () => {
  const { url } = await startServer({ store: await embeddedStore(), limits: 'off' });
  const proxy = await startProxy(portOf(url));
  const scene = new Scene();
  const aya = await scene.enter('aya', url);
  const ben = await scene.enter('ben', proxy.url);
  await Promise.all([aya.say(10), ben.say(10)]);
  await until(() => [aya, ben].every(({ texts }) => texts.length === 20), 'both heard all');
  const comeBack = await away(proxy, ben);
  await aya.say(5);
  const own = aya.room.timeline.chats.filter(({ username }) => username === 'aya').map(({ seq }) => Number(seq));
  for (const [place, seq] of own.entries()) {
    await aya.room.edit(seq, 'once');
    await aya.room.edit(seq, `twice ${place}`);
    await aya.room.react(seq, '👍');
    await aya.room.react(seq, '縁');
    if (place % 2) await aya.room.unreact(seq, '👍');
    if (place % 3 === 0) await aya.room.delete(seq);
  }
  const heard = ben.seqs.length;
  comeBack();
  await until(() => ben.isHere, 'he is back');
  expect(ben.resets, 'he was told each change, not the result').toEqual([]);
  expect(ben.seqs.length - heard).toBe(5 + own.length * 4 + Math.floor(own.length / 2) + Math.ceil(own.length / 3));
  const told = new Set(ben.hearing.heard.slice(heard).map(({ kind }) => kind));
  expect([...told].toSorted()).toEqual(['add:reaction', 'create:chat', 'delete:chat', 'remove:reaction', 'update:chat']);
  await scene.calm();
  expect(ben.room.timeline.chats.filter(({ message }) => message === null)).toHaveLength(Math.ceil(own.length / 3));
});
