/** Servers on one Redis, which all end with the test. */
import { openStore, type Store, type StoreOptions } from '@engawa/server';
import { onTestFinished } from 'vitest';
import { partitionOf, slotOf, tags } from '../../../server/dist/store/redis/partitions.js';
import { authorOf } from '../../../server/dist/transport/authenticate.js';
import {
  type ClusterNode,
  type RedisCluster,
  type RedisSentinel,
  type RedisServer,
  startCluster,
  startRedis,
  startSentinel,
} from '../../../server/test/helpers/redis-servers.ts';
import { type Running, startServer } from '../../../server/test/helpers/server.ts';

const endingWithTheTest = async <Redis extends { close(): Promise<void> }>(starting: Promise<Redis>): Promise<Redis> => {
  const redis = await starting;
  onTestFinished(() => redis.close());
  return redis;
};

export const newRedis = (...options: Parameters<typeof startRedis>): Promise<RedisServer> => endingWithTheTest(startRedis(...options));

export const newCluster = (...options: Parameters<typeof startCluster>): Promise<RedisCluster> =>
  endingWithTheTest(startCluster(...options));

export const newSentinel = (...options: Parameters<typeof startSentinel>): Promise<RedisSentinel> =>
  endingWithTheTest(startSentinel(...options));

/** A server in this process, with connections of its own. */
export async function startNode(url: string, { grace, ...options }: StoreOptions & { grace?: number } = {}): Promise<Running> {
  const { store } = await openStore(url, options);
  return startServer({ store, limits: 'off', ...(grace !== undefined && { grace }) });
}

/** The store, to look into. */
export async function storeAt(url: string, options: StoreOptions = {}): Promise<Store> {
  const { store } = await openStore(url, options);
  onTestFinished(() => store.close());
  return store;
}

/** The slot of all that a room is. */
export const slotOfRoom = (room: string): number => slotOf(tags[partitionOf(room)] as string);

/** The slot of what is asked of all rooms at once. */
export const slotOfLobby = slotOf(tags[0] as string);

/** A name of a room that such a primary has. */
export async function roomOn(cluster: RedisCluster, isMeant: (primary: ClusterNode) => boolean): Promise<string> {
  for (let number = 0; ; number += 1) {
    const room = `room ${number}`;
    if (isMeant(await cluster.primaryOf(slotOfRoom(room)))) return room;
  }
}

/** A session whose tickets such a primary knows. */
export async function sessionOn(cluster: RedisCluster, isMeant: (primary: ClusterNode) => boolean): Promise<string> {
  for (let number = 0; ; number += 1) {
    const session = String(number).padStart(32, 's');
    if (isMeant(await cluster.primaryOf(slotOfRoom(authorOf(session))))) return session;
  }
}

/** The replicas hear no more of a primary that goes on: what it takes from now on it has alone, until it is ended. */
export async function cutOffReplicas(primary: RedisServer): Promise<void> {
  await primary.cli('ACL', 'SETUSER', 'default', '-psync', '-sync');
  await primary.cli('CLIENT', 'KILL', 'TYPE', 'replica');
}
