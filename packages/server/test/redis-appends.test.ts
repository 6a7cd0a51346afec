/** Appends to Redis: many in one call, and their idempotency keys for one or two days. */
import { randomUUID } from 'node:crypto';
import type { AppendRequest, Store } from '@engawa/server';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { type RedisServer, startRedis } from '@engawa/testkit/redis/redis-servers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { KeyNames } from '#store/redis/key-names.js';
import { openRedis, type RedisOptions } from '#store/redis/redis-store.js';

const room = 'veranda';
const HOUR = 3_600_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

async function open(options: Partial<RedisOptions> = {}): Promise<Store> {
  const store = await openRedis({ url: redis.url, prefix: randomUUID(), onError: console.error, ...options });
  onTestFinished(() => store.close());
  return store;
}

const say = (epoch: string | null, id: string, text = id): AppendRequest => ({
  epoch,
  expectedVersions: [],
  idempotencyKey: id,
  drafts: [{ id, by: 'aya', author: 'aya', kind: 'chat', body: { text } }],
});

async function opened(store: Store): Promise<string> {
  return ((await store.append(room, say(null, 'opens'))) as { epoch: string }).epoch;
}

async function callsOf(...commands: string[]): Promise<number> {
  const stats = await redis.runCommand('INFO', 'commandstats');
  return commands.reduce((sum, command) => sum + Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0), 0);
}

test('1,000 concurrent appends use about ten calls, and are stored in order', async () => {
  const store = await open();
  const epoch = await opened(store);
  const before = await callsOf('evalsha', 'eval');
  const ids = Array.from({ length: 1_000 }, (_, index) => `${index}`);
  const answers = await Promise.all(ids.map((id) => store.append(room, say(epoch, id))));
  expect(await callsOf('evalsha', 'eval')).toBeLessThan(before + 20);
  expect(answers.map((answer) => answer.outcome !== 'stale' && answer.entries[0]?.seq)).toEqual(ids.map((_, index) => index + 2));
  expect((await readEntries(store, room)).slice(1).map(({ id }) => id)).toEqual(ids);
});

test('large appends use smaller batches, still in order', async () => {
  const store = await open();
  const epoch = await opened(store);
  const before = await callsOf('evalsha', 'eval');
  const ids = Array.from({ length: 20 }, (_, index) => `${index}`);
  await Promise.all(ids.map((id) => store.append(room, say(epoch, id, 'x'.repeat(400_000)))));
  expect(await callsOf('evalsha', 'eval')).toBeGreaterThan(before + 5);
  expect((await readEntries(store, room)).slice(1).map(({ id }) => id)).toEqual(ids);
});

test('beyond the queue limit appends are refused as busy, and queued ones are stored', async () => {
  const store = await open();
  const epoch = await opened(store);
  redis.freeze();
  const asked = Array.from({ length: 80 }, async (_, index) => store.append(room, say(epoch, `${index}`, 'x'.repeat(1_000_000))));
  const [last] = await Promise.allSettled(asked.slice(-1));
  expect(last).toMatchObject({ status: 'rejected', reason: { reason: 'busy' } });
  redis.thaw();
  const outcomes = await Promise.allSettled(asked);
  const stored = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [`${index}`] : []));
  expect(stored.length).toBeGreaterThan(50);
  expect((await readEntries(store, room)).slice(1).map(({ id }) => id)).toEqual(stored);
});

test('an idempotency key is remembered for 24 hours at least and 48 at most, in two hashes that expire', async () => {
  let now = Date.now();
  const prefix = randomUUID();
  const store = await open({ clock: () => now, prefix });
  const epoch = await opened(store);
  const knows = async (id: string) => (await store.findByIdempotencyKey(room, id)) !== null;
  await store.append(room, say(epoch, 'first'));
  now += 23 * HOUR;
  await store.append(room, say(epoch, 'late on the first day'));
  now += 2 * HOUR;
  await store.append(room, say(epoch, 'second day'));
  expect(await store.append(room, say(epoch, 'first'))).toMatchObject({ outcome: 'repeated' });
  now += 21 * HOUR;
  expect(await knows('late on the first day'), '23 hours ago').toBe(true);
  expect(await store.append(room, say(epoch, 'late on the first day'))).toMatchObject({ outcome: 'repeated' });
  now += 4 * HOUR;
  await store.append(room, say(epoch, 'third day'));
  expect([await knows('first'), await knows('late on the first day'), await knows('second day'), await knows('third day')]).toEqual([
    false,
    false,
    true,
    true,
  ]);

  for (const key of new KeyNames(prefix).room(room).idempotencyKeys) {
    const left = Number(await redis.runRaw('PTTL', key));
    expect(left).toBeGreaterThan(48 * HOUR);
    expect(left).toBeLessThanOrEqual(49 * HOUR);
  }
});
