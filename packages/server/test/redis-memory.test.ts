/** A Redis with full memory, or with foreign keys under our names: appends are refused as a whole, and reads continue. */
import { randomUUID } from 'node:crypto';
import { type AppendRequest, openMemory, type Store, type StoreError } from '@engawa/server';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { connect, requestOk, sendRequest, startServer, until } from '@engawa/testkit/processes/server';
import { type RedisServer, startRedis } from '@engawa/testkit/redis/redis-servers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { KeyNames } from '#store/redis/key-names.js';
import { openRedis } from '#store/redis/redis-store.js';
import { AYA, exceeded, KB, sendUntilRefused } from './helpers/quotas.ts';

const room = 'veranda';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

async function open(prefix: string): Promise<Store> {
  const store = await openRedis({ url: redis.url, prefix, onError: console.error });
  onTestFinished(() => store.close());
  return store;
}

/** Sets a key, replaces and removes others, acquires a lease, adds a ticket, erases. */
const busyAppend = (epoch: string | null, turn: number): AppendRequest => ({
  epoch,
  expectedVersions: [],
  idempotencyKey: `turn ${turn}`,
  drafts: [
    {
      id: `${turn}`,
      by: 'aya',
      author: 'aya',
      kind: 'chat',
      body: { text: 'x'.repeat(5_000) },
      listed: true,
      keyUpdates: [
        [`member/${turn}`, turn],
        ['settings', turn],
        [`member/${turn - 5}`, null],
      ],
      eraseSeqs: [turn - 3],
      lease: { key: `member/${turn}`, node: 'node' },
      tickets: [{ holder: 'aya', key: `member/${turn}`, value: turn }],
    },
  ],
});

test('with full memory appends are refused as a whole, reads continue, and writes continue once there is space', async () => {
  const store = await open(randomUUID());
  const twin = openMemory();
  const append = async (turn: number) => {
    const [{ epoch }, its] = [await store.read(room, {}), await twin.read(room, {})];
    const outcome = await store.append(room, busyAppend(epoch, turn));
    await twin.append(room, busyAppend(its.epoch, turn));
    return outcome;
  };
  await append(1);
  const [, used] = /used_memory:(\d+)/.exec(await redis.runCommand('INFO', 'memory')) ?? [];
  await redis.runCommand('CONFIG', 'SET', 'maxmemory', Number(used) + 200_000);
  onTestFinished(() => void redis.runCommand('CONFIG', 'SET', 'maxmemory', 0));
  const refused: StoreError[] = [];
  let turn = 2;
  for (; refused.length < 20; turn += 1) await append(turn).catch((error: StoreError) => refused.push(error));
  expect(turn, 'some fitted').toBeGreaterThan(22 + 10);
  for (const error of refused) expect(error).toMatchObject({ name: 'StoreError', reason: 'full' });
  expect(store.isWritable).toBe(false);
  expect(await picture(store)).toEqual(await picture(twin));
  await expect(store.heartbeat('node', 1_000)).rejects.toMatchObject({ reason: 'full' });

  await redis.runCommand('CONFIG', 'SET', 'maxmemory', 0);
  expect(await append(turn)).toMatchObject({ outcome: 'appended' });
  expect(store.isWritable).toBe(true);
  expect(await picture(store)).toEqual(await picture(twin));
});

test('the memory that Redis uses counts against the quota, and freed memory lets writes continue', async () => {
  const store = await open(randomUUID());
  const quotaTotalBytes = (await store.usage()).bytes + 4 * 2 ** 20;
  const { url } = await startServer({ store, rateLimits: 'off', usageRefreshMs: 5, quotaTotalBytes });
  const aya = await connect(url);
  for (const roomId of ['veranda', 'attic']) await requestOk(aya, 'create:room', { roomId, username: 'aya' });
  const { error, stored } = await sendUntilRefused(aya, 'aya', 11 * KB);
  expect(error).toMatchObject(exceeded(/quota of this server is used up/));
  expect(stored).toBeGreaterThan(100);
  await requestOk(aya, 'delete:room', AYA);
  await until(
    async () => (await sendRequest(aya, 'create:chat', { roomId: 'attic', username: 'aya', message: 'after' })).ok,
    'there is space in Redis',
  );
});

async function picture(store: Store): Promise<unknown> {
  const entries = (await readEntries(store, room)).map(({ at: _, hlc: __, ...entry }) => entry);
  const { head, bytes } = await store.readPage(room, { limit: 1 });
  const { counts } = await store.read(room, { counts: [''] });
  const members = await store.listKeys(room, 'member', { limit: 1_000 });
  const tickets = (await store.listTickets('aya', 1_000)).map(({ epoch: _, ...ticket }) => ticket);
  return { head, bytes, entries, counts, members, settings: (await store.read(room, { keys: ['settings'] })).keys, tickets };
}

const { partition: _, nodeLeasesPrefix, channel: __, idempotencyKeys, ...ofRoom } = new KeyNames('p').room(room);
const theirs = [...Object.entries(ofRoom), ['once', idempotencyKeys[0]], ['held', `${nodeLeasesPrefix}node`]] as [string, string][];

test.each(theirs)('a foreign key under the name of its %s makes that room fail, and no other', async (_, name) => {
  const prefix = randomUUID();
  const store = await open(prefix);
  const key = name.replace(/^p:/, `${prefix}:`);
  await redis.runCommand('RPUSH', key, 'a list, which none of ours is');
  const ask = () =>
    Promise.all([
      store.append(room, busyAppend(null, 1)),
      store.readPage(room, { limit: 1, listed: true }),
      store.read(room, { keys: ['settings'], seqs: [1], counts: [''] }),
      store.findByIdempotencyKey(room, 'turn 1'),
      store.listKeys(room, 'member', { limit: 1 }),
      store.listTickets('aya', 1),
      store.listRooms({ limit: 1 }),
      store.listExpiredLeases(1),
    ]);
  await expect(ask()).rejects.toMatchObject({
    name: 'StoreError',
    reason: 'failed',
    message: expect.stringContaining('WRONGTYPE') as string,
  });
  expect(await store.append('other', { ...busyAppend(null, 1) })).toMatchObject({ outcome: 'appended' });
});
