/** Slots that migrate, scripts that are flushed and primaries that fail over under load: clients notice nothing. */

import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { until } from '@engawa/testkit/processes/server';
import type { ClusterNode, RedisCluster } from '@engawa/testkit/redis/redis-servers';
import { newCluster } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { globalKeysSlot, openRedisStore, slotOfRoom, startNode } from '../helpers/on-redis.ts';

const timeout = 60_000;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function talkingOnCluster(): Promise<{ cluster: RedisCluster; group: ActorGroup }> {
  const cluster = await newCluster();
  const nodes = [await startNode(cluster.url), await startNode(cluster.url)];
  const group = await ActorGroup.start(nodes.map(({ url }) => url));
  await group.checker.waitForAcknowledged(100);
  return { cluster, group };
}

async function endsWell(cluster: RedisCluster, group: ActorGroup): Promise<void> {
  await group.checker.waitForAcknowledged(100);
  group.stopSending();
  await group.checker.expectConsistent(await openRedisStore(cluster.url));
  expect(group.drops).toBe(0);
  for (const { resets } of group.sdk) expect(resets).toEqual([]);
}

test('F13: the slots of a busy room and of the global keys are migrated again and again, and nothing is lost', { timeout }, async () => {
  const { cluster, group } = await talkingOnCluster();
  const primaries = cluster.nodes.slice(0, 3);
  for (const slot of [slotOfRoom(ROOM), globalKeysSlot, slotOfRoom(ROOM), slotOfRoom(ROOM)]) {
    const from = await cluster.primaryOf(slot);
    const to = primaries[(primaries.indexOf(from) + 1) % primaries.length] as ClusterNode;
    await cluster.moveSlot(slot, to, async () => void (await pause(500)));
    await group.checker.waitForAcknowledged(100);
  }
  const { head } = await (await openRedisStore(cluster.url)).read(ROOM, {});
  // A correct subscription delivers everything at once, before the next check of the log.
  await until(() => group.sdk.every(({ room }) => room.position.seq >= head), 'all are notified', 1_000);
  await endsWell(cluster, group);
});

test('F18: scripts are flushed (SCRIPT FLUSH), and primaries fail over to replicas without them, and nothing is lost', {
  timeout,
}, async () => {
  const { cluster, group } = await talkingOnCluster();
  for (let turn = 0; turn < 20; turn += 1) {
    await Promise.all(cluster.nodes.slice(0, 3).map((node) => node.runCommand('SCRIPT', 'FLUSH')));
    await group.checker.waitForAcknowledged(10);
  }
  for (let turn = 0; turn < 2; turn += 1) {
    await cluster.failover(await cluster.replicaOf(await cluster.primaryOf(slotOfRoom(ROOM))));
    await cluster.waitUntilOk();
    await group.checker.waitForAcknowledged(100);
  }
  await endsWell(cluster, group);
});
