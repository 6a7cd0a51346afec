/** Reads a Redis server's version and persistence settings, and derives operator warnings. */
import { StoreError } from '../contract.ts';
import type { RedisClient } from './redis-client.ts';
import type { ConnectOptions } from './redis-connection.ts';

/** The properties of a Redis; of several servers, the worst of each. */
export interface ServerInfo {
  kind: 'single' | 'cluster' | 'sentinel';
  version: string;
  servers: number;
  /** Connected replicas of the primary that has the fewest. */
  replicas: number;
  /** When the append-only file is synced; `off` without one. */
  appendfsync: 'always' | 'everysec' | 'no' | 'off' | 'unknown';
  /** Whether snapshots are taken; undefined if unknown. */
  snapshots: boolean | undefined;
  /** Bytes; 0 means no limit. */
  maxmemory: number;
  evictionPolicy: string;
}

/** From the least to the most durable. */
const FSYNC_BY_SAFETY = ['off', 'unknown', 'no', 'everysec', 'always'] as const;

export async function inspectServers(redis: RedisClient, { target }: ConnectOptions): Promise<ServerInfo> {
  const servers = await Promise.all(redis.addresses.map((address) => inspectServer(redis, address)));
  const [first] = servers;
  if (!first) throw new StoreError('failed', 'The Redis cluster has no servers.');
  if (!isAtLeast(first.version, 6, 2)) throw new StoreError('failed', `Redis ${first.version} is too old: it must be 6.2 or later.`);
  // A cluster URL may lead to a server that is not a cluster.
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

/** Sum of the memory of the primaries in bytes; 0 if unknown. */
export async function usedMemory(redis: RedisClient): Promise<number> {
  const infos = await Promise.all(redis.addresses.map(async (address) => redis.sendTo(address, ['INFO', 'memory'])));
  return infos.reduce<number>((sum, info) => sum + Number(parseInfo(String(info)).get('used_memory') ?? 0), 0);
}

/** Hosted Redis servers may not permit CONFIG. */
async function readConfig(redis: RedisClient, address: string, name: string): Promise<string[]> {
  return ((await redis.sendTo(address, ['CONFIG', 'GET', name]).catch(() => [])) ?? []) as string[];
}

const parseInfo = (info: string): Map<string, string> =>
  new Map(info.split(/\r?\n/).flatMap((line) => (line.includes(':') ? [line.split(/:(.*)/s, 2) as [string, string]] : [])));

/** A description for operators. */
export function describeServer({ kind, version, servers, appendfsync, snapshots, evictionPolicy }: ServerInfo): string {
  const persistence =
    appendfsync !== 'off' ? `append-only file, fsync ${appendfsync}` : snapshots === true ? 'snapshots only' : 'no persistence';
  return `Redis ${version}, ${kind === 'cluster' ? `cluster of ${servers}` : kind}, ${persistence}, ${evictionPolicy}`;
}

/** Warnings for operators about settings that may lose data. */
export function warningsOf({ kind, appendfsync, snapshots, replicas, maxmemory, evictionPolicy }: ServerInfo): string[] {
  const warnings: string[] = [];
  if (appendfsync === 'off' && snapshots !== true)
    warnings.push('Redis has no persistence: when it stops, all rooms are lost. Set "appendonly yes".');
  else if (appendfsync === 'off')
    warnings.push('Redis only takes snapshots: when it stops, all chats since the last one are lost. Set "appendonly yes".');
  if (appendfsync === 'no')
    warnings.push(
      'Redis lets the operating system decide when its file is written ("appendfsync no"): a power failure loses up to half a minute of chats.',
    );
  if (kind !== 'single' && replicas === 0) warnings.push('A Redis primary has no replica: when it stops, its rooms are not available.');
  if (maxmemory > 0 && evictionPolicy === 'noeviction')
    warnings.push(`Redis may use ${Math.round(maxmemory / 2 ** 20)} MiB; when they are full, chats are refused.`);
  return warnings;
}

/** Whether Redis would evict parts of logs when its memory is full. */
export const mayEvictKeys = ({ evictionPolicy }: ServerInfo): boolean => evictionPolicy !== 'noeviction' && evictionPolicy !== 'unknown';

export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [hasMajor = 0, hasMinor = 0] = version.split('.').map(Number);
  return hasMajor > major || (hasMajor === major && hasMinor >= minor);
}
