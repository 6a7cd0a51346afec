/** Where tests keep rooms: in this process and in folders, or all in the Redis of their project (see vitest.config.ts). */
import { randomUUID } from 'node:crypto';
import { openEmbedded, openMemory, type Store } from '@engawa/server';
import { inject, onTestFinished } from 'vitest';
import { openRedis } from '#store/redis/redis.js';
import { newFolder } from './folders.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redis?: { name: string; url: string };
  }
}

interface Options {
  clock?: () => number;
}

/** Opens a new and empty store, which is closed with the test. */
type Open = (options?: Options) => Promise<Store>;

const redis = inject('redis');
const openings = new WeakMap<Store, () => Promise<Store>>();

export const isOnRedis = redis !== undefined;

/** A folder, or a URL of Redis with a prefix that nobody else has. */
export const newPlace = (): string => (redis ? `${redis.url}?prefix=${randomUUID()}` : newFolder());

/** What `engawa serve` has to be told to keep its rooms there. */
export const flagsFor = (place: string): string[] => [place.startsWith('redis') ? '--redis-url' : '--data-dir', place];

/** On Redis as often as is wanted, in a folder by one at a time. */
export async function openAt(place: string, options: Options = {}): Promise<Store> {
  const store = await (place.startsWith('redis')
    ? openRedis({ url: place, onError: console.error, ...options })
    : openEmbedded({ folder: place, ...options }));
  onTestFinished(() => store.close());
  openings.set(store, () => openAt(place, options));
  return store;
}

/** In a folder, or on Redis. */
export const durableStore: Open = (options) => openAt(newPlace(), options);

export const stores: [name: string, open: Open][] = redis
  ? [[redis.name, durableStore]]
  : [
      ['memory', async (options) => openMemory(options)],
      ['embedded', durableStore],
    ];

/** In memory, or on Redis. */
export const newStore: Open = (options) => stores[0]![1](options);

/** For another server on the same rooms: on Redis it has a store of its own. */
export const anotherFor = async (store: Store): Promise<Store> => (isOnRedis ? (openings.get(store) as Open)() : store);

/** The same rooms after their server has ended. */
export async function reopened(store: Store): Promise<Store> {
  const open = openings.get(store);
  if (!open) return store;
  await store.close();
  return open();
}
