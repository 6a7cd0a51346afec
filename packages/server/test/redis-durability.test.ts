/** The durability of a Redis: its server info, warnings, and the waits before an acknowledgement. */
import { randomUUID } from 'node:crypto';
import type { AppendRequest, Store } from '@engawa/server';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { type RedisServer, startCluster, startRedis } from '@engawa/testkit/redis/redis-servers';
import { until } from '@engawa/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { resolveDurability } from '#store/redis/durability.js';
import { mayEvictKeys, openRedis, type RedisOptions, type RedisStore, warningsOf } from '#store/redis/redis-store.js';
import type { ServerInfo } from '#store/redis/server-info.js';

const room = 'veranda';

const say = (epoch: string | null, id: string): AppendRequest => ({
  epoch,
  expectedVersions: [],
  drafts: [{ id, by: 'aya', author: 'aya', kind: 'chat', body: { text: id } }],
  idempotencyKey: id,
});

async function open(options: RedisOptions): Promise<RedisStore> {
  const store = await openRedis({ prefix: randomUUID(), ...options });
  onTestFinished(() => store.close());
  return store;
}

async function newRedis(config: Record<string, string | number> = {}): Promise<RedisServer> {
  const server = await startRedis({ config });
  onTestFinished(() => server.close());
  return server;
}

async function opened(store: Store): Promise<string> {
  return ((await store.append(room, say(null, 'opens'))) as { epoch: string }).epoch;
}

/** A retry has another id, and the same text. */
const textsIn = async (store: Store) => (await readEntries(store, room)).slice(1).map(({ body }) => body?.text);

describe('the server info of a Redis', () => {
  const MEMORY = { maxmemory: '200mb', 'maxmemory-policy': 'allkeys-lru' };
  test.each<[string, config: Record<string, string>, found: Partial<ServerInfo>, warnings: string[]]>([
    ['keeps all', { appendfsync: 'always' }, { appendfsync: 'always', snapshots: false, evictionPolicy: 'noeviction' }, []],
    ['writes every second', {}, { appendfsync: 'everysec' }, []],
    ['lets the system write', { appendfsync: 'no' }, { appendfsync: 'no' }, ['half a minute']],
    ['only takes snapshots', { appendonly: 'no', save: '900 1' }, { appendfsync: 'off', snapshots: true }, ['snapshots']],
    ['keeps nothing', { appendonly: 'no' }, { appendfsync: 'off', snapshots: false }, ['no persistence']],
    ['has an end', { maxmemory: '200mb' }, { maxmemory: 200 * 2 ** 20, evictionPolicy: 'noeviction' }, ['200 MiB']],
    ['throws away', MEMORY, { evictionPolicy: 'allkeys-lru' }, []],
  ])('that %s', async (_, config, found, warnings) => {
    const { serverInfo } = await open({ url: (await newRedis(config)).url });
    expect(serverInfo).toMatchObject({
      kind: 'single',
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
      servers: 1,
      replicas: 0,
      ...found,
    });
    expect(warningsOf(serverInfo)).toEqual(warnings.map((warning) => expect.stringContaining(warning) as string));
    expect(mayEvictKeys(serverInfo)).toBe(config === MEMORY);
  });

  test('of a cluster is that of its weakest server', async () => {
    const cluster = await startCluster({ replicas: 0 });
    onTestFinished(() => cluster.close());
    await cluster.nodes[1]!.runCommand('CONFIG', 'SET', 'appendfsync', 'no');
    await cluster.nodes[2]!.runCommand('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
    const { serverInfo } = await open({ url: cluster.url });
    expect(serverInfo).toMatchObject({ kind: 'cluster', servers: 3, replicas: 0, appendfsync: 'no', evictionPolicy: 'volatile-ttl' });
    expect(mayEvictKeys(serverInfo)).toBe(true);
    expect(warningsOf(serverInfo)).toEqual([expect.stringContaining('half a minute'), expect.stringContaining('no replica')]);
    // A plain URL of one of its servers works, too; a cluster URL of a server without a cluster does not.
    expect((await open({ url: cluster.nodes[0]!.url })).serverInfo.kind).toBe('cluster');
    expect((await open({ url: (await newRedis()).url.replace('redis:', 'redis+cluster:') })).serverInfo.kind).toBe('single');
  });
});

describe('a level of durability', () => {
  const found: ServerInfo = {
    kind: 'single',
    version: '7.2.4',
    servers: 1,
    replicas: 1,
    appendfsync: 'everysec',
    snapshots: false,
    maxmemory: 0,
    evictionPolicy: 'noeviction',
  };

  test.each([
    ['fast', { appendfsync: 'off', replicas: 0, version: '6.2.0' }, undefined],
    ['replicated', {}, 'WAIT'],
    ['fsync', { version: '7.0.15', appendfsync: 'always' }, undefined],
    ['fsync', {}, 'WAITAOF'],
    ['fsync', { version: '8.0.0', appendfsync: 'no' }, 'WAITAOF'],
  ] as const)('%s is reached from %j by %s', (durability, more, command) => {
    expect(resolveDurability(durability, { ...found, ...more }).ackCommand?.[0]).toBe(command);
  });

  test.each([
    ['replicated', { replicas: 0 }, 'no replica is connected'],
    ['fsync', { version: '7.0.15' }, 'Redis 7.0.15 must be set to "appendfsync always"'],
    ['fsync', { version: '7.0.15', appendfsync: 'unknown' }, 'must be set to'],
    ['fsync', { appendfsync: 'off' }, 'it has no append-only file'],
  ] as const)('%s is not reached from %j', (durability, more, why) => {
    expect(() => resolveDurability(durability, { ...found, ...more })).toThrow(why);
  });

  test('that is not reached is refused when the store opens, and leaves nothing open', async () => {
    const server = await newRedis();
    for (const durability of ['replicated', 'fsync'] as const) {
      await expect(open({ url: server.url, durability })).rejects.toMatchObject({ name: 'StoreError', reason: 'failed' });
    }
    await until(
      async () => (await server.runCommand('INFO', 'clients')).includes('connected_clients:1\r'),
      'only the asking client is connected',
    );
  });

  test('fsync preserves acknowledged data through a kill', async () => {
    const server = await newRedis({ appendfsync: 'always' });
    const store = await open({ url: server.url, durability: 'fsync' });
    expect(store.durability).toBe('fsync');
    const epoch = await opened(store);
    const ids = Array.from({ length: 500 }, (_, index) => `${index}`);
    const acked: string[] = [];
    const asked = ids.map(async (id) => store.append(room, say(epoch, id)).then(() => acked.push(id)));
    await until(() => acked.length > 100, 'some are acknowledged');
    await server.kill();
    const before = [...acked];
    await server.start();
    await Promise.all(asked);
    expect((await textsIn(store)).slice(0, before.length)).toEqual(before);
    expect(await textsIn(store)).toEqual(ids);
  });
});

describe('replicated', () => {
  let primary: RedisServer;
  let replica: RedisServer;
  beforeAll(async () => {
    primary = await startRedis();
    replica = await startRedis({ config: { replicaof: `127.0.0.1 ${primary.port}` } });
    await until(async () => (await replica.runCommand('INFO', 'replication')).includes('master_link_status:up'), 'the replica follows');
  });
  afterAll(() => Promise.all([primary.close(), replica.close()]));

  test('acknowledged data is on the replica', async () => {
    const prefix = randomUUID();
    const store = await open({ url: primary.url, prefix, durability: 'replicated' });
    expect(store).toMatchObject({ durability: 'replicated', serverInfo: { replicas: 1 } });
    const epoch = await opened(store);
    for (let turn = 1; turn <= 100; turn += 1) {
      await store.append(room, say(epoch, `${turn}`));
      expect(await headOn(replica, prefix)).toBe(String(turn + 1));
    }
  });

  test('while the replica is silent an append with an idempotency key is retried, fails as outcome_unknown, and is stored once when repeated', {
    timeout: 60_000,
  }, async () => {
    const prefix = randomUUID();
    const store = await open({ url: primary.url, prefix, durability: 'replicated' });
    const other = await open({ url: primary.url, prefix, durability: 'replicated' });
    const received: string[] = [];
    const listener = { onAppend: ({ entries }: { entries: { id: string }[] }) => void received.push(...entries.map(({ id }) => id)) };
    await other.subscribe(room, { ...listener, onPublish: () => undefined, onGap: () => undefined });
    const epoch = await opened(store);
    await until(() => received.length === 1, 'the first is received');
    replica.freeze();
    const asked = ['a', 'b', 'c'].map(async (id) => store.append(room, say(epoch, id)));
    const { idempotencyKey: _, ...unnamed } = say(epoch, 'unnamed');
    await expect(store.append(room, unnamed)).rejects.toMatchObject({ reason: 'outcome_unknown' });
    expect(store.isWritable).toBe(false);
    for (const each of asked) await expect(each).rejects.toMatchObject({ name: 'StoreError', reason: 'outcome_unknown' });
    expect(received, 'no entry is broadcast that may be lost').toEqual(['opens']);

    replica.thaw();
    for (const id of ['a', 'b', 'c']) expect(await store.append(room, say(epoch, id))).toMatchObject({ outcome: 'repeated' });
    expect(store.isWritable).toBe(true);
    expect(await textsIn(store)).toEqual(['a', 'b', 'c', 'unnamed']);
    expect(await headOn(replica, prefix)).toBe('5');
  });
});

async function headOn(server: RedisServer, prefix: string): Promise<unknown> {
  const [, [key]] = (await server.runRaw('SCAN', 0, 'MATCH', `${prefix}:*:room:${room}`, 'COUNT', 100_000)) as [string, [string]];
  return server.runRaw('HGET', key, 'head');
}
