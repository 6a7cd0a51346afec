/** Opens the store that a URL names: Redis or an embedded database. The only file that names an engine. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Settings, SettingsError } from './config/settings.ts';
import type { Store } from './store/contract.ts';
import { networkFileSystemOf } from './store/embedded/data-directory.ts';
import { openEmbedded } from './store/embedded/embedded-store.ts';
import { ephemeralDiskWarning } from './store/embedded/ephemeral-disk-warning.ts';
import { isAccessibleToOthers } from './store/embedded/file-permissions.ts';
import { hasDatabase } from './store/embedded/schema.ts';
import { openMemory } from './store/memory/memory-store.ts';
import type { RedisDurability } from './store/redis/redis-store.ts';

export { type EmbeddedStore, openEmbedded } from './store/embedded/embedded-store.ts';
export { type MemoryStore, openMemory } from './store/memory/memory-store.ts';

/** An open store, and facts that its operator needs. */
export interface OpenedStore {
  store: Store;
  /** Engine and location, for display: without the password. */
  name: string;
  /** The flags of `engawa serve` for this store. */
  flags: string;
  /** No other process can use the store. */
  isExclusive: boolean;
  warnings: string[];
}

export interface StoreOptions {
  /** If the folder does not exist: `empty` returns an empty store that stores nothing. */
  ifMissing?: 'create' | 'refuse' | 'empty';
  /** Prefix of all Redis keys. */
  prefix?: string;
  /** The durability of acknowledged writes in Redis. */
  durability?: RedisDurability;
  /** Redis may evict parts of logs when its memory is full. */
  allowEviction?: boolean;
  onError?: (error: unknown) => void;
}

/** The options of the store that these settings choose. */
export const storeOptionsFrom = ({ redisPrefix: prefix, durability, allowEviction }: Settings): StoreOptions => ({
  prefix,
  durability,
  allowEviction: allowEviction === 'yes',
});

/**
 * Opens the store at a URL: `redis:…` and similar, or a folder, as a path or `file:…`. Throws errors that an operator can fix.
 */
export async function openStore(url: string, { ifMissing = 'create', ...options }: StoreOptions = {}): Promise<OpenedStore> {
  const scheme = schemeOf(url);
  if (scheme?.startsWith('redis')) return openRedisStore(url, options);
  if (scheme !== undefined && scheme !== 'file')
    throw new SettingsError(`${scheme}: URLs are not supported; give a folder or a Redis URL.`);
  return openEmbeddedStore(folderFromUrl(url), ifMissing);
}

/** Whether both URLs name the same store. It need not exist. */
export const isSameStore = (first: string, second: string): boolean =>
  first === second || (isFolderUrl(first) && isFolderUrl(second) && realPathOf(first) === realPathOf(second));

/** The Redis client is imported only if it is needed. */
async function openRedisStore(url: string, { allowEviction = false, ...options }: StoreOptions): Promise<OpenedStore> {
  const { describeServer, mayEvictKeys, openRedis, warningsOf } = await import('./store/redis/redis-store.ts');
  const store = await openRedis({ url, ...options });
  if (mayEvictKeys(store.serverInfo) && !allowEviction) {
    await store.close();
    throw new SettingsError(
      `Redis would evict parts of rooms when its memory is full (maxmemory-policy ${store.serverInfo.evictionPolicy}). Set it to "noeviction", or use --allow-eviction yes.`,
    );
  }
  const name = url.replace(/\/\/[^@/]*@/, '//');
  return {
    store,
    name: `${name} (${describeServer(store.serverInfo)})`,
    flags: `--redis-url ${name}`,
    isExclusive: false,
    warnings: warningsOf(store.serverInfo),
  };
}

async function openEmbeddedStore(folder: string, ifMissing: NonNullable<StoreOptions['ifMissing']>): Promise<OpenedStore> {
  const description = { name: `${folder} (embedded store)`, flags: `--data-dir ${folder}`, isExclusive: true };
  if (ifMissing !== 'create' && !hasDatabase(folder)) {
    if (ifMissing === 'refuse') throw new SettingsError(`There is no store in ${folder}.`);
    return { ...description, store: openMemory(), warnings: [] };
  }
  const store = await openEmbedded({ folder });
  const networkFileSystem = networkFileSystemOf(folder);
  const diskWarning = ephemeralDiskWarning(realpathSync(folder));
  const warnings = [
    ...(diskWarning === undefined ? [] : [diskWarning]),
    ...(networkFileSystem === undefined
      ? []
      : [`${folder} is on ${networkFileSystem}, a network file system: chats may be lost or damaged. Use a local disk.`]),
    ...(isAccessibleToOthers(folder)
      ? [`Other users of this machine can read ${folder}, and its permissions cannot be changed: give the folder to the server's user.`]
      : []),
    ...(store.wasRestored ? ['The database is older than the one that was here before: clients are notified that rooms were reset.'] : []),
  ];
  return { ...description, store, warnings };
}

/** The scheme of a URL: `redis` for `redis://host`. A path has none, and neither has `C:\data`. */
const schemeOf = (url: string): string | undefined =>
  /^(?:([a-z][a-z0-9+.-]*):\/\/|(file):)/i.exec(url)?.slice(1).find(Boolean)?.toLowerCase();

const isFolderUrl = (url: string): boolean => [undefined, 'file'].includes(schemeOf(url));

const folderFromUrl = (url: string): string => resolve(pathFromUrl(url));

function realPathOf(url: string): string {
  try {
    return realpathSync(folderFromUrl(url));
  } catch {
    return folderFromUrl(url);
  }
}

function pathFromUrl(url: string): string {
  if (schemeOf(url) !== 'file') return url;
  try {
    return url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length);
  } catch (error) {
    throw new SettingsError(`${url} is not a folder: ${(error as Error).message}`);
  }
}
