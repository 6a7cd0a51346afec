/** Where tests keep rooms: in this process and in folders, or all in the Redis of their project (see vitest.config.ts). */
import { randomUUID } from 'node:crypto';
import { openEmbedded, openMemory, type Store } from '@engawa/server';
import { inject, onTestFinished } from 'vitest';
import { createTempFolder } from './folders.ts';
import { openRedis } from './server-internals.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redis?: { name: string; url: string };
  }
}

interface Options {
  clock?: () => number;
}

/** Opens a new and empty store, which is closed with the test. */
type OpenStore = (options?: Options) => Promise<Store>;

const redis = inject('redis');
const reopeners = new WeakMap<Store, () => Promise<Store>>();

export const isOnRedis = redis !== undefined;

/** A directory, or a URL of Redis with a unique prefix. */
export const newStoreLocation = (): string => (redis ? `${redis.url}?prefix=${randomUUID()}` : createTempFolder());

/** The arguments with which `engawa serve` uses this store. */
export const storeFlags = (storeLocation: string): string[] => [
  storeLocation.startsWith('redis') ? '--redis-url' : '--data-dir',
  storeLocation,
];

/** On Redis as often as is wanted, in a folder by one at a time. */
export async function openStoreAt(storeLocation: string, options: Options = {}): Promise<Store> {
  const store = await (storeLocation.startsWith('redis')
    ? openRedis({ url: storeLocation, onError: console.error, ...options })
    : openEmbedded({ folder: storeLocation, ...options }));
  onTestFinished(() => store.close());
  reopeners.set(store, () => openStoreAt(storeLocation, options));
  return store;
}

/** In a folder, or on Redis. */
export const newDurableStore: OpenStore = (options) => openStoreAt(newStoreLocation(), options);

export const storeKinds: [name: string, open: OpenStore][] = redis
  ? [[redis.name, newDurableStore]]
  : [
      ['memory', async (options) => openMemory(options)],
      ['embedded', newDurableStore],
    ];

/** In memory, or on Redis. */
export const newStore: OpenStore = (options) => storeKinds[0]![1](options);

/** For another server on the same rooms: on Redis it has a store of its own. */
export const storeForAnotherServer = async (store: Store): Promise<Store> => (isOnRedis ? (reopeners.get(store) as OpenStore)() : store);

/** The same rooms after their server has ended. */
export async function reopenStore(store: Store): Promise<Store> {
  const open = reopeners.get(store);
  if (!open) return store;
  await store.close();
  return open();
}
