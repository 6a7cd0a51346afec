/**
 * Primaries that die and are replaced by replicas that lag behind: acknowledged entries are there, or all clients receive a
 * reset.
 */

import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { findForkFaults } from '@engawa/testkit/checkers/history';
import { readEntries, readRoom } from '@engawa/testkit/checkers/recording';
import type { RedisServer } from '@engawa/testkit/redis/redis-servers';
import { newCluster, newSentinel } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { detachReplicas, openRedisStore, slotOfRoom, startNode } from '../helpers/on-redis.ts';

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const timeout = 90_000;

interface Group {
  url: string;
  primary: () => Promise<RedisServer>;
  waitUntilOk: () => Promise<void>;
}

async function cluster(config = {}): Promise<Group> {
  const redis = await newCluster({ config });
  return { url: redis.url, primary: () => redis.primaryOf(slotOfRoom(ROOM)), waitUntilOk: () => redis.waitUntilOk() };
}

async function sentinel(config = {}): Promise<Group> {
  const redis = await newSentinel({ config });
  return { url: redis.url, primary: () => redis.primary(), waitUntilOk: () => redis.waitUntilOk() };
}

const kinds = [
  ['a cluster', cluster],
  ['sentinels', sentinel],
] as const;

test.each(kinds)(
  'F9: a primary of %s is killed before its replicas have everything, fast: all clients receive a reset, and lost chats are sent again',
  {
    timeout,
  },
  async (_, start) => {
    const { url, primary, waitUntilOk } = await start();
    const nodes = [await startNode(url), await startNode(url)];
    const group = await ActorGroup.start(nodes.map((node) => node.url));
    const { checker, sdk } = group;
    await checker.waitForAcknowledged(200);
    const former = await primary();
    await detachReplicas(former);
    await checker.waitForAcknowledged(100);
    const leaver = sdk[0]!;
    await leaver.sendChats(5, ' for the last time');
    group.removeActor(leaver);
    await pause(500);

    await former.kill();
    const killed = performance.now();
    await checker.waitForAcknowledged(1);
    console.log(`failovers: fast, acknowledges again after ${Math.round(performance.now() - killed)} ms`);
    await group.waitUntilAllAreReset();
    await former.start();
    await checker.waitForAcknowledged(200);
    group.stopSending();
    await waitUntilOk();
    const store = await openRedisStore(url);
    await group.expectConsistentAfterFork(store);
    const said = JSON.stringify((await readEntries(store, ROOM)).map(({ body }) => body));
    expect(said, 'no client was there to send it again').not.toContain('for the last time');
  },
);

test.each([
  ['a cluster', 'replicated', cluster],
  ['sentinels', 'replicated', sentinel],
  ['a cluster', 'fsync', cluster],
] as const)(
  'F9: a primary of %s is killed before its replicas have everything, %s: nothing that was acknowledged is lost',
  {
    timeout,
  },
  async (_, durability, start) => {
    const { url, primary, waitUntilOk } = await start(durability === 'fsync' ? { appendfsync: 'always' } : {});
    const nodes = [await startNode(url, { durability }), await startNode(url, { durability })];
    const group = await ActorGroup.start(nodes.map((node) => node.url));
    const { checker } = group;
    await checker.waitForAcknowledged(200);
    const former = await primary();
    await detachReplicas(former);
    await pause(3_000);
    const open = checker.unansweredCount;

    await former.kill();
    const killed = performance.now();
    // The remaining server has no replica, and must acknowledge nothing.
    await pause(4_000);
    await former.start();
    await checker.waitForAcknowledged(1);
    console.log(`failovers: ${durability}, acknowledges again after ${Math.round(performance.now() - killed)} ms`);
    await checker.waitForAcknowledged(200);
    group.stopSending();
    await checker.waitUntilConsistent();
    await waitUntilOk();
    expect(open, 'what only the primary had was not acknowledged').toBeGreaterThan(group.all.length / 2);
    const store = await openRedisStore(url);
    expect(findForkFaults(checker.history, await readRoom(store, ROOM, checker.history.sent))).toEqual([]);
  },
);
