import { StoreError } from '../store.ts';
import type { Dialling } from './connection.ts';
import type { Nodes } from './nodes.ts';

/** What was found of a Redis; of several servers the worst. */
export interface Findings {
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
  policy: string;
}

/** Lower numbers are the worse. */
const FSYNC = ['off', 'unknown', 'no', 'everysec', 'always'] as const;

export async function inspect(nodes: Nodes, { target }: Dialling): Promise<Findings> {
  const servers = await Promise.all(nodes.addresses.map((address) => inspectServer(nodes, address)));
  const [first] = servers;
  if (!first) throw new StoreError('failed', 'The Redis cluster has no servers.');
  if (!isAtLeast(first.version, 6, 2)) throw new StoreError('failed', `Redis ${first.version} is too old: it must be 6.2 or later.`);
  // A URL of a cluster may lead to a server that is none.
  const kind = nodes.isCluster ? 'cluster' : target.kind === 'sentinel' ? 'sentinel' : 'single';
  return {
    ...first,
    kind,
    servers: servers.length,
    replicas: Math.min(...servers.map(({ replicas }) => replicas)),
    appendfsync: FSYNC[Math.min(...servers.map(({ appendfsync }) => FSYNC.indexOf(appendfsync)))] ?? 'unknown',
    policy: servers.find(({ policy }) => policy !== 'noeviction')?.policy ?? 'noeviction',
  };
}

async function inspectServer(nodes: Nodes, address: string): Promise<Omit<Findings, 'kind' | 'servers'>> {
  const info = parse(String(await nodes.ask(address, ['INFO'])));
  const hasAof = info.get('aof_enabled') === '1';
  const [, save] = await config(nodes, address, 'save');
  const [, appendfsync = 'unknown'] = hasAof ? await config(nodes, address, 'appendfsync') : ['', 'off'];
  return {
    version: info.get('redis_version') ?? '0',
    replicas: Number(info.get('connected_slaves') ?? 0),
    appendfsync: appendfsync as Findings['appendfsync'],
    snapshots: save === undefined ? undefined : save !== '',
    maxmemory: Number(info.get('maxmemory') ?? 0),
    policy: info.get('maxmemory_policy') ?? 'unknown',
  };
}

/** Bytes that the primaries use together; 0 where they do not say. */
export async function usedMemory(nodes: Nodes): Promise<number> {
  const infos = await Promise.all(nodes.addresses.map(async (address) => nodes.ask(address, ['INFO', 'memory'])));
  return infos.reduce<number>((sum, info) => sum + Number(parse(String(info)).get('used_memory') ?? 0), 0);
}

/** Who rents a Redis may not be allowed to ask. */
async function config(nodes: Nodes, address: string, name: string): Promise<string[]> {
  return ((await nodes.ask(address, ['CONFIG', 'GET', name]).catch(() => [])) ?? []) as string[];
}

const parse = (info: string): Map<string, string> =>
  new Map(info.split(/\r?\n/).flatMap((line) => (line.includes(':') ? [line.split(/:(.*)/s, 2) as [string, string]] : [])));

/** In words for operators. */
export function describe({ kind, version, servers, appendfsync, snapshots, policy }: Findings): string {
  const persistence =
    appendfsync !== 'off' ? `append-only file, fsync ${appendfsync}` : snapshots === true ? 'snapshots only' : 'nothing on a disk';
  return `Redis ${version}, ${kind === 'cluster' ? `cluster of ${servers}` : kind}, ${persistence}, ${policy}`;
}

/** What may lose data, in words for operators. */
export function warningsOf({ kind, appendfsync, snapshots, replicas, maxmemory, policy }: Findings): string[] {
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
  if (maxmemory > 0 && policy === 'noeviction')
    warnings.push(`Redis may use ${Math.round(maxmemory / 2 ** 20)} MiB; when they are full, nothing more can be said.`);
  return warnings;
}

/** Redis would throw away parts of logs when its memory is full. */
export const evicts = ({ policy }: Findings): boolean => policy !== 'noeviction' && policy !== 'unknown';

export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [hasMajor = 0, hasMinor = 0] = version.split('.').map(Number);
  return hasMajor > major || (hasMajor === major && hasMinor >= minor);
}
