/** A Redis that is slow, frozen, flapping or full: what waits is bounded, and chats are stored once and in order. */
import { randomUUID } from 'node:crypto';
import type { Ack } from '@engawa/protocol';
import type { Draft } from '@engawa/server';
import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { connect, requestOk, sendRequest, until, withTimeout } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import type { ClusterNode } from '@engawa/testkit/redis/redis-servers';
import { newCluster, newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { findRoomOn, findSessionOn, openRedisStore, startNode } from '../helpers/on-redis.ts';

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('F16: a Redis that sleeps for a second, and one that is frozen for ten, lose and duplicate nothing', {
  timeout: 90_000,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const group = await ActorGroup.start(nodes.map(({ url }) => url));
  const { checker } = group;
  await checker.waitForAcknowledged(100);
  await redis.runCommand('DEBUG', 'SLEEP', 1);
  await checker.waitForAcknowledged(100);
  redis.freeze();
  await pause(10_000);
  expect(checker.unansweredCount, 'all wait for an answer').toBe(group.all.length);
  redis.thaw();
  await checker.waitForAcknowledged(100);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(redis.url));
  expect(group.drops, 'no client lost the connection').toBe(0);
});

test('F16: a frozen primary does not block the rooms of other primaries', { timeout: 60_000 }, async () => {
  const cluster = await newCluster({ nodeTimeout: 30_000 });
  const [running, frozen, another] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  const [stuck, free, fresh] = await Promise.all(
    [frozen, running, another].map((node) => findRoomOn(cluster, (primary) => primary === node)),
  );
  const node = await startNode(cluster.url);
  const auth = { session: await findSessionOn(cluster, (primary) => primary === frozen) };
  const [aya, ben, chiyo, dan] = await Promise.all([{}, { auth }, {}, {}].map((options) => connect(node.url, options)));
  await requestOk(aya!, 'create:room', { roomId: free!, username: 'aya' });
  frozen.freeze();
  const stranded = dan!.emitWithAck('create:room', { roomId: stuck, username: 'dan' }) as Promise<Ack<'create:room'>>;
  await pause(100);
  const joined = withTimeout(requestOk(ben!, 'add:member', { roomId: free!, username: 'ben' }), 'the client is in', 2_000);
  await withTimeout(requestOk(aya!, 'create:chat', { roomId: free!, username: 'aya', message: 'hello' }), 'others talk', 2_000);
  await joined;
  await withTimeout(requestOk(chiyo!, 'create:room', { roomId: fresh!, username: 'chiyo' }), 'she has a room of her own', 2_000);
  expect(await withTimeout(stranded, 'an answer')).toMatchObject({ ok: false, error: { code: 'busy', retryable: true } });
  frozen.thaw();
  await until(async () => (await sendRequest(dan!, 'create:room', { roomId: stuck!, username: 'dan' })).ok, 'the other is there again');
});

test('F16: requests that wait for a frozen Redis are bounded; more are refused at once, and the rest are stored in order', async () => {
  const redis = await newRedis();
  const store = await openRedisStore(redis.url);
  const draft = (text: string): Draft => ({ id: randomUUID(), by: 'aya', author: 'a', kind: 'chat', body: { text } });
  const opened = await store.append('den', { epoch: null, expectedVersions: [], drafts: [draft('opens')] });
  const { epoch } = opened as Extract<typeof opened, { epoch: string }>;
  redis.freeze();
  const megabyte = 'x'.repeat(1024 * 1024);
  const appends = Array.from({ length: 80 }, (_, number) =>
    store.append('den', { epoch, expectedVersions: [], idempotencyKey: `append ${number}`, drafts: [draft(`${number} ${megabyte}`)] }),
  );
  const settled = Promise.allSettled(appends);
  await expect(withTimeout(appends.at(-1)!, 'a refusal', 500)).rejects.toMatchObject({ reason: 'busy' });
  await pause(7_000);
  redis.thaw();
  const stored = (await settled).flatMap(({ status }, number) => (status === 'fulfilled' ? [String(number)] : []));
  expect(stored.length).toBeGreaterThan(55);
  expect(stored.length).toBeLessThan(65);
  const log = await readEntries(store, 'den');
  expect(log.slice(1).map(({ body }) => (body as { text: string }).text.split(' ')[0])).toEqual(stored);
});

test('F17: connections to Redis that are cut every second, for fifteen seconds, duplicate nothing and lose nothing that was acknowledged', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const proxy = await startProxy({ port: redis.port });
  const url = proxy.url.replace('http', 'redis');
  const nodes = [await startNode(url), await startNode(url)];
  const group = await ActorGroup.start(
    nodes.map((node) => node.url),
    { pauseMs: 20 },
  );
  const { checker } = group;
  proxy.flap(1_000);
  const before = checker.acknowledgedCount;
  await pause(15_000);
  proxy.flap(0);
  expect(checker.acknowledgedCount - before, 'they talk all the while').toBeGreaterThan(300);
  await checker.waitForAcknowledged(100);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(redis.url));
  expect(group.drops).toBe(0);
});

test('F24: a Redis whose memory is full refuses chats and is still read; afterwards chats are accepted, and nothing is lost', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const group = await ActorGroup.start(
    nodes.map(({ url }) => url),
    { sdk: 8, socketIo: 4 },
  );
  const { checker } = group;
  const outsider = await connect(nodes[0]!.url);
  await requestOk(outsider, 'create:room', { roomId: 'den', username: 'eve' });
  await checker.waitForAcknowledged(100);
  await redis.runCommand('CONFIG', 'SET', 'maxmemory', '1mb');
  // Refused actors retry at different times: so not all of them wait at once.
  await until(async () => {
    const before = checker.acknowledgedCount;
    await pause(300);
    return checker.acknowledgedCount === before;
  }, 'nothing is acknowledged any more');
  const said = { roomId: 'den', username: 'eve', message: 'hello' };
  expect(await sendRequest(outsider, 'create:chat', said)).toMatchObject({ ok: false, error: { code: 'storage_full', retryable: true } });
  expect(await sendRequest(outsider, 'list:chats', { roomId: 'den' })).toMatchObject({ ok: true });
  expect((await fetch(`${nodes[0]!.url}/ready`)).status).toBe(503);
  await redis.runCommand('CONFIG', 'SET', 'maxmemory', '0');
  await checker.waitForAcknowledged(100);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(redis.url));
  expect((await fetch(`${nodes[0]!.url}/ready`)).status).toBe(200);
});

test('F16: a Redis with too few replicas (NOREPLICAS) is retried, then the answer is busy: nothing was stored', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const node = await startNode(redis.url);
  const group = await ActorGroup.start([node.url], { sdk: 4, socketIo: 4 });
  const { checker, all } = group;
  const outsider = await connect(node.url);
  await requestOk(outsider, 'create:room', { roomId: 'den', username: 'eve' });
  await redis.runCommand('CONFIG', 'SET', 'min-replicas-to-write', 1);
  await until(() => checker.unansweredCount === all.length, 'no client is answered any more');
  const said = { roomId: 'den', username: 'eve', message: 'hello' };
  const refused = outsider.emitWithAck('create:chat', said) as Promise<unknown>;
  expect(await withTimeout(refused, 'an answer', 15_000)).toMatchObject({ ok: false, error: { code: 'busy', retryable: true } });
  await redis.runCommand('CONFIG', 'SET', 'min-replicas-to-write', 0);
  await checker.waitForAcknowledged(50);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(redis.url));
  expect((await readEntries(await openRedisStore(redis.url), 'den')).map(({ kind }) => kind)).toEqual(['create:room', 'add:member']);
});

test('F16: guests of nodes that all cannot reach Redis, for longer than the grace, are not removed', {
  timeout: 60_000,
}, async () => {
  const redis = await newRedis();
  const grace = 6_000;
  const nodes = await Promise.all([1, 2, 3].map(() => startNode(redis.url, { grace })));
  const group = await ActorGroup.start(
    nodes.map(({ url }) => url),
    { sdk: 6, socketIo: 6 },
  );
  const { checker } = group;
  await checker.waitForAcknowledged(50);
  await redis.kill();
  await pause(grace + 2_000);
  await redis.start();
  await pause(grace + 1_000);
  await checker.waitForAcknowledged(50);
  group.stopSending();
  const store = await openRedisStore(redis.url);
  await checker.expectConsistent(store);
  expect((await readEntries(store, ROOM)).filter(({ kind }) => kind === 'remove:member')).toEqual([]);
});
