/** A Redis that is slow, stands still, flaps or is full: what waits is bounded, and what was said is kept once and in order. */
import { randomUUID } from 'node:crypto';
import type { Answer } from '@engawa/protocol';
import type { Draft } from '@engawa/server';
import { expect, test } from 'vitest';
import { startProxy } from '../../../server/test/helpers/proxy.ts';
import { readEntries } from '../../../server/test/helpers/recording.ts';
import type { ClusterNode } from '../../../server/test/helpers/redis-servers.ts';
import { ask, connect, done, until, within } from '../../../server/test/helpers/server.ts';
import { newCluster, newRedis, roomOn, sessionOn, startNode, storeAt } from '../helpers/on-redis.ts';
import { ROOM } from '../helpers/people.ts';
import { Throng } from '../helpers/throng.ts';

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('F16: a Redis that sleeps for a second, and one that stands still for ten, loses nothing and doubles nothing', {
  timeout: 90_000,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const throng = await Throng.gather(nodes.map(({ url }) => url));
  const { scene } = throng;
  await scene.untilAcknowledged(100);
  await redis.cli('DEBUG', 'SLEEP', 1);
  await scene.untilAcknowledged(100);
  redis.stop();
  await pause(10_000);
  expect(scene.open, 'all wait for an answer').toBe(throng.all.length);
  redis.cont();
  await scene.untilAcknowledged(100);
  throng.hush();
  await scene.endsWell(await storeAt(redis.url));
  expect(throng.drops, 'nobody lost his connection').toBe(0);
});

test('F16: a primary that stands still keeps nobody from rooms that others have', { timeout: 60_000 }, async () => {
  const cluster = await newCluster({ nodeTimeout: 30_000 });
  const [running, frozen, another] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  const [stuck, free, fresh] = await Promise.all([frozen, running, another].map((node) => roomOn(cluster, (primary) => primary === node)));
  const node = await startNode(cluster.url);
  const auth = { session: await sessionOn(cluster, (primary) => primary === frozen) };
  const [aya, ben, chiyo, dan] = await Promise.all([{}, { auth }, {}, {}].map((options) => connect(node.url, options)));
  await done(aya!, 'create:room', { roomId: free!, username: 'aya' });
  frozen.stop();
  const stranded = dan!.emitWithAck('create:room', { roomId: stuck, username: 'dan' }) as Promise<Answer<'create:room'>>;
  await pause(100);
  const joined = within(done(ben!, 'add:member', { roomId: free!, username: 'ben' }), 'he is in', 2_000);
  await within(done(aya!, 'create:chat', { roomId: free!, username: 'aya', message: 'hello' }), 'others talk', 2_000);
  await joined;
  await within(done(chiyo!, 'create:room', { roomId: fresh!, username: 'chiyo' }), 'she has a room of her own', 2_000);
  expect(await within(stranded, 'an answer')).toMatchObject({ ok: false, error: { code: 'busy', retryable: true } });
  frozen.cont();
  await until(async () => (await ask(dan!, 'create:room', { roomId: stuck!, username: 'dan' })).ok, 'the other is there again');
});

test('F16: what waits for a Redis that stands still is bounded; what is too much is refused at once, and the rest is kept in order', async () => {
  const redis = await newRedis();
  const store = await storeAt(redis.url);
  const draft = (text: string): Draft => ({ id: randomUUID(), by: 'aya', author: 'a', kind: 'chat', body: { text } });
  const opened = await store.append('den', { epoch: null, given: [], drafts: [draft('opens')] });
  const { epoch } = opened as Extract<typeof opened, { epoch: string }>;
  redis.stop();
  const megabyte = 'x'.repeat(1024 * 1024);
  const appends = Array.from({ length: 80 }, (_, number) =>
    store.append('den', { epoch, given: [], once: `append ${number}`, drafts: [draft(`${number} ${megabyte}`)] }),
  );
  const settled = Promise.allSettled(appends);
  await expect(within(appends.at(-1)!, 'a refusal', 500)).rejects.toMatchObject({ reason: 'busy' });
  await pause(7_000);
  redis.cont();
  const kept = (await settled).flatMap(({ status }, number) => (status === 'fulfilled' ? [String(number)] : []));
  expect(kept.length).toBeGreaterThan(55);
  expect(kept.length).toBeLessThan(65);
  const log = await readEntries(store, 'den');
  expect(log.slice(1).map(({ body }) => (body as { text: string }).text.split(' ')[0])).toEqual(kept);
});

test('F17: connections to Redis that are cut every second, for fifteen, double nothing and lose no acknowledged word', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const proxy = await startProxy({ port: redis.port });
  const url = proxy.url.replace('http', 'redis');
  const nodes = [await startNode(url), await startNode(url)];
  const throng = await Throng.gather(
    nodes.map((node) => node.url),
    { breathMs: 20 },
  );
  const { scene } = throng;
  proxy.flap(1_000);
  const before = scene.acknowledged;
  await pause(15_000);
  proxy.flap(0);
  expect(scene.acknowledged - before, 'they talk all the while').toBeGreaterThan(300);
  await scene.untilAcknowledged(100);
  throng.hush();
  await scene.endsWell(await storeAt(redis.url));
  expect(throng.drops).toBe(0);
});

test('F24: a Redis whose memory is full refuses what is said, and is read all the same; then it goes on, and everything is there', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const throng = await Throng.gather(
    nodes.map(({ url }) => url),
    { sdk: 8, stock: 4 },
  );
  const { scene } = throng;
  const stranger = await connect(nodes[0]!.url);
  await done(stranger, 'create:room', { roomId: 'den', username: 'stranger' });
  await scene.untilAcknowledged(100);
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1mb');
  // Refused, they try again, each at his time: so not all are waiting at once.
  await until(async () => {
    const before = scene.acknowledged;
    await pause(300);
    return scene.acknowledged === before;
  }, 'nothing is acknowledged any more');
  const said = { roomId: 'den', username: 'stranger', message: 'hello' };
  expect(await ask(stranger, 'create:chat', said)).toMatchObject({ ok: false, error: { code: 'storage_full', retryable: true } });
  expect(await ask(stranger, 'list:chats', { roomId: 'den' })).toMatchObject({ ok: true });
  expect((await fetch(`${nodes[0]!.url}/ready`)).status).toBe(503);
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
  await scene.untilAcknowledged(100);
  throng.hush();
  await scene.endsWell(await storeAt(redis.url));
  expect((await fetch(`${nodes[0]!.url}/ready`)).status).toBe(200);
});

test('F16: a Redis that has too few replicas to write (NOREPLICAS) is waited for, then the answer is busy: nothing was kept', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const node = await startNode(redis.url);
  const throng = await Throng.gather([node.url], { sdk: 4, stock: 4 });
  const { scene, all } = throng;
  const stranger = await connect(node.url);
  await done(stranger, 'create:room', { roomId: 'den', username: 'stranger' });
  await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', 1);
  await until(() => scene.open === all.length, 'nobody is answered any more');
  const said = { roomId: 'den', username: 'stranger', message: 'hello' };
  const refused = stranger.emitWithAck('create:chat', said) as Promise<unknown>;
  expect(await within(refused, 'an answer', 15_000)).toMatchObject({ ok: false, error: { code: 'busy', retryable: true } });
  await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', 0);
  await scene.untilAcknowledged(50);
  throng.hush();
  await scene.endsWell(await storeAt(redis.url));
  expect((await readEntries(await storeAt(redis.url), 'den')).map(({ kind }) => kind)).toEqual(['create:room', 'add:member']);
});

test('F16: guests of nodes that could none of them reach Redis, for longer than a name is kept, are not let go', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const grace = 6_000;
  const nodes = await Promise.all([1, 2, 3].map(() => startNode(redis.url, { grace })));
  const throng = await Throng.gather(
    nodes.map(({ url }) => url),
    { sdk: 6, stock: 6 },
  );
  const { scene } = throng;
  await scene.untilAcknowledged(50);
  await redis.kill();
  await pause(grace + 2_000);
  await redis.start();
  await pause(grace + 1_000);
  await scene.untilAcknowledged(50);
  throng.hush();
  const store = await storeAt(redis.url);
  await scene.endsWell(store);
  expect((await readEntries(store, ROOM)).filter(({ kind }) => kind === 'remove:member')).toEqual([]);
});
