/** Servers on one Redis, as platforms run them: replaced, killed, cut off, and several behind a load balancer. */
import { randomFrom } from '@engawa/client/testing';
import { RandomActorGroup } from '@engawa/testkit/actors/random-actor-group';
import { until, withTimeout } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { type FaultyProxy, startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { type RedisServer, startRedis } from '@engawa/testkit/redis/redis-servers';
import { expect, onTestFinished, test } from 'vitest';

/** They reconnect sooner than those of an application, to shorten the tests. */
const DELAYS = { firstMs: 100, lastMs: 1_000, openMs: 5_000 };
const TALK_MS = 1_000;
/** The time that Cloud Run gives an instance between SIGTERM and SIGKILL. */
const NOTICE_MS = 10_000;

test('an instance that is stopped while Redis does not answer, and killed ten seconds later, loses and duplicates nothing', {
  timeout: 120_000,
}, async () => {
  const { redis, proxy, group } = await setUp();
  const first = await start(redis);
  proxy.retarget(first.port);
  await talk(group);
  const second = await start(redis);
  redis.freeze();
  await pause(200);
  proxy.retarget(second.port);
  void first.server.stop();
  await pause(NOTICE_MS);
  await first.server.kill();
  redis.thaw();
  await talk(group);
  await endsWell('killed after its notice', { redis, group, servers: [second.server] });
});

test('a proxy that closes every connection at a certain age, as a request time-out does, loses and duplicates nothing', {
  timeout: 120_000,
}, async () => {
  const { redis, proxy, group } = await setUp();
  const { server, port } = await start(redis);
  proxy.cutAfter({ ageMs: 1_500 });
  proxy.retarget(port);
  // Some plain Socket.IO clients poll, with requests that are too short to be cut.
  await until(() => group.sdk.every(({ arrivals }) => arrivals >= 4), 'all were cut three times and reconnected', 60_000);
  proxy.cutAfter({});
  await endsWell('cut at an age', { redis, group, servers: [server] });
});

test('of two instances behind a load balancer one is replaced and the other killed: nothing is lost or duplicated', {
  timeout: 120_000,
}, async () => {
  const { redis, proxy, group } = await setUp({ isBalanced: true });
  const [one, two] = [await start(redis), await start(redis)];
  proxy.retarget(one.port, two.port);
  await talk(group);

  const three = await start(redis);
  proxy.retarget(two.port, three.port);
  expect(await one.server.stop()).toBe(0);
  await talk(group);

  // A load balancer detects it only after a while: until then every second connection fails.
  await two.server.kill();
  await pause(1_000);
  const four = await start(redis);
  proxy.retarget(three.port, four.port);
  await talk(group);
  await endsWell('balanced', { redis, group, servers: [three.server, four.server] });
});

interface Setup {
  redis: RedisServer;
  proxy: FaultyProxy;
  group: RandomActorGroup;
}

/** A group that sends chats as soon as there is a server behind the proxy. */
async function setUp({ isBalanced = false } = {}): Promise<Setup> {
  const redis = await startRedis();
  onTestFinished(() => redis.close());
  const proxy = await startProxy({ port: 1 });
  const group = new RandomActorGroup({
    url: proxy.url,
    roomIds: ['one', 'two', 'three'],
    sdk: 16,
    socketIo: 8,
    delays: DELAYS,
    random: randomFrom(1),
    isBalanced,
  });
  onTestFinished(() => group.close());
  return { redis, proxy, group };
}

async function start({ url }: RedisServer): Promise<{ server: ServerProcess; port: number }> {
  const server = new ServerProcess(url);
  onTestFinished(() => void server.stop());
  return { server, port: Number(new URL(await withTimeout(server.listening, 'a server to listen', 30_000)).port) };
}

async function talk({ actors }: RandomActorGroup): Promise<void> {
  await until(() => actors.every(({ isLive }) => isLive), 'all are there', 60_000);
  await pause(TALK_MS);
}

async function endsWell(what: string, { redis, group, servers }: Pick<Setup, 'redis' | 'group'> & { servers: ServerProcess[] }) {
  expect(await group.waitUntilConsistent()).toEqual([]);
  for (const server of servers) expect(await server.stop()).toBe(0);
  const account = await group.report(redis.url);
  const away = group.actors.flatMap((talker) => talker.downtimesMs).toSorted((some, other) => some - other);
  const [middle, most] = [away[Math.floor(away.length / 2)], away.at(-1)].map((time = 0) => Math.round(time));
  console.log(`${what}: away ${away.length} times, for ${middle} ms (median), ${most} ms at most`, account);
  expect(account.faults).toEqual([]);
  expect(group.socketIo.map(({ reconnections: { unknownClients } }) => unknownClients)).toEqual(group.socketIo.map(() => 0));
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
