/** The Redis servers, clusters and sentinels that other tests start. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import {
  type ClusterNode,
  type RedisCluster,
  type RedisSentinel,
  type RedisServer,
  sendRedisCommand,
  startCluster,
  startRedis,
  startSentinel,
} from '@engawa/testkit/redis/redis-servers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

async function redis(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.close());
  return server;
}

describe('one server', () => {
  test('preserves what it wrote to the disk through a kill', async () => {
    const server = await redis({ config: { appendfsync: 'always' } });
    await server.runCommand('SET', 'word', 'kept');
    await server.kill();
    await expect(server.runCommand('GET', 'word')).rejects.toThrow('ECONNREFUSED');
    await server.start();
    expect(await server.runCommand('GET', 'word')).toBe('kept');
    await server.shutdown();
    await server.start();
    expect(await server.runCommand('GET', 'word')).toBe('kept');
  });

  test('answers nothing while it is stopped, and continues afterwards', async () => {
    const server = await redis();
    server.freeze();
    await expect(sendRedisCommand(server, ['PING'], 200)).rejects.toThrow('timed out after 200 ms');
    server.thaw();
    expect(await server.runCommand('PING')).toBe('PONG');
  });

  test('closing removes the server and its directory; closing twice is harmless', async () => {
    const server = await redis();
    await server.close();
    await server.close();
    expect(existsSync(server.dir)).toBe(false);
    await expect(server.runCommand('PING')).rejects.toThrow('ECONNREFUSED');
  });

  test('reports why it did not start', async () => {
    await expect(startRedis({ config: { maxmemory: 'plenty' } })).rejects.toThrow('argument must be a memory value');
  });

  test('with TLS accepts clients that trust its authority', async () => {
    const server = await redis({ tls: true });
    expect(new URL(server.url).protocol).toBe('rediss:');
    expect(await server.runCommand('PING')).toBe('PONG');
    await expect(sendRedisCommand({ url: server.url }, ['PING'])).rejects.toThrow('self-signed certificate');
    await expect(sendRedisCommand({ url: server.url.replace('rediss', 'redis') }, ['PING'])).rejects.toThrow();
  });

  test('needs a password, which its URL has', async () => {
    const server = await redis({ config: { requirepass: 'p@ss/word' } });
    expect(await server.runCommand('PING')).toBe('PONG');
    await expect(sendRedisCommand({ url: `redis://${server.address}` }, ['PING'])).rejects.toThrow('NOAUTH');
  });

  test('lets a user run the permitted commands only', async () => {
    const server = await redis({ users: ['user app on >secret ~engawa:* &engawa:* +@all -@dangerous'] });
    const app = { url: server.urlAs('app', 'secret') };
    expect(await sendRedisCommand(app, ['SET', 'engawa:a', 'b'])).toBe('OK');
    await expect(sendRedisCommand(app, ['SET', 'other', 'b'])).rejects.toThrow('NOPERM');
    await expect(sendRedisCommand(app, ['FLUSHALL'])).rejects.toThrow('NOPERM');
    await expect(sendRedisCommand({ url: server.urlAs('app', 'guessed') }, ['PING'])).rejects.toThrow('WRONGPASS');
  });
});

describe('a cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.close());

  test('has a primary for every slot, and a replica of each', async () => {
    expect(cluster.url).toBe(
      `redis+cluster://${cluster.nodes
        .slice(0, 3)
        .map(({ address }) => address)
        .join()}`,
    );
    expect(await cluster.nodes[0]!.runCommand('CLUSTER', 'INFO')).toContain('cluster_slots_ok:16384');
    const primaries = await Promise.all([0, 8000, 16_383].map((slot) => cluster.primaryOf(slot)));
    expect(primaries).toEqual(cluster.nodes.slice(0, 3));
    const replicas = await Promise.all(primaries.map((primary) => cluster.replicaOf(primary)));
    expect(replicas).toEqual(cluster.nodes.slice(3));
  });

  test('moves a slot while its keys are used', async () => {
    const tag = randomUUID();
    const slot = await cluster.slotOf(tag);
    const from = await cluster.primaryOf(slot);
    const to = cluster.nodes.slice(0, 3).find((node) => node !== from)!;
    await from.runCommand('MSET', `{${tag}}\n1`, 'a', `{${tag}}2`, 'b');
    const midway = async () => {
      const answers = [from.runCommand('GET', `{${tag}}\n1`), from.runCommand('GET', `{${tag}}2`)].map((get) => get.catch(String));
      expect((await Promise.all(answers)).filter((answer) => answer.includes(`ASK ${slot} ${to.address}`))).toHaveLength(1);
    };
    await cluster.moveSlot(slot, to, midway);
    expect(await to.runCommand('MGET', `{${tag}}\n1`, `{${tag}}2`)).toBe('a\nb');
    await expect(from.runCommand('GET', `{${tag}}2`)).rejects.toThrow(`MOVED ${slot} ${to.address}`);
    await cluster.waitUntilOk();
    expect(await cluster.primaryOf(slot)).toBe(to);
  });

  test('announces the address of a proxy to clients', async () => {
    const [node, other] = cluster.nodes as [ClusterNode, ClusterNode];
    const proxy = await startProxy({ port: node.port });
    const received = async () => (await other.runCommand('CLUSTER', 'SLOTS')).split('\n');
    await node.announce(proxy.port);
    await until(async () => (await received()).includes(String(proxy.port)), 'the port of the proxy is known');
    expect(await received()).not.toContain(String(node.port));
    expect(await sendRedisCommand({ url: proxy.url.replace('http', 'redis') }, ['CLUSTER', 'MYID'])).toBe(await node.id());

    await node.announce(0);
    await cluster.waitUntilOk();
    expect(await received()).toContain(String(node.port));
  });

  test.each([undefined, 'FORCE', 'TAKEOVER'] as const)('fails over in the requested way: %s', async (how) => {
    const primary = await cluster.primaryOf(0);
    const replica = await cluster.replicaOf(primary);
    await cluster.failover(replica, how);
    await cluster.waitUntilOk();
    expect(await cluster.primaryOf(0)).toBe(replica);
    expect(await cluster.replicaOf(replica)).toBe(primary);
  });

  test('replaces a primary that was killed, which then follows', async () => {
    const primary = await cluster.primaryOf(0);
    const replica = await cluster.replicaOf(primary);
    await primary.kill();
    await cluster.waitUntilOk();
    expect(await cluster.primaryOf(0)).toBe(replica);
    await primary.start();
    await cluster.waitUntilOk();
    expect(await cluster.replicaOf(replica)).toBe(primary);
  });
});

test('a cluster with TLS and a password moves keys too', async () => {
  const cluster = await startCluster({ replicas: 0, tls: true, config: { requirepass: 'secret' } });
  onTestFinished(() => cluster.close());
  expect(cluster.url).toMatch(/^rediss\+cluster:\/\/:secret@127/);
  const slot = await cluster.slotOf('word');
  const from = await cluster.primaryOf(slot);
  const to = cluster.nodes.find((node) => node !== from)!;
  await from.runCommand('SET', 'word', 'kept');
  await cluster.moveSlot(slot, to);
  expect(await to.runCommand('GET', 'word')).toBe('kept');
});

test('sentinels with TLS and a password know the primary too', async () => {
  const group = await startSentinel({ tls: true, config: { requirepass: 'secret' } });
  onTestFinished(() => group.close());
  expect(group.url).toMatch(/^rediss\+sentinel:\/\/:secret@127.*\/mymaster$/);
  expect(await (await group.primary()).runCommand('ROLE')).toContain('master');
});

describe('sentinels', () => {
  let group: RedisSentinel;
  beforeAll(async () => {
    group = await startSentinel();
  });
  afterAll(() => group.close());

  test('know the primary, and each other', async () => {
    expect(group.url).toBe(`redis+sentinel://${group.sentinels.map(({ address }) => address).join()}/mymaster`);
    expect(await group.primary()).toBe(group.servers[0]);
    expect(await group.sentinels[0]!.runCommand('SENTINEL', 'CKQUORUM', 'mymaster')).toContain('OK 3 usable Sentinels');
  });

  test('replace the primary on request', async () => {
    const before = await group.primary();
    await group.failover();
    await group.waitUntilOk();
    expect(await group.primary()).not.toBe(before);
  });

  test('replace a primary that was killed, which then follows', async () => {
    const before = await group.primary();
    await before.kill();
    await group.waitUntilOk();
    const primary = await group.primary();
    expect(primary).not.toBe(before);
    await before.start();
    await group.waitUntilOk();
    expect(await before.runCommand('ROLE')).toContain(`slave\n127.0.0.1\n${primary.port}`);
  });
});
