/** Hints outside of the rooms' slots that are lost while the rooms are not: nodes write them again. */

import { collectEvents, connect, requestOk, sendRequest, until } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startBalancer } from '@engawa/testkit/proxies/balancer';
import type { ClusterNode, RedisCluster } from '@engawa/testkit/redis/redis-servers';
import { newCluster } from '@engawa/testkit/redis/test-redis';
import type { Socket } from 'socket.io-client';
import { expect, test } from 'vitest';
import { detachReplicas, findRoomOn, globalKeysSlot, openRedisStore, slotOfRoom, startNode } from '../helpers/on-redis.ts';

const timeout = 90_000;
/** Longer than a failover takes, and as short as possible. */
const graceMs = 6_000;
const portOf = (url: string): number => Number(new URL(url).port);

/** Another server has its slots. */
async function replace(cluster: RedisCluster, primary: ClusterNode): Promise<void> {
  const replica = await cluster.replicaOf(primary);
  await primary.kill();
  await until(() => replica.isPrimary(), 'another is the primary', 20_000);
}

const namesIn = async (socket: Socket): Promise<string[]> =>
  (await requestOk(socket, 'list:rooms', { limit: 50 })).rooms.map(({ roomId }) => roomId);

test('F9: rooms and leases whose hints the primary of the global keys lost are still listed and released', { timeout }, async () => {
  const cluster = await newCluster({ nodeTimeout: 1_000 });
  const globalPrimary = await cluster.primaryOf(globalKeysSlot);
  const [early, late] = [
    await findRoomOn(cluster, (primary) => primary === globalPrimary),
    await findRoomOn(cluster, (primary) => primary !== globalPrimary),
  ];
  const node = await startNode(cluster.url, { grace: graceMs });
  const other = await ServerProcess.start(cluster.url, { fastTimers: { graceMs, absenceMs: 0 } });
  const [aya, ben, chiyo] = [await connect(node.url), await connect(node.url), await connect(other.url)];
  await requestOk(chiyo, 'create:room', { roomId: early, username: 'chiyo' });
  await requestOk(aya, 'add:member', { roomId: early, username: 'aya' });
  // Both nodes are registered in that partition.
  await new Promise((resolve) => setTimeout(resolve, 1_000));

  await detachReplicas(globalPrimary);
  await requestOk(aya, 'create:room', { roomId: late, username: 'aya' });
  await requestOk(ben, 'add:member', { roomId: late, username: 'ben' });
  await requestOk(chiyo, 'add:member', { roomId: late, username: 'chiyo' });
  ben.disconnect();
  await until(async () => (await globalPrimary.runCommand('KEYS', '*:due')) !== '', 'the absence is stored');
  const removed = collectEvents(aya, 'remove:member:success');
  await replace(cluster, globalPrimary);

  await until(async () => (await namesIn(aya)).includes(late), 'the room is listed', 5_000);
  await until(() => removed.some(({ username }) => username === 'ben'), 'the name of the absent member is free', 3 * graceMs);
  await other.kill();
  await until(
    () => removed.some(({ username, roomId }) => username === 'chiyo' && roomId === late),
    'the guest of the killed node is released',
    3 * graceMs,
  );
});

test('F9: a member who connects to another node keeps the name when the primary of the room loses the last writes', {
  timeout,
}, async () => {
  const cluster = await newCluster({ nodeTimeout: 1_000 });
  const globalPrimary = await cluster.primaryOf(globalKeysSlot);
  const room = await findRoomOn(cluster, (primary) => primary !== globalPrimary);
  const primary = await cluster.primaryOf(slotOfRoom(room));
  const [killed, node] = [
    await ServerProcess.start(cluster.url, { fastTimers: { graceMs, absenceMs: 0 } }),
    await startNode(cluster.url, { grace: graceMs }),
  ];
  const balancer = await startBalancer([killed.port]);
  const aya = await connect(node.url);
  const dan = await connect(balancer.url, { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 200 });
  await requestOk(aya, 'create:room', { roomId: room, username: 'aya' });
  await requestOk(dan, 'add:member', { roomId: room, username: 'dan' });
  await requestOk(aya, 'create:chat', { roomId: room, username: 'aya', message: 'hello' });

  await detachReplicas(primary);
  balancer.ports = [portOf(node.url)];
  await killed.kill();
  await until(() => dan.connected && dan.recovered, 'the client is on the other node');
  const store = await openRedisStore(cluster.url);
  await until(async () => (await store.listExpiredLeases(10)).length === 0, 'the other node has the lease');
  const removed = collectEvents(aya, 'remove:member:success');
  await replace(cluster, primary);

  const end = performance.now() + graceMs + 1_000;
  await until(() => removed.length > 0 || performance.now() > end, 'the grace is over', 2 * graceMs);
  expect(removed).toEqual([]);
  expect(await sendRequest(dan, 'create:chat', { roomId: room, username: 'dan', message: 'still here' })).toMatchObject({ ok: true });
});

test('F9: a plain Socket.IO client whose ticket the primary lost is recovered', { timeout }, async () => {
  const cluster = await newCluster({ nodeTimeout: 1_000 });
  const [node, other] = [await startNode(cluster.url, { grace: graceMs }), await startNode(cluster.url, { grace: graceMs })];
  const balancer = await startBalancer([portOf(node.url)]);
  const dan = await connect(balancer.url, { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 200 });
  const aya = await connect(other.url);
  await requestOk(dan, 'create:room', { roomId: 'den', username: 'dan' });
  const primaries = cluster.nodes.slice(0, 3);
  const having = await Promise.all(primaries.map((primary) => primary.runCommand('KEYS', '*:places:*')));
  const primary = primaries[having.findIndex((keys) => keys !== '')]!;
  await requestOk(dan, 'remove:member', { roomId: 'den', username: 'dan' });
  const room = await findRoomOn(cluster, (each) => each !== primary);
  await requestOk(aya, 'create:room', { roomId: room, username: 'aya' });

  await detachReplicas(primary);
  await requestOk(dan, 'add:member', { roomId: room, username: 'dan' });
  await requestOk(aya, 'create:chat', { roomId: room, username: 'aya', message: 'hello' });
  await until(async () => (await primary.runCommand('KEYS', '*:places:*')) !== '', 'the ticket is written');
  await replace(cluster, primary);
  await requestOk(aya, 'create:chat', { roomId: room, username: 'aya', message: 'still there?' });
  await new Promise((resolve) => setTimeout(resolve, 2_000));

  const dropped = new Promise((resolve) => dan.once('disconnect', resolve));
  dan.io.engine.close();
  await dropped;
  await until(() => dan.connected, 'the client is back');
  expect(dan.recovered).toBe(true);
});
