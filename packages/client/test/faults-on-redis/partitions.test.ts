/**
 * A primary that is partitioned, with a node and its clients, from all other servers, which replace it: then the partition ends.
 */

import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { findForkFaults } from '@engawa/testkit/checkers/history';
import { readRoom } from '@engawa/testkit/checkers/recording';
import { NetworkNamespace } from '@engawa/testkit/network-namespace';
import { until } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { newCluster } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { openRedisStore, slotOfRoom, startNode } from '../helpers/on-redis.ts';

const NODE_TIMEOUT_MS = 2_000;
const SLOTS = 16_384;
const timeout = 120_000;

type Durability = 'fast' | 'replicated';

/** A room whose primary can be partitioned, with the node of every second actor, from all other servers. */
async function twoSides(durability: Durability) {
  const network = new NetworkNamespace();
  const isolatedNode = Math.floor((slotOfRoom(ROOM) / SLOTS) * 3);
  const networkPlaces = Array.from({ length: 6 }, (_, index) => (index === isolatedNode ? network.inside : network.outside));
  const cluster = await newCluster({ nodeTimeout: NODE_TIMEOUT_MS, networkPlaces });
  const [primary, other] = [cluster.nodes[isolatedNode]!, cluster.nodes[(isolatedNode + 1) % 3]!];
  expect(await cluster.primaryOf(slotOfRoom(ROOM))).toBe(primary);
  const replica = await cluster.replicaOf(primary);
  const url = `redis+cluster://${other.address}`;
  const isolated = `redis+cluster://${network.inside.peerAddress}:${primary.port}`;
  const there = await ServerProcess.start(isolated, { durability, networkPlace: network.inside });
  const here = await startNode(url, { durability });
  const group = await ActorGroup.start([here.url, there.url], { pauseMs: 20 });
  const away = new Set(group.all.filter((_, index) => index % 2 === 1).map(({ name }) => name));
  const acked = (isAway: boolean) =>
    group.checker.history.sent.filter(({ client, acks }) => away.has(client) === isAway && acks.length > 0).length;
  await group.checker.waitForAcknowledged(300);
  return { network, cluster, replica, url, group, away, acked };
}

test('F10: a partitioned minority continues for the node timeout, fast; after the partition all clients receive a reset, and lost chats are sent again', {
  timeout,
}, async () => {
  const { network, cluster, url, group, away, acked } = await twoSides('fast');
  network.partition();
  const since = performance.now();
  const elapsed = () => Math.round(performance.now() - since);
  const [before, beforeHere] = [acked(true), acked(false)];
  let [last, lastAfter] = [before, 0];
  const othersGoOn = () => {
    if (acked(true) > last) [last, lastAfter] = [acked(true), elapsed()];
    return acked(false) > beforeHere + 100;
  };
  await until(othersGoOn, 'the others go on', 30_000);
  console.log(`partitions: the minority acknowledged for ${lastAfter} ms, the majority went on after ${elapsed()} ms`);
  expect(last - before).toBeGreaterThan(away.size);
  expect(lastAfter).toBeLessThan(2 * NODE_TIMEOUT_MS);

  network.heal();
  await group.waitUntilAllAreReset();
  await group.checker.waitForAcknowledged(300);
  group.stopSending();
  await cluster.waitUntilOk();
  await group.expectConsistentAfterFork(await openRedisStore(url));
});

test('F10: neither side of a partition acknowledges what has no replica, replicated; after the partition nothing is lost', {
  timeout,
}, async () => {
  const { network, cluster, replica, url, group, away, acked } = await twoSides('replicated');
  const { checker } = group;
  network.partition();
  const [before, beforeHere] = [acked(true), acked(false)];
  await until(() => replica.isPrimary(), 'another is the primary', 30_000);
  await pause(2_000);
  // Requests in flight.
  expect(acked(true) - before).toBeLessThanOrEqual(away.size);
  expect(acked(false) - beforeHere).toBeLessThanOrEqual(group.all.length - away.size);
  expect(checker.unansweredCount, 'all wait for an answer').toBe(group.all.length);

  network.heal();
  await checker.waitForAcknowledged(300);
  group.stopSending();
  await cluster.waitUntilOk();
  await checker.waitUntilConsistent();
  const store = await openRedisStore(url);
  expect(findForkFaults(checker.history, await readRoom(store, ROOM, checker.history.sent))).toEqual([]);
});

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
