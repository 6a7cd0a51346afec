/** Fault tests: killed, redeployed and frozen servers. */
import { connect as connectTcp } from 'node:net';
import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { connect, startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newStore, newStoreLocation, openStoreAt, storeForAnotherServer } from '@engawa/testkit/stores';
import { expect, onTestFinished, test } from 'vitest';
import { createFreezable } from '../helpers/two-servers.ts';

test('F4: a server that is killed under load has everything that it acknowledged, once, and all clients reconnect and continue', async () => {
  const place = newStoreLocation();
  let server = await ServerProcess.start(place);
  const proxy = await startProxy(server);
  const group = await ActorGroup.startSmall(proxy.url);
  let cutShort = 0;
  for (let kills = 1; kills <= 3; kills += 1) {
    await group.checker.waitForAcknowledged(100);
    await server.kill();
    cutShort += group.checker.unansweredCount;
    server = await ServerProcess.start(place);
    proxy.retarget(server.port);
    await group.waitUntilReconnected(kills);
  }
  await group.checker.waitForAcknowledged(100);
  expect(cutShort, 'chats were on their way when the server was killed').toBeGreaterThan(0);
  for (const { recoveries } of group.socketIo) expect(recoveries).toBe(3);
  await group.expectConsistent(() => server.stop().then(() => openStoreAt(place)));
});

test('F19: a deploy loses nothing: every request is answered or repeated, and all clients learn when to reconnect', async () => {
  const place = newStoreLocation();
  let server = await ServerProcess.start(place);
  const proxy = await startProxy(server);
  const group = await ActorGroup.startSmall(proxy.url);
  const { checker, sdk, socketIo } = group;
  const bystanders = await Promise.all(Array.from({ length: 30 }, () => connect(server.url)));
  const reconnectAfterMs: number[] = [];
  for (const each of bystanders)
    each.on('server:closing', (notice: { reconnectAfterMs: number }) => reconnectAfterMs.push(notice.reconnectAfterMs));

  for (let deploys = 1; deploys <= 2; deploys += 1) {
    await checker.waitForAcknowledged(100);
    const ready = await halfAsked(server, '/ready');
    const stopping = server.stop();
    await until(() => socketIo.every(({ drops }) => drops === deploys), 'the server ended the connections');
    expect(await ready.finish(), 'no balancer sends clients here any more').toMatch(/^HTTP\/1.1 503 /);
    expect(await stopping).toBe(0);
    server = await ServerProcess.start(place);
    proxy.retarget(server.port);
    await group.waitUntilReconnected(deploys);
  }

  await checker.waitForAcknowledged(100);
  expect(reconnectAfterMs).toHaveLength(bystanders.length);
  expect(new Set(reconnectAfterMs).size, 'not all at once').toBeGreaterThan(1);
  for (const each of group.all) expect(each.reconnectDelays).toHaveLength(2);
  for (const { errors, drops } of sdk) expect({ errors, drops }).toEqual({ errors: [], drops: 2 });
  for (const { recoveries } of socketIo) expect(recoveries).toBe(2);
  await group.expectConsistent(() => server.stop().then(() => openStoreAt(place)));
});

/** A request without its end: its connection stays when a server stops accepting others. */
async function halfAsked({ port }: ServerProcess, path: string): Promise<{ finish: () => Promise<string> }> {
  const socket = connectTcp(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await new Promise<void>((resolve) => socket.write(`GET ${path} HTTP/1.1\r\nHost: engawa\r\n`, () => resolve()));
  const finish = () => {
    const answer = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(String(bytes))));
    socket.end('\r\n');
    return withTimeout(answer, `the answer to ${path}`);
  };
  return { finish };
}

test('F23: a server that was frozen, and lost its clients meanwhile, acknowledges and delivers nothing stale when it continues', async () => {
  const place = newStoreLocation();
  const server = await ServerProcess.start(place, { fastTimers: true });
  const proxy = await startProxy(server);
  const group = await ActorGroup.startSmall(proxy.url);
  const { checker, socketIo, all } = group;
  for (let freezes = 1; freezes <= 2; freezes += 1) {
    await checker.waitForAcknowledged(100);
    server.freeze();
    await until(() => all.every(({ drops }) => drops >= freezes), 'all noticed that it says nothing');
    expect(checker.unansweredCount, 'chats wait for an answer').toBeGreaterThan(0);
    server.thaw();
    await group.waitUntilReconnected(freezes);
  }
  await checker.waitForAcknowledged(100);
  for (const { recoveries, reconnects } of socketIo) expect(recoveries).toBe(reconnects);
  await group.expectConsistent(() => server.stop().then(() => openStoreAt(place)));
});

test('F23: a frozen server whose guests the others have removed detects it when it continues; all are members again, with all of their chats', async () => {
  const rooms = await newStore();
  const { store, freeze, thaw } = createFreezable(await storeForAnotherServer(rooms));
  const [zombie, other] = [
    await startServer({ store, graceMs: 600, rateLimits: 'off' }),
    await startServer({ store: rooms, graceMs: 600, rateLimits: 'off' }),
  ];
  const setup = new ConsistencyChecker();
  const people = [
    await setup.addSdkActor('aya', other.url),
    await setup.addSdkActor('ben', zombie.url),
    await setup.addSdkActor('chiyo', zombie.url),
  ];
  const hushes = people.map((person) => person.startSending());
  await setup.waitForAcknowledged(60);
  freeze();
  const isGone = async () => (await readEntries(rooms, ROOM)).filter(({ kind }) => kind === 'remove:member').length === 2;
  await until(isGone, 'its guests are let go');
  expect(setup.unansweredCount, 'they wait for an answer').toBeGreaterThanOrEqual(2);
  await setup.waitForAcknowledged(60);
  thaw();
  await until(() => people.every(({ isLive }) => isLive), 'all are here again');
  await setup.waitForAcknowledged(60);
  for (const hush of hushes) hush();
  await setup.expectConsistent(rooms);
  expect(
    people.map(({ drops }) => drops),
    'it was its store that it lost, not its clients',
  ).toEqual([0, 0, 0]);
});
