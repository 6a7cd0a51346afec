/** Slots that migrate, scripts that are flushed and primaries that fail over under load: clients notice nothing. */

import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { LargeActorGroup } from '@engawa/testkit/actors/large-actor-group';
import { until } from '@engawa/testkit/processes/server';
import type { ClusterNode, RedisCluster } from '@engawa/testkit/redis/redis-servers';
import { expect, test } from 'vitest';
import { globalKeysSlot, newCluster, openRedisStore, slotOfRoom, startNode } from '../helpers/on-redis.ts';

const timeout = 60_000;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function talkingOnCluster(): Promise<{ cluster: RedisCluster; throng: LargeActorGroup }> {
  const cluster = await newCluster();
  const nodes = [await startNode(cluster.url), await startNode(cluster.url)];
  const throng = await LargeActorGroup.start(nodes.map(({ url }) => url));
  await throng.checker.waitForAcknowledged(100);
  return { cluster, throng };
}

async function endsWell(cluster: RedisCluster, throng: LargeActorGroup): Promise<void> {
  await throng.checker.waitForAcknowledged(100);
  throng.stopSending();
  await throng.checker.expectConsistent(await openRedisStore(cluster.url));
  expect(throng.drops).toBe(0);
  for (const { resets } of throng.sdk) expect(resets).toEqual([]);
}

test('F13: the slots of a busy room and of the global keys are migrated again and again, and nothing is lost', { timeout }, async () => {
  const { cluster, throng } = await talkingOnCluster();
  const primaries = cluster.nodes.slice(0, 3);
  for (const slot of [slotOfRoom(ROOM), globalKeysSlot, slotOfRoom(ROOM), slotOfRoom(ROOM)]) {
    const from = await cluster.primaryOf(slot);
    const to = primaries[(primaries.indexOf(from) + 1) % primaries.length] as ClusterNode;
    await cluster.moveSlot(slot, to, async () => void (await pause(500)));
    await throng.checker.waitForAcknowledged(100);
  }
  const { head } = await (await openRedisStore(cluster.url)).read(ROOM, {});
  // A correct subscription delivers everything at once, before the next check of the log.
  await until(() => throng.sdk.every(({ room }) => room.position.seq >= head), 'all are notified', 1_000);
  await endsWell(cluster, throng);
});

test('F18: scripts are flushed (SCRIPT FLUSH), and primaries fail over to replicas without them, and nothing is lost', {
  timeout,
}, async () => {
  const { cluster, throng } = await talkingOnCluster();
  for (let turn = 0; turn < 20; turn += 1) {
    await Promise.all(cluster.nodes.slice(0, 3).map((node) => node.runCommand('SCRIPT', 'FLUSH')));
    await throng.checker.waitForAcknowledged(10);
  }
  for (let turn = 0; turn < 2; turn += 1) {
    await cluster.failover(await cluster.replicaOf(await cluster.primaryOf(slotOfRoom(ROOM))));
    await cluster.waitUntilOk();
    await throng.checker.waitForAcknowledged(100);
  }
  await endsWell(cluster, throng);
});
