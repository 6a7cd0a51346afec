// Tests of `engawa serve` on Redis: messages, readiness and failures.

import { runEngawa } from '@engawa/testkit/processes/engawa-command';
import { connect, requestOk, until } from '@engawa/testkit/processes/server';
import type { RedisServer } from '@engawa/testkit/redis/redis-servers';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';

/** A Redis that is down: its port is unused. */
async function missing(): Promise<RedisServer> {
  const server = await newRedis();
  await server.shutdown();
  return server;
}

const urlIn = (screen: string): string => /http:\S+/.exec(screen)?.[0] ?? '';
const statusOf = async (url: string, path: string): Promise<number> => (await fetch(url + path)).status;

async function serveOn(url: string, ...args: string[]) {
  const server = runEngawa('serve', '--port', '0', '--redis-url', url, ...args);
  await until(() => server.screen().includes('stop '), `the server is up, which says: ${server.screen()}`);
  return { ...server, url: urlIn(server.screen()) };
}

test('the start message names the Redis without its password', async () => {
  const { port } = await newRedis({ config: { requirepass: 'secret' } });
  const { screen } = await serveOn(`redis://:secret@127.0.0.1:${port}`);
  expect(screen()).toContain(`data    redis://127.0.0.1:${port} (Redis 7`);
  expect(screen()).toContain('single, append-only file, fsync everysec, noeviction)');
  expect(screen()).not.toContain('secret');
});

test('a chat sent to one server is read on another', async () => {
  const { url } = await newRedis();
  const [one, other] = [await serveOn(url), await serveOn(url)];
  const [aya, ben] = [await connect(one.url), await connect(other.url)];
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
  await requestOk(ben, 'add:member', { roomId: 'veranda', username: 'ben' });
  const received = new Promise((resolve) => ben.once('create:chat:success', resolve));
  expect(await requestOk(aya, 'create:chat', { roomId: 'veranda', username: 'aya', message: 'hello' })).toMatchObject({
    durability: 'fast',
  });
  expect(await received).toMatchObject({ message: 'hello', by: 'aya' });
});

test('two servers with different prefixes are isolated', async () => {
  const { url } = await newRedis();
  const [one, other] = [await serveOn(url, '--redis-prefix', 'one'), await serveOn(`${url}/0?prefix=other`)];
  await requestOk(await connect(one.url), 'create:room', { roomId: 'veranda', username: 'aya' });
  expect((await requestOk(await connect(other.url), 'list:rooms', {})).rooms).toEqual([]);
});

test('without a reachable Redis the server waits: alive, and not ready', async () => {
  const down = await missing();
  const { screen, child } = runEngawa('serve', '--port', String(await freePort()), '--redis-url', down.url);
  await until(() => screen().includes('Trying again'), 'it says so');
  expect(screen()).toContain(`engawa: Redis at 127.0.0.1:${down.port} cannot be used`);
  const url = `http://localhost:${child.spawnargs[4]}`;
  expect([await statusOf(url, '/health'), await statusOf(url, '/ready')]).toEqual([200, 503]);
  await down.start();
  await until(async () => (await statusOf(url, '/ready').catch(() => 0)) === 200, 'it is ready', 20_000);
  await requestOk(await connect(url), 'create:room', { roomId: 'veranda', username: 'aya' });
});

test('a server that waits for Redis ends on a signal', async () => {
  const down = await missing();
  const { screen, child, exit } = runEngawa('serve', '--port', '0', '--redis-url', down.url);
  await until(() => screen().includes('Trying again'), 'it says so');
  child.kill('SIGTERM');
  expect(await exit()).toBe(0);
});

test('a lost Redis makes the server not ready and refuses writes, and it recovers when Redis is back', async () => {
  const server = await newRedis({ config: { appendfsync: 'always' } });
  const { url } = await serveOn(server.url);
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
  await server.kill();
  await until(async () => (await statusOf(url, '/ready')) === 503, 'it is not ready');
  expect(await statusOf(url, '/health')).toBe(200);
  await server.start();
  await until(async () => (await statusOf(url, '/ready')) === 200, 'it is ready', 20_000);
  const said = await requestOk(aya, 'create:chat', { roomId: 'veranda', username: 'aya', message: 'still here' });
  expect(said.seq).toBe(3);
});

test('a Redis that could lose rooms is refused or warned about', async () => {
  const evicting = await newRedis({ config: { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' } });
  const refused = runEngawa('serve', '--port', '0', '--redis-url', evicting.url);
  expect(await refused.exit()).toBe(1);
  expect(refused.screen()).toContain('maxmemory-policy allkeys-lru');
  expect((await serveOn(evicting.url, '--allow-eviction', 'yes')).screen()).toContain('allkeys-lru');
  const volatile = await newRedis({ config: { appendonly: 'no' } });
  const { screen } = await serveOn(volatile.url);
  await until(() => screen().includes('WARNING: Redis has no persistence'), 'it warns');
});

test('a durability level that Redis cannot provide is refused', async () => {
  const { url } = await newRedis();
  for (const [durability, why] of [
    ['replicated', 'no replica is connected'],
    ['fsync', 'appendfsync always'],
  ] as const) {
    const server = runEngawa('serve', '--port', '0', '--redis-url', url, '--durability', durability);
    expect(await server.exit()).toBe(1);
    expect(server.screen()).toContain(why);
  }
});

test.each([
  ['redis://', 'it must be like'],
  ['redis://a,b', 'several hosts'],
  ['redis+cluster://:secret@a:1,b:2/3', 'a cluster has only database 0'],
  ['redis://:secret@host:1234567', 'is not a host and port'],
  ['redis://host?prefix={x}', 'is not a valid prefix'],
  ['redis+other://host', 'it must be like'],
])('the URL %s is refused in one line, without its password', async (url, why) => {
  const server = runEngawa('serve', '--port', '0', '--redis-url', url);
  expect(await server.exit()).toBe(1);
  expect(server.screen()).toMatch(/^engawa: .*\n$/);
  expect(server.screen()).toContain(why);
  expect(server.screen()).not.toContain('secret');
});

async function freePort(): Promise<number> {
  return (await missing()).port;
}
