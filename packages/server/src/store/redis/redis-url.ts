import { StoreError } from '../contract.ts';

/** Where a Redis is, and how to be let in. */
export interface RedisTarget {
  kind: 'single' | 'cluster' | 'sentinel';
  tls: boolean;
  /** `host:port`: the server, or the servers or sentinels that are asked first where the others are. */
  seeds: string[];
  username?: string;
  password?: string;
  database?: number;
  /** What the sentinels call the primary. */
  primary?: string;
  /** Begins the name of every key and channel. */
  prefix?: string;
}

const URL_PARTS = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/?#@]+)(?:\/([^/?#]*))?(?:\?prefix=([^&#]*))?$/;

/**
 * `redis://[[user]:password@]host[:port][/database]`, `redis+cluster://…host[:port],host[:port]…`, and
 * `redis+sentinel://…host[:port],host[:port]…/name`; each with `rediss` for TLS, and with `?prefix=…` at the end. A plain
 * URL may lead to a cluster, too. What is wrong is said without the password.
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
  if (name === undefined || Number(portText) > 65_535) throw invalidUrl(`${JSON.stringify(host)} is no host and port`);
  return `${name}:${portText}`;
}

function parseDatabase(path: string, { kind }: RedisTarget): number {
  if (!/^\d{1,5}$/.test(path)) throw invalidUrl(`${JSON.stringify(path)} is no number of a database`);
  if (kind === 'cluster' && path !== '0') throw invalidUrl('a cluster has only database 0');
  return Number(path);
}

/** Braces would be taken for the tag of a partition. */
export function parsePrefix(text: string): string {
  if (!/^[\w.:-]{1,64}$/.test(text)) throw invalidUrl(`${JSON.stringify(text)} is no prefix; it is made of letters, digits and . : _ -`);
  return text;
}

const invalidUrl = (reason: string): StoreError => new StoreError('failed', `The Redis URL cannot be used: ${reason}.`);

export function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}
