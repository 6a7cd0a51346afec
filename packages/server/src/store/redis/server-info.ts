import { StoreError } from '../contract.ts';
import type { RedisClient } from './redis-client.ts';
import type { ConnectOptions } from './redis-connection.ts';

/** What was found of a Redis; of several servers the worst. */
export interface ServerInfo {
  kind: 'single' | 'cluster' | 'sentinel';
  version: string;
  servers: number;
  /** Replicas that are connected to the primary that has least of them. */
  replicas: number;
  /** When the append-only file is synced; `off` without one. */
  appendfsync: 'always' | 'everysec' | 'no' | 'off' | 'unknown';
  /** Whether snapshots are taken; undefined when it does not say. */
  snapshots: boolean | undefined;
  /** Bytes; 0 for as much as there is. */
  maxmemory: number;
  evictionPolicy: string;
}

/** Lower numbers are the worse. */
const FSYNC_BY_SAFETY = ['off', 'unknown', 'no', 'everysec', 'always'] as const;

export async function inspectServers(redis: RedisClient, { target }: ConnectOptions): Promise<ServerInfo> {
  const servers = await Promise.all(redis.addresses.map((address) => inspectServer(redis, address)));
  const [first] = servers;
  if (!first) throw new StoreError('failed', 'The Redis cluster has no servers.');
  if (!isAtLeast(first.version, 6, 2)) throw new StoreError('failed', `Redis ${first.version} is too old: it must be 6.2 or later.`);
  // A URL of a cluster may lead to a server that is none.
  const kind = redis.isCluster ? 'cluster' : target.kind === 'sentinel' ? 'sentinel' : 'single';
  return {
    ...first,
    kind,
    servers: servers.length,
    replicas: Math.min(...servers.map(({ replicas }) => replicas)),
    appendfsync: FSYNC_BY_SAFETY[Math.min(...servers.map(({ appendfsync }) => FSYNC_BY_SAFETY.indexOf(appendfsync)))] ?? 'unknown',
    evictionPolicy: servers.find(({ evictionPolicy }) => evictionPolicy !== 'noeviction')?.evictionPolicy ?? 'noeviction',
  };
}

async function inspectServer(redis: RedisClient, address: string): Promise<Omit<ServerInfo, 'kind' | 'servers'>> {
  const info = parseInfo(String(await redis.sendTo(address, ['INFO'])));
  const hasAof = info.get('aof_enabled') === '1';
  const [, save] = await readConfig(redis, address, 'save');
  const [, appendfsync = 'unknown'] = hasAof ? await readConfig(redis, address, 'appendfsync') : ['', 'off'];
  return {
    version: info.get('redis_version') ?? '0',
    replicas: Number(info.get('connected_slaves') ?? 0),
    appendfsync: appendfsync as ServerInfo['appendfsync'],
    snapshots: save === undefined ? undefined : save !== '',
    maxmemory: Number(info.get('maxmemory') ?? 0),
    evictionPolicy: info.get('maxmemory_policy') ?? 'unknown',
  };
}

/** Bytes that the primaries use together; 0 where they do not say. */
export async function usedMemory(redis: RedisClient): Promise<number> {
  const infos = await Promise.all(redis.addresses.map(async (address) => redis.sendTo(address, ['INFO', 'memory'])));
  return infos.reduce<number>((sum, info) => sum + Number(parseInfo(String(info)).get('used_memory') ?? 0), 0);
}

/** Who rents a Redis may not be allowed to ask. */
async function readConfig(redis: RedisClient, address: string, name: string): Promise<string[]> {
  return ((await redis.sendTo(address, ['CONFIG', 'GET', name]).catch(() => [])) ?? []) as string[];
}

const parseInfo = (info: string): Map<string, string> =>
  new Map(info.split(/\r?\n/).flatMap((line) => (line.includes(':') ? [line.split(/:(.*)/s, 2) as [string, string]] : [])));

/** In words for operators. */
export function describeServer({ kind, version, servers, appendfsync, snapshots, evictionPolicy }: ServerInfo): string {
  const persistence =
    appendfsync !== 'off' ? `append-only file, fsync ${appendfsync}` : snapshots === true ? 'snapshots only' : 'nothing on a disk';
  return `Redis ${version}, ${kind === 'cluster' ? `cluster of ${servers}` : kind}, ${persistence}, ${evictionPolicy}`;
}

/** What may lose data, in words for operators. */
export function warningsOf({ kind, appendfsync, snapshots, replicas, maxmemory, evictionPolicy }: ServerInfo): string[] {
  const warnings: string[] = [];
  if (appendfsync === 'off' && snapshots !== true)
    warnings.push('Redis keeps nothing on a disk: when it ends, all rooms are gone. Set "appendonly yes".');
  else if (appendfsync === 'off')
    warnings.push('Redis only takes snapshots: when it ends, what was said since the last one is gone. Set "appendonly yes".');
  if (appendfsync === 'no')
    warnings.push(
      'Redis leaves it to the system when its file is written ("appendfsync no"): a loss of power takes half a minute with it.',
    );
  if (kind !== 'single' && replicas === 0) warnings.push('Some Redis primary has no replica: when it ends, its rooms cannot be reached.');
  if (maxmemory > 0 && evictionPolicy === 'noeviction')
    warnings.push(`Redis may use ${Math.round(maxmemory / 2 ** 20)} MiB; when they are full, nothing more can be said.`);
  return warnings;
}

/** Redis would throw away parts of logs when its memory is full. */
export const mayEvictKeys = ({ evictionPolicy }: ServerInfo): boolean => evictionPolicy !== 'noeviction' && evictionPolicy !== 'unknown';

export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [hasMajor = 0, hasMinor = 0] = version.split('.').map(Number);
  return hasMajor > major || (hasMajor === major && hasMinor >= minor);
}
