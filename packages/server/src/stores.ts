/** The only file that names an engine. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Settings, SettingsError } from './settings.ts';
import { openEmbedded } from './store/embedded/embedded.ts';
import { networkFileSystemOf } from './store/embedded/folder.ts';
import { warningOfHost } from './store/embedded/hosts.ts';
import { isOpenToOthers } from './store/embedded/permissions.ts';
import { holdsDatabase } from './store/embedded/schema.ts';
import { openMemory } from './store/memory/memory.ts';
import type { RedisDurability } from './store/redis/redis.ts';
import type { Store } from './store/store.ts';

export { type EmbeddedStore, openEmbedded } from './store/embedded/embedded.ts';
export { type MemoryStore, openMemory } from './store/memory/memory.ts';

/** A store that is open, and what an operator should know of it. */
export interface OpenedStore {
  store: Store;
  /** Where it is and of what engine, for people: no password is in it. */
  name: string;
  /** Flags with which `engawa serve` uses it. */
  flags: string;
  /** Nobody else can be using it. */
  isOurs: boolean;
  warnings: string[];
}

export interface StoreOptions {
  /** What to do where no folder is: `pretend` answers an empty store that keeps nothing. */
  ifMissing?: 'create' | 'refuse' | 'pretend';
  /** Begins the names of all keys in Redis. */
  prefix?: string;
  /** How safe in Redis what was acknowledged is. */
  durability?: RedisDurability;
  /** Redis may throw parts of logs away when its memory is full. */
  mayEvict?: boolean;
  onError?: (error: unknown) => void;
}

/** As `engawa serve` opens it here. */
export const optionsIn = ({ redisPrefix: prefix, durability, mayEvict }: Settings): StoreOptions => ({
  prefix,
  durability,
  mayEvict: mayEvict === 'yes',
});

/** Opens the store of a URL: `redis:…` and its like, or a folder, by its path or as `file:…`. Throws what an operator can mend. */
export async function openStore(url: string, { ifMissing = 'create', ...options }: StoreOptions = {}): Promise<OpenedStore> {
  const scheme = schemeOf(url);
  if (scheme?.startsWith('redis')) return openRedisAt(url, options);
  if (scheme !== undefined && scheme !== 'file') throw new SettingsError(`There is no store for ${scheme}: URLs; name a folder.`);
  return openFolder(folderOf(url), ifMissing);
}

/** Whether both URLs name one store, whether it is there or not. */
export const isSameStore = (one: string, other: string): boolean =>
  one === other || (isFolder(one) && isFolder(other) && realPathOf(one) === realPathOf(other));

/** Redis is loaded only when it is asked for. */
async function openRedisAt(url: string, { mayEvict = false, ...options }: StoreOptions): Promise<OpenedStore> {
  const { describe, evicts, openRedis, warningsOf } = await import('./store/redis/redis.ts');
  const store = await openRedis({ url, ...options });
  if (evicts(store.findings) && !mayEvict) {
    await store.close();
    throw new SettingsError(
      `Redis would throw away parts of rooms when its memory is full (maxmemory-policy ${store.findings.policy}). Set it to "noeviction", or say --may-evict yes.`,
    );
  }
  const name = url.replace(/\/\/[^@/]*@/, '//');
  return {
    store,
    name: `${name} (${describe(store.findings)})`,
    flags: `--redis-url ${name}`,
    isOurs: false,
    warnings: warningsOf(store.findings),
  };
}

async function openFolder(folder: string, ifMissing: NonNullable<StoreOptions['ifMissing']>): Promise<OpenedStore> {
  const about = { name: `${folder} (embedded store)`, flags: `--data-dir ${folder}`, isOurs: true };
  if (ifMissing !== 'create' && !holdsDatabase(folder)) {
    if (ifMissing === 'refuse') throw new SettingsError(`There is no store in ${folder}.`);
    return { ...about, store: openMemory(), warnings: [] };
  }
  const store = await openEmbedded({ folder });
  const network = networkFileSystemOf(folder);
  const host = warningOfHost(realpathSync(folder));
  const warnings = [
    ...(host === undefined ? [] : [host]),
    ...(network === undefined
      ? []
      : [`${folder} is on ${network}, a network file system: chats may be lost or damaged. Use a local disk.`]),
    ...(isOpenToOthers(folder)
      ? [`Other users of this machine can read ${folder}, and its permissions cannot be changed: give the folder to the server's user.`]
      : []),
    ...(store.wasRestored ? ['The database is older than the one that was here before: clients are told that rooms were set back.'] : []),
  ];
  return { ...about, store, warnings };
}

/** Of `redis://host` it is `redis`; a path has none, `C:\data` neither. */
const schemeOf = (url: string): string | undefined =>
  /^(?:([a-z][a-z0-9+.-]*):\/\/|(file):)/i.exec(url)?.slice(1).find(Boolean)?.toLowerCase();

const isFolder = (url: string): boolean => [undefined, 'file'].includes(schemeOf(url));

const folderOf = (url: string): string => resolve(pathOf(url));

function realPathOf(url: string): string {
  try {
    return realpathSync(folderOf(url));
  } catch {
    return folderOf(url);
  }
}

function pathOf(url: string): string {
  if (schemeOf(url) !== 'file') return url;
  try {
    return url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length);
  } catch (error) {
    throw new SettingsError(`${url} names no folder: ${(error as Error).message}`);
  }
}
