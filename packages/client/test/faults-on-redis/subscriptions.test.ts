/** Subscriptions that end, or are dead without notice: what they did not deliver is read from the log. */

import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import type { RedisServer } from '@engawa/testkit/redis/redis-servers';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { startNode } from '../helpers/on-redis.ts';

/** A room is compared with its log every five seconds. */
const CHECKED_MS = 7_000;

test('F14: entries that a half-open subscription does not deliver are found in the log, within the reconcile interval', async () => {
  const { redis, setup, aya, others, store, proxy } = await twoNodes();
  await aya.sendChats(5);
  await until(() => others.every(({ texts }) => texts.length === 5), 'the others receive the chats of aya');
  const before = await subscribers(redis);
  expect(proxy.blackhole(before)).toBe(1);
  for (const said of [55, 105]) {
    await aya.sendChats(50);
    await until(() => others.every(({ texts }) => texts.length === said), 'it was found', CHECKED_MS);
  }
  expect(await subscribers(redis), 'no end noticed that a subscription is dead').toEqual(before);
  await setup.expectConsistent(store);
});

test('F14: subscriptions that Redis ends under load (CLIENT KILL TYPE pubsub) are renewed, and nothing is missing', async () => {
  const { redis, setup, aya, others, store } = await twoNodes();
  const hushes = [aya, ...others].map((person) => person.startSending());
  for (let kills = 0; kills < 10; kills += 1) {
    await setup.waitForAcknowledged(50);
    await until(async () => Number(await redis.runCommand('CLIENT', 'KILL', 'TYPE', 'pubsub')) === 2, 'both were there, and are ended');
  }
  await setup.waitForAcknowledged(50);
  for (const hush of hushes) hush();
  await setup.expectConsistent(store);
});

/** Aya is on a node of her own; the Redis of the others' node is behind a proxy. */
async function twoNodes() {
  const redis = await newRedis();
  const proxy = await startProxy({ port: redis.port });
  const [direct, behind] = [await startNode(redis.url), await startNode(proxy.url.replace('http', 'redis'))];
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', direct.url);
  const others = [await setup.addSdkActor('ben', behind.url), await setup.addSocketIoActor('chiyo', behind.url)];
  return { redis, setup, aya, others, store: direct.store, proxy };
}

/** The local ports of subscriber connections. */
async function subscribers(redis: RedisServer): Promise<number[]> {
  const list = await redis.runCommand('CLIENT', 'LIST', 'TYPE', 'pubsub');
  return [...list.matchAll(/ addr=[^ ]*:(\d+)/g)].map(([, port]) => Number(port));
}
