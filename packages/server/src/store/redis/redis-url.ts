/** Parses Redis URLs. */
import { StoreError } from '../contract.ts';

/** The address and credentials of a Redis. */
export interface RedisTarget {
  kind: 'single' | 'cluster' | 'sentinel';
  tls: boolean;
  /** `host:port` of the server, or of the servers or sentinels that know the topology. */
  seeds: string[];
  username?: string;
  password?: string;
  database?: number;
  /** The name of the primary in the sentinels. */
  primary?: string;
  /** Prefix of all keys and channels. */
  prefix?: string;
}

const URL_PARTS = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?#@]+)(?:\/([^/?#]*))?(?:\?prefix=([^&#]*))?$/;

/**
 * Parses `redis://[[user]:password@]host[:port][/database]`, `redis+cluster://…host[:port],host[:port]…`, and
 * `redis+sentinel://…host[:port],host[:port]…/name`; each with `rediss` for TLS, and with an optional `?prefix=…`. A plain URL
 * may lead to a cluster, too. Error messages do not contain the password.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme, kind = 'single', username, password, hosts, path = '', prefix] = URL_PARTS.exec(url.trim()) ?? [];
  if (hosts === undefined)
    throw invalidUrl('it must be like redis://:password@host:6379, redis+cluster://host,host or redis+sentinel://host,host/name');
  const seeds = hosts.split(',').map((host) => parseAddress(host, kind === 'sentinel' ? 26_379 : 6379));
  const target: RedisTarget = { kind: kind as RedisTarget['kind'], tls: scheme === 'rediss', seeds };
  if (username) target.username = decodeURIComponent(username);
  if (password) target.password = decodeURIComponent(password);
  if (prefix) target.prefix = parsePrefix(decodeURIComponent(prefix));
  if (kind === 'single' && seeds.length > 1)
    throw invalidUrl('several hosts are a cluster (redis+cluster://) or sentinels (redis+sentinel://)');
  if (kind === 'sentinel') target.primary = path === '' ? 'mymaster' : decodeURIComponent(path);
  else if (path !== '') target.database = parseDatabase(path, target);
  return target;
}

function parseAddress(host: string, port: number): string {
  const [, name, portText = String(port)] = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(host.trim()) ?? [];
  if (name === undefined || Number(portText) > 65_535) throw invalidUrl(`${JSON.stringify(host)} is not a host and port`);
  return `${name}:${portText}`;
}

function parseDatabase(path: string, { kind }: RedisTarget): number {
  if (!/^\d{1,5}$/.test(path)) throw invalidUrl(`${JSON.stringify(path)} is not a database number`);
  if (kind === 'cluster' && path !== '0') throw invalidUrl('a cluster has only database 0');
  return Number(path);
}

/** Braces would change the hash tag of a partition. */
export function parsePrefix(text: string): string {
  if (!/^[\w.:-]{1,64}$/.test(text)) throw invalidUrl(`${JSON.stringify(text)} is not a valid prefix; use letters, digits and . : _ -`);
  return text;
}

const invalidUrl = (reason: string): StoreError => new StoreError('failed', `The Redis URL cannot be used: ${reason}.`);

export function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}
