/** Access to Redis: passwords, rights, TLS; and the messages about a Redis that cannot be used. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type RedisServer, startCluster, startRedis, startSentinel } from '@engawa/testkit/redis/redis-servers';
import { withTimeout } from '@engawa/testkit/wait-for';
import { expect, onTestFinished, test } from 'vitest';
import { openRedis, type RedisOptions } from '#store/redis/redis-store.js';

const OPENINGS = fileURLToPath(new URL('./helpers/open-redis-repeatedly.js', import.meta.url));

/** Each user lacks a right that is easily forgotten. */
const rights = '~engawa:* &engawa:* +@all -@dangerous +info';
const users = [
  `user deaf on >secret ${rights.replace('&engawa:*', 'resetchannels')}`,
  `user elsewhere on >secret ${rights.replace('~engawa', '~other')}`,
  `user mute on >secret ${rights} -@scripting`,
  `user blind on >secret ${rights} -info`,
];

async function newRedis(options: Parameters<typeof startRedis>[0]): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.close());
  return server;
}

async function listening(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

type Opening = { outcome: string; kind: string } | { name: string; reason: string; message: string };

/** In a separate process, which must end by itself. */
async function openings(all: RedisOptions[], env: NodeJS.ProcessEnv = {}): Promise<Opening[]> {
  const args = [OPENINGS, ...all.map((options) => JSON.stringify(options))];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [said, complaints] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (said += String(text)));
  child.stderr.on('data', (text: Buffer) => (complaints += String(text)));
  const [code] = (await withTimeout(once(child, 'exit'), 'the process to end by itself', 60_000)) as [number];
  expect({ code, complaints }).toEqual({ code: 0, complaints: '' });
  return said
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Opening);
}

const opened = (kind: string): Opening => ({ outcome: 'appended', kind });

test('user and password are those of the URL, for any characters', async () => {
  const password = 'p@ss/w:ö#rd?%';
  const server = await newRedis({ config: { requirepass: password }, users: [`user aya/1 on >${password} ~* &* +@all`] });
  expect(
    await openings([
      { url: server.url, prefix: 'a' },
      { url: server.urlAs('aya/1', password), prefix: 'b' },
    ]),
  ).toEqual([opened('single'), opened('single')]);
});

test('TLS trusts the authority that was configured, or that Node was given', async () => {
  const [server, cluster, group] = await Promise.all([
    startRedis({ tls: true }),
    startCluster({ tls: true, replicas: 0, config: { requirepass: 'secret' } }),
    startSentinel({ tls: true, replicas: 1, sentinels: 1, config: { requirepass: 'secret' } }),
  ]);
  for (const each of [server, cluster, group]) onTestFinished(() => each.close());
  const ca = readFileSync(server.ca!, 'utf8');
  const untrusted = { name: 'StoreError', reason: 'failed', message: expect.stringContaining('self-signed certificate') as string };
  expect(await openings([{ url: server.url, ca, prefix: 'a' }, { url: server.url }])).toEqual([opened('single'), untrusted]);
  expect(await openings([{ url: server.url, prefix: 'b' }], { NODE_EXTRA_CA_CERTS: server.ca })).toEqual([opened('single')]);
  expect(await openings([{ url: cluster.url }], { NODE_EXTRA_CA_CERTS: cluster.nodes[0]!.ca })).toEqual([opened('cluster')]);
  expect(await openings([{ url: group.url }], { NODE_EXTRA_CA_CERTS: group.servers[0]!.ca })).toEqual([opened('sentinel')]);
});

test('an unusable connection is reported in one sentence without a password, and leaves nothing open', { timeout: 60_000 }, async () => {
  const server = await newRedis({ config: { requirepass: 'secret' }, users });
  const old = await listening(createServer((socket) => throughTime(socket, server.port)));
  const web = await listening(createHttpServer((_, response) => response.end('hello')));
  const mute = await listening(createServer(() => undefined));
  const down = await newRedis({});
  await down.shutdown();
  const at = (port: number) => `redis://:secret@127.0.0.1:${port}`;
  const cases: [url: string, reason: string, message: string][] = [
    [server.urlAs('', 'secret1'), 'failed', 'WRONGPASS'],
    [server.urlAs('nobody', 'secret'), 'failed', 'WRONGPASS'],
    [`redis://${server.address}`, 'failed', 'NOAUTH'],
    [server.urlAs('deaf', 'secret'), 'failed', 'channels'],
    [server.urlAs('elsewhere', 'secret'), 'failed', 'keys'],
    [server.urlAs('mute', 'secret'), 'failed', 'evalsha'],
    [server.urlAs('blind', 'secret'), 'failed', 'info'],
    [`${server.url}/99`, 'failed', 'DB index is out of range'],
    [`redis+sentinel://:secret@${server.address}`, 'failed', 'SENTINEL'],
    [at(old), 'failed', 'Redis 6.0.99 is too old: it must be 6.2 or later'],
    [at(web), 'failed', 'RESP'],
    [at(mute), 'busy', 'It does not reply'],
    [at(down.port), 'busy', 'ECONNREFUSED'],
    ['redis://:secret@nowhere.invalid', 'busy', 'nowhere.invalid'],
    [`rediss://:secret@${server.address}`, 'busy', 'It does not reply'],
  ];
  const outcomes = await openings(cases.map(([url]) => ({ url })));
  expect(outcomes).toEqual(
    cases.map(([, reason, message]) => ({ name: 'StoreError', reason, message: expect.stringContaining(message) as string })),
  );
  expect(JSON.stringify(outcomes)).not.toContain('secret');
});

/** A Redis of an old version. */
function throughTime(socket: Socket, port: number): void {
  const redis = createConnection(port, '127.0.0.1');
  socket.pipe(redis);
  redis.on('data', (bytes) => socket.write(bytes.toString('latin1').replace(/(redis_version:)7\.0\.\d\d/g, '$16.0.99'), 'latin1'));
  for (const each of [socket, redis]) each.on('error', () => undefined).on('close', () => [socket, redis].map((end) => end.destroy()));
}

test('revoked rights make it fail, and restored rights let it continue', async () => {
  const server = await newRedis({ users: [`user app on >secret ${rights}`] });
  const store = await openRedis({ url: server.urlAs('app', 'secret') });
  onTestFinished(() => store.close());
  const say = (id: string) =>
    store.append(id, { epoch: null, expectedVersions: [], drafts: [{ id, by: 'aya', author: 'aya', kind: 'chat', body: {} }] });
  expect(await say('1')).toMatchObject({ outcome: 'appended' });
  await server.runCommand('ACL', 'SETUSER', 'app', '-evalsha');
  await expect(say('2')).rejects.toMatchObject({
    name: 'StoreError',
    reason: 'failed',
    message: expect.stringContaining('NOPERM') as string,
  });
  expect(store.isWritable).toBe(false);
  await server.runCommand('ACL', 'SETUSER', 'app', '+evalsha');
  expect(await say('2')).toMatchObject({ outcome: 'appended' });
  expect(store.isWritable).toBe(true);
});
