/**
 * A Redis that restarts without its newest data, with old data, or with none: all clients receive a reset, and nothing is mixed
 * up.
 */
import { cpSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { connect, createTempFolder, requestOk, until } from '@engawa/testkit/processes/server';
import { startBalancer } from '@engawa/testkit/proxies/balancer';
import type { RedisServer } from '@engawa/testkit/redis/redis-servers';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { openRedisStore, startNode } from '../helpers/on-redis.ts';

const timeout = 60_000;
const portOf = (url: string): number => Number(new URL(url).port);

/** The append-only files. */
const filesOf = ({ dir }: RedisServer): string => join(dir, 'appendonlydir');
const newestOf = (redis: RedisServer): string =>
  join(filesOf(redis), readdirSync(filesOf(redis)).find((name) => name.endsWith('.incr.aof'))!);

test('F11: a Redis that restarts without the end of its file, fast: all clients receive a reset, and lost chats are sent again', {
  timeout,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const group = await ActorGroup.start(nodes.map(({ url }) => url));
  const { checker } = group;
  await checker.waitForAcknowledged(200);
  const { size } = statSync(newestOf(redis));
  await checker.waitForAcknowledged(100);
  await redis.kill();
  // Also in the middle of a command: Redis truncates a torn one.
  truncateSync(newestOf(redis), size - 7);
  await redis.start();
  await group.waitUntilAllAreReset();
  await checker.waitForAcknowledged(200);
  await group.expectConsistentAfterFork(await openRedisStore(redis.url));
});

test('F11: a Redis with fsync that is killed again and again has everything that it acknowledged, once', {
  timeout,
}, async () => {
  const redis = await newRedis({ config: { appendfsync: 'always' } });
  const nodes = [await startNode(redis.url, { durability: 'fsync' }), await startNode(redis.url, { durability: 'fsync' })];
  const group = await ActorGroup.start(
    nodes.map(({ url }) => url),
    { pauseMs: 5 },
  );
  const { checker } = group;
  for (let kills = 0; kills < 5; kills += 1) {
    await checker.waitForAcknowledged(200);
    await redis.kill();
    expect(checker.unansweredCount, 'chats are on their way').toBeGreaterThan(0);
    await redis.start();
  }
  await checker.waitForAcknowledged(200);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(redis.url));
  for (const { resets } of group.sdk) expect(resets).toEqual([]);
});

test.each([
  ['nodes that were there', true],
  ['nodes that never knew more', false],
])(
  'F12: an old copy of the data is restored, under %s: all clients receive a reset, and lost chats are sent again',
  { timeout },
  async (_, areSame) => {
    const [redis, copy] = [await newRedis(), createTempFolder()];
    let nodes = [await startNode(redis.url), await startNode(redis.url)];
    const balancer = await startBalancer(nodes.map(({ url }) => portOf(url)));
    const group = await ActorGroup.start([balancer.url], { socketIo: areSame ? 8 : 0 });
    const { checker } = group;
    await checker.waitForAcknowledged(200);
    cpSync(filesOf(redis), copy, { recursive: true });
    await checker.waitForAcknowledged(300);
    await redis.kill();
    if (!areSame) await Promise.all(nodes.map(({ stop }) => stop()));
    rmSync(filesOf(redis), { recursive: true });
    cpSync(copy, filesOf(redis), { recursive: true });
    await redis.start();
    if (!areSame) nodes = [await startNode(redis.url), await startNode(redis.url)];
    balancer.ports = nodes.map(({ url }) => portOf(url));
    await group.waitUntilAllAreReset();
    await checker.waitForAcknowledged(200);
    await group.expectConsistentAfterFork(await openRedisStore(redis.url));
  },
);

test('F12: after FLUSHALL all clients learn that the room is deleted, and can create it again', { timeout }, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const group = await ActorGroup.start(nodes.map(({ url }) => url));
  const { sdk, socketIo, checker } = group;
  await checker.waitForAcknowledged(100);
  const notices: unknown[] = [];
  for (const { socket } of socketIo) socket.on('reset:room', (notice: unknown) => notices.push(notice));
  await redis.runCommand('FLUSHALL');
  await until(() => sdk.every(({ room }) => room.state === 'ended') && notices.length === socketIo.length, 'all are notified', 10_000);
  for (const { room } of sdk) expect(room.ending?.reason).toBe('deleted');
  expect(notices).toEqual(socketIo.map(() => ({ roomId: ROOM, epoch: null, seq: 0 })));
  group.stopSending();

  const again = await ActorGroup.start(nodes.map(({ url }) => url));
  await again.checker.waitForAcknowledged(100);
  again.stopSending();
  await again.checker.expectConsistent(await openRedisStore(redis.url));
});

test('F12: after FLUSHALL and a new room with the same id all clients learn it, and mix nothing up when they join that one', {
  timeout,
}, async () => {
  const redis = await newRedis();
  const nodes = [await startNode(redis.url), await startNode(redis.url)];
  const setup = new ConsistencyChecker();
  const people = [await setup.addSdkActor('aya', nodes[0]!.url), await setup.addSdkActor('ben', nodes[1]!.url)];
  await Promise.all(people.map((person) => person.sendChats(20)));
  const outsider = await connect(nodes[1]!.url);
  await redis.runCommand('FLUSHALL');
  await requestOk(outsider, 'create:room', { roomId: ROOM, username: 'eve' });
  // A room with the id of a deleted one is a new room: no client joins it by itself.
  await until(() => people.every(({ room }) => room.state === 'ended'), 'their room is gone');
  for (const person of people) {
    person.receivedLog.entries.splice(0);
    await person.join();
  }
  await Promise.all(people.map((person) => person.sendChats(5)));
  await until(() => people.every(({ texts }) => texts.length === 10), 'both received everything');
  for (const { room, texts } of people) expect(room.timeline.chats.map(({ message }) => message)).toEqual(texts);
});
