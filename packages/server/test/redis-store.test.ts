/** The conformance tests on real Redis of every kind, as a user with only the documented rights, and the keys that they leave. */
import { randomUUID } from 'node:crypto';
import { testStore } from '@engawa/store-conformance';
import { type RedisServer, startCluster, startRedis, startSentinel } from '@engawa/testkit/redis/redis-servers';
import { until } from '@engawa/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { KeyNames } from '#store/redis/key-names.js';
import { tags } from '#store/redis/partitions.js';
import { openRedis, type RedisStore } from '#store/redis/redis-store.js';
import { scripts } from '#store/redis/scripts.js';

/** The rights of docs/operations.md. */
const options = { users: ['user app on >secret ~engawa:* &engawa:* +@all -@dangerous +info'] };

interface Redis {
  url: string;
  /** The servers that accept writes. */
  servers: RedisServer[];
  close: () => Promise<void>;
}

const kinds: [string, start: () => Promise<Redis>][] = [
  [
    'a single Redis',
    async () => {
      const server = await startRedis(options);
      return { url: server.url, servers: [server], close: () => server.close() };
    },
  ],
  [
    'a cluster',
    async () => {
      const cluster = await startCluster({ ...options, nodeTimeout: 15_000 });
      return { url: cluster.url, servers: cluster.nodes.slice(0, 3), close: () => cluster.close() };
    },
  ],
  [
    'sentinels',
    async () => {
      // None of them may fail here, however slow the answer.
      const group = await startSentinel({ ...options, downAfter: 60_000 });
      return { url: group.url, servers: [await group.primary()], close: () => group.close() };
    },
  ],
];

const KINDS_OF_KEYS = ['room', 'log', 'listed', 'keys', 'order', 'marks', 'leases', 'tickets', 'endings', 'once-a', 'held', 'places'];
const GLOBAL_KINDS = ['rooms', 'nodes', 'due', 'leased', 'secret'];
/** Names with a special meaning in Redis. */
const HOSTILE = ['{}', '{a}', '}{', ':', '*', '?', '[a-z]', '\\', ' ', '\r\n', '"', '%', '$1', 'news:', '縁側'];

describe.each(kinds)('%s', (kind, start) => {
  let redis: Redis;
  const errors: unknown[] = [];
  const prefixes: string[] = [];
  beforeAll(async () => {
    redis = await start();
    for (const server of redis.servers) await server.runCommand('CONFIG', 'RESETSTAT');
  });
  afterAll(() => redis.close());

  const open = ({ clock }: { clock?: () => number } = {}) => {
    prefixes.push(`engawa:${randomUUID()}`);
    return openRedis({
      url: redis.url.replace('://', '://app:secret@'),
      prefix: prefixes.at(-1)!,
      onError: (error) => errors.push(error),
      ...(clock && { clock }),
    });
  };

  testStore({ open, test });

  test('no error was reported during the conformance tests', () => {
    expect(errors).toEqual([]);
  });

  describe('the state that the conformance tests left', () => {
    test('only commands of Redis 6.2 were used, and sharded channels in a cluster', async () => {
      const asked = new Set((await Promise.all(redis.servers.map(commandsOf))).flat());
      const newer: string[] = [];
      for (const command of asked) if (!(await isIn62(redis.servers[0]!, command))) newer.push(command);
      const isCluster = kind === 'a cluster';
      expect(newer.sort()).toEqual(isCluster ? ['spublish', 'ssubscribe', 'sunsubscribe'] : []);
      expect(asked.has('publish')).toBe(!isCluster);
      expect(asked.has('hello'), 'RESP3 is not spoken').toBe(false);
      expect(asked.size, 'they are counted').toBeGreaterThan(20);
    });

    test('all keys have the prefix and the tag of a partition', async () => {
      const keys = (await Promise.all(redis.servers.map(keysOf))).flat();
      const found = new Set<string>();
      for (const key of keys) {
        const [, tag = '', what = ''] = /^engawa:[0-9a-f-]{36}:\{([0-9a-z]+)\}:([a-z-]+)(?::|$)/.exec(key) ?? [];
        expect(tags, key).toContain(tag);
        found.add(what);
      }
      expect([...found].filter((what) => what !== 'once-b').sort()).toEqual([...KINDS_OF_KEYS, ...GLOBAL_KINDS].sort());
    });

    test('nodes that start together have the same secret', async () => {
      const stores = await openSeveral(redis.url.replace('://', '://app:secret@'), 3);
      const [first, ...others] = await Promise.all(stores.map((store) => store.secret()));
      expect(others).toEqual([first, first]);
    });

    test('all channels have them too, for any room id', async () => {
      const store = await open();
      onTestFinished(() => store.close());
      const received = { onAppend: () => undefined, onPublish: () => undefined, onGap: () => undefined };
      for (const room of HOSTILE) await store.subscribe(room, received);
      const channels = (await Promise.all(redis.servers.map(channelsOf))).flat().filter((channel) => channel.startsWith('engawa'));
      expect(channels).toHaveLength(HOSTILE.length);
      for (const channel of channels) expect(channel).toMatch(/^engawa:[0-9a-f-]{36}:\{[0-9a-z]+\}:news:/);
    });

    test('only our scripts are cached, so no script text varies', async () => {
      const shas = Object.values(scripts).map(({ sha }) => sha);
      for (const server of redis.servers) {
        const known = (await server.runRaw('SCRIPT', 'EXISTS', ...shas)) as string[];
        const [, count] = /number_of_cached_scripts:(\d+)/.exec(await server.runCommand('INFO', 'memory')) ?? [];
        expect(Number(count)).toBe(known.filter((each) => each === '1').length);
      }
      const [first] = redis.servers as [RedisServer];
      if (redis.servers.length === 1) expect(await first.runRaw('SCRIPT', 'EXISTS', ...shas)).toEqual(shas.map(() => '1'));
    });
  });

  test('rooms that are left in the same turn are unsubscribed together, and the others stay subscribed', async () => {
    const store = await open();
    onTestFinished(() => store.close());
    let gaps = 0;
    const received: unknown[] = [];
    const listener = { onAppend: () => undefined, onPublish: (message: unknown) => received.push(message), onGap: () => (gaps += 1) };
    await store.subscribe('stays', listener);
    const stops = await Promise.all(Array.from({ length: 50 }, (_, index) => store.subscribe(`room ${index}`, listener)));
    const before = (await Promise.all(redis.servers.map(channelsOf))).flat().length;
    for (const stop of stops) stop();
    await until(
      async () => (await Promise.all(redis.servers.map(channelsOf))).flat().length <= before - stops.length,
      'all are unsubscribed',
    );
    const another = await openRedis({ url: redis.url.replace('://', '://app:secret@'), prefix: prefixes.at(-1)! });
    onTestFinished(() => another.close());
    await another.publish('stays', 'still received');
    await until(() => received.length > 0, 'the message is received');
    expect([received, gaps, errors]).toEqual([['still received'], 0, []]);
  });
});

test('a node restores the secret that Redis lost with its memory', async () => {
  const server = await startRedis({ config: { appendonly: 'no', save: '""' } });
  onTestFinished(() => server.close());
  const prefix = 'engawa:lost';
  const [store] = await openSeveral(server.url, 1, prefix);
  const secret = await store!.secret();
  await server.kill();
  await server.start();
  await until(async () => (await keysOf(server)).includes(new KeyNames(prefix).globalKeys.secret), 'the secret is there');
  const [another] = await openSeveral(server.url, 1, prefix);
  expect(await another!.secret()).toBe(secret);
});

/** Stores of one prefix, which close with the test. */
async function openSeveral(url: string, count: number, prefix = `engawa:${randomUUID()}`): Promise<RedisStore[]> {
  const stores = await Promise.all(Array.from({ length: count }, () => openRedis({ url, prefix })));
  onTestFinished(async () => void (await Promise.all(stores.map((store) => store.close()))));
  return stores;
}

async function keysOf(server: RedisServer): Promise<string[]> {
  const keys: string[] = [];
  let cursor = '';
  while (cursor !== '0') {
    const [next, some] = (await server.runRaw('SCAN', cursor || '0', 'COUNT', 10_000)) as [string, string[]];
    keys.push(...some);
    cursor = next;
  }
  return keys;
}

async function channelsOf(server: RedisServer): Promise<string[]> {
  return [...((await server.runRaw('PUBSUB', 'CHANNELS')) as string[]), ...((await server.runRaw('PUBSUB', 'SHARDCHANNELS')) as string[])];
}

/** Commands that the server executed, by clients and by scripts. */
async function commandsOf(server: RedisServer): Promise<string[]> {
  return [...(await server.runCommand('INFO', 'commandstats')).matchAll(/^cmdstat_([^:]+):/gm)].map(([, command]) => String(command));
}

async function isIn62(server: RedisServer, command: string): Promise<boolean> {
  const [, docs] = (await server.runRaw('COMMAND', 'DOCS', command)) as [string, string[]];
  const [major = 0, minor = 0] = String(docs[docs.indexOf('since') + 1])
    .split('.')
    .map(Number);
  return major < 6 || (major === 6 && minor <= 2);
}
