/** Nodes on Redis, and rooms and sessions on chosen primaries. */
import { openStore, type Store, type StoreOptions } from '@engawa/server';
import { type RunningServer, startServer } from '@engawa/testkit/processes/server';
import type { ClusterNode, RedisCluster, RedisServer } from '@engawa/testkit/redis/redis-servers';
import { onTestFinished } from 'vitest';
import { deriveAuthor } from '../../../server/dist/connections/identity.js';
import { partitionOf, slotOf, tags } from '../../../server/dist/store/redis/partitions.js';

/** A server in this process, with its own connections to Redis. */
export async function startNode(
  url: string,
  { grace: graceMs, ...options }: StoreOptions & { grace?: number } = {},
): Promise<RunningServer> {
  const { store } = await openStore(url, options);
  return startServer({ store, rateLimits: 'off', ...(graceMs !== undefined && { graceMs }) });
}

/** The store, for inspection. */
export async function openRedisStore(url: string, options: StoreOptions = {}): Promise<Store> {
  const { store } = await openStore(url, options);
  onTestFinished(() => store.close());
  return store;
}

/** The slot of all keys of a room. */
export const slotOfRoom = (room: string): number => slotOf(tags[partitionOf(room)] as string);

/** The slot of the global keys. */
export const globalKeysSlot = slotOf(tags[0] as string);

/** The id of a room on a primary that matches. */
export async function findRoomOn(cluster: RedisCluster, matches: (primary: ClusterNode) => boolean): Promise<string> {
  for (let number = 0; ; number += 1) {
    const room = `room ${number}`;
    if (matches(await cluster.primaryOf(slotOfRoom(room)))) return room;
  }
}

/** A session whose tickets are on a primary that matches. */
export async function findSessionOn(cluster: RedisCluster, matches: (primary: ClusterNode) => boolean): Promise<string> {
  for (let number = 0; ; number += 1) {
    const session = String(number).padStart(32, 's');
    if (matches(await cluster.primaryOf(slotOfRoom(deriveAuthor(session))))) return session;
  }
}

/** Disconnects the replicas from a primary that continues: later writes exist only there, until it is killed. */
export async function detachReplicas(primary: RedisServer): Promise<void> {
  await primary.runCommand('ACL', 'SETUSER', 'default', '-psync', '-sync');
  await primary.runCommand('CLIENT', 'KILL', 'TYPE', 'replica');
}
