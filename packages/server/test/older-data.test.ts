/** Opens data of an older build: `fixtures/` has a data directory and a Redis, each written by a server of that version. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { connect, createTempFolder, nextEvent, requestOk, startServer } from '@engawa/testkit/processes/server';
import { startRedis } from '@engawa/testkit/redis/redis-servers';
import { openStoreAt } from '@engawa/testkit/stores';
import { expect, onTestFinished, test } from 'vitest';
import { openRedis } from '#store/redis/redis-store.js';

const FIXTURES = new URL('./fixtures/2026-12-01/', import.meta.url).pathname;
const roomId = 'veranda';
const sessionOf = (name: string) => name.padEnd(32, '-');

const openers: [name: string, open: () => ReturnType<typeof openStoreAt>][] = [
  [
    'embedded',
    () => {
      const folder = createTempFolder();
      writeFileSync(join(folder, 'engawa.db'), gunzipSync(readFileSync(join(FIXTURES, 'engawa.db.gz'))));
      copyFileSync(join(FIXTURES, 'engawa.witness'), join(folder, 'engawa.witness'));
      return openStoreAt(folder);
    },
  ],
  [
    'Redis',
    async () => {
      const dir = createTempFolder();
      copyFileSync(join(FIXTURES, 'dump.rdb'), join(dir, 'dump.rdb'));
      const redis = await startRedis({ config: { dir, appendonly: 'no' } });
      const store = await openRedis({ url: redis.url, onError: console.error });
      onTestFinished(() => store.close());
      return store;
    },
  ],
];

test.each(openers)('rooms that an older build wrote in %s are listed and read, and continue', async (_, open) => {
  const { url } = await startServer({ store: await open(), rateLimits: 'off' });
  const [aya, ben] = [
    await connect(url, { auth: { session: sessionOf('aya') } }),
    await connect(url, { auth: { session: sessionOf('ben') } }),
  ];

  const { rooms } = await requestOk(aya, 'list:rooms', {});
  expect(rooms).toMatchObject([
    { roomId: 'short memory', topic: '', seq: 9 },
    { roomId, topic: 'tea and rain', seq: 14 },
  ]);
  const { chats, epoch } = await requestOk(aya, 'list:chats', { roomId });
  expect(chats).toMatchObject([
    { seq: 5, username: 'ben', message: 'first', reactions: [{ reaction: '🍵', count: 1, mine: true }] },
    { seq: 6, username: 'aya', message: 'an answer', replyTo: 5 },
    { seq: 7, username: 'ben', message: 'a typo, @aya', edited: 8 },
    { seq: 9, username: 'chiyo', message: null, deleted: true },
    { seq: 12, username: 'ben', message: 'two' },
    { seq: 13, username: 'ben', message: 'three' },
  ]);
  const { entries } = await requestOk(aya, 'list:entries', { roomId, epoch, seq: 0 });
  expect(entries.map(({ kind }) => kind)).toEqual(
    ['create:room', 'add:member', 'add:member', 'add:member', 'create:chat', 'create:chat', 'create:chat'].concat([
      'update:chat',
      'create:chat',
      'delete:chat',
      'add:reaction',
      'create:chat',
      'create:chat',
      'remove:member',
    ]),
  );

  const joined = await requestOk(aya, 'add:member', { roomId, username: 'aya' });
  expect(joined).toMatchObject({ role: 'owner', topic: 'tea and rain', read: 5, unread: 3, mentions: 1 });
  await requestOk(ben, 'add:member', { roomId, username: 'ben' });
  const { seq } = await requestOk(ben, 'create:chat', { roomId, username: 'ben', message: 'still here' });
  expect(seq).toBeGreaterThan(14);
  await requestOk(aya, 'remove:reaction', { roomId, username: 'aya', chatSeq: 5, reaction: '🍵' });
});

test.each(openers)('an entry of an older build in %s with the reason "gone" is sent with the reason "timed_out"', async (_, open) => {
  const store = await open();
  const { url } = await startServer({ store, rateLimits: 'off' });
  const aya = await connect(url, { auth: { session: sessionOf('aya') } });
  await requestOk(aya, 'add:member', { roomId, username: 'aya' });
  const { epoch, head: seq } = await store.read(roomId, {});
  const broadcast = nextEvent(aya, 'remove:member:success');
  const body = { username: 'chiyo', reason: 'gone' };
  const draft = { id: 'expiry', by: 'chiyo', author: 'nobody', kind: 'remove:member', body };
  await store.append(roomId, { epoch, expectedVersions: [], drafts: [draft] });
  expect(await broadcast).toMatchObject({ username: 'chiyo', reason: 'timed_out' });

  const { entries } = await requestOk(aya, 'list:entries', { roomId, epoch: String(epoch), seq });
  expect(entries).toMatchObject([{ kind: 'remove:member', username: 'chiyo', reason: 'timed_out' }]);
});
