/** Nodes on one Redis that are killed, deployed, frozen, or asked for the same at the same moment. */
import type { Entry } from '@engawa/server';
import { ActorGroup } from '@engawa/testkit/actors/actor-group';
import { ROOM } from '@engawa/testkit/actors/chat-actors';
import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { readEntries } from '@engawa/testkit/checkers/recording';
import { connect, requestOk, sendRequest, until } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startBalancer } from '@engawa/testkit/proxies/balancer';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';
import { openRedisStore, startNode } from '../helpers/on-redis.ts';

const portsOf = (nodes: ServerProcess[]): number[] => nodes.map(({ port }) => port);

test('F2, F3: nodes that are killed under load lose nothing: their clients continue on another, and other clients notice nothing', async () => {
  const { url } = await newRedis();
  const nodes = await Promise.all([1, 2, 3].map(() => ServerProcess.start(url)));
  const balancer = await startBalancer(portsOf(nodes));
  const group = await ActorGroup.start([balancer.url]);
  const { checker, all, socketIo } = group;
  for (let kills = 1; kills <= 2; kills += 1) {
    await checker.waitForAcknowledged(200);
    const before = group.drops;
    await nodes.shift()?.kill();
    await until(() => group.drops >= before + all.length / 3, 'its clients dropped');
    await group.waitUntilAllAreLive();
    expect(group.drops - before, 'no client of a remaining node dropped').toBe(all.length / (4 - kills));
    balancer.ports = portsOf(nodes);
  }
  await checker.waitForAcknowledged(200);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(url));
  for (const { reconnects, recoveries } of socketIo) expect(recoveries).toBe(reconnects);
});

test('F19: a rolling deploy of three nodes under load, through a plain TCP balancer, loses and duplicates nothing', {
  timeout: 120_000,
}, async () => {
  const { url } = await newRedis();
  let nodes = await Promise.all([1, 2, 3].map(() => ServerProcess.start(url)));
  const balancer = await startBalancer(portsOf(nodes));
  const group = await ActorGroup.start([balancer.url]);
  const { checker, all, sdk, socketIo } = group;
  for (const old of nodes) {
    await checker.waitForAcknowledged(200);
    const next = await ServerProcess.start(url);
    nodes = [...nodes.filter((node) => node !== old), next];
    balancer.ports = portsOf(nodes);
    expect(await old.stop()).toBe(0);
    await group.waitUntilAllAreLive();
  }
  await checker.waitForAcknowledged(200);
  group.stopSending();
  await checker.expectConsistent(await openRedisStore(url));
  for (const { drops, reconnectDelays } of all) expect(drops, 'each learned when to reconnect').toBe(reconnectDelays.length);
  expect(group.drops).toBeGreaterThanOrEqual(all.length);
  for (const { errors, resets } of sdk) expect([errors, resets]).toEqual([[], []]);
  for (const { reconnects, recoveries } of socketIo) expect(recoveries).toBe(reconnects);
});

test('two nodes that are asked for the same name, or the same room, at the same moment, 1,000 times, give it to one client each time', async () => {
  const { url } = await newRedis();
  const [one, other] = [await startNode(url), await startNode(url)];
  const sockets = [await connect(one.url), await connect(other.url)];
  await requestOk(sockets[0]!, 'create:room', { roomId: ROOM, username: 'owner' });
  const winners = [0, 0];
  for (let turn = 0; turn < 1_000; turn += 1) {
    const username = `name ${turn}`;
    const isRoom = turn % 4 === 3;
    const asks = sockets.map((socket) =>
      isRoom
        ? sendRequest(socket, 'create:room', { roomId: username, username })
        : sendRequest(socket, 'add:member', { roomId: ROOM, username }),
    );
    const answers = await Promise.all(turn % 2 ? asks : asks.reverse());
    const refusals = answers.flatMap((answer) => (answer.ok ? [] : [answer.error.code]));
    expect(refusals).toEqual([isRoom ? 'room_exists' : 'name_taken']);
    const winner = answers.findIndex(({ ok }) => ok);
    winners[winner]! += 1;
    // A connection may use a hundred names in a room at most.
    const joined = turn % 2 ? winner : 1 - winner;
    if (!isRoom) await requestOk(sockets[joined]!, 'remove:member', { roomId: ROOM, username });
  }
  expect(Math.min(...winners), 'neither has it always').toBeGreaterThan(0);
  const log = await readEntries(await openRedisStore(url), ROOM);
  const names = log.filter(({ kind }) => kind === 'add:member').map(({ by }) => by);
  expect(names).toHaveLength(751);
  expect(new Set(names).size).toBe(751);
});

test('the guests of a killed node are removed by another one, once, and their names are free', async () => {
  const { url } = await newRedis();
  const graceMs = 1_200;
  const [killed, ...others] = await Promise.all([1, 2, 3].map(() => ServerProcess.start(url, { fastTimers: { graceMs, absenceMs: 0 } })));
  const [there, here] = [await connect(killed!.url), await connect(others[0]!.url)];
  await requestOk(here, 'create:room', { roomId: ROOM, username: 'owner' });
  const guests = Array.from({ length: 30 }, (_, number) => `guest ${number}`);
  for (const username of guests) await requestOk(there, 'add:member', { roomId: ROOM, username });
  const store = await openRedisStore(url);
  const gone = async () => (await readEntries(store, ROOM)).filter(({ kind }) => kind === 'remove:member');
  await killed!.kill();
  const since = performance.now();
  expect(await sendRequest(here, 'add:member', { roomId: ROOM, username: 'guest 7' })).toMatchObject({
    ok: false,
    error: { code: 'name_taken' },
  });
  await until(async () => (await gone()).length >= guests.length, 'their names are free');
  expect(performance.now() - since, 'not before the grace').toBeGreaterThan(graceMs * 0.8);
  const [elsewhere] = [await connect(others[1]!.url)];
  for (const username of guests) await requestOk(elsewhere, 'add:member', { roomId: ROOM, username });
  await until(async () => (await store.listExpiredLeases(100)).length === 0, 'nothing is left to be let go');
  expect((await gone()).map(({ by, body }: Entry) => [by, body?.reason])).toEqual(
    expect.arrayContaining(guests.map((username) => [username, 'timed_out'])),
  );
  expect(await gone()).toHaveLength(guests.length);
});

/** `FREEZE=60` freezes, for this many seconds, a server as operators run it; else it is one with short grace times. */
const freezeSeconds = Number(process.env.FREEZE || 0);

test('F23: a node that was frozen until its guests were removed, and a name was taken, acknowledges and delivers nothing stale', {
  timeout: freezeSeconds * 1_000 + 60_000,
}, async () => {
  const { url } = await newRedis();
  const options = freezeSeconds > 0 ? {} : { fastTimers: { graceMs: 1_500, absenceMs: 0, pingInterval: 1_000, pingTimeout: 1_000 } };
  const [zombie, other] = [await ServerProcess.start(url, options), await ServerProcess.start(url, options)];
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', other.url);
  const [ben, chiyo] = [await setup.addSdkActor('ben', zombie.url), await setup.addSdkActor('chiyo', zombie.url)];
  const dan = await setup.addSocketIoActor('dan', zombie.url);
  const hushes = [aya, ben, chiyo, dan].map((person) => person.startSending('', 20));
  await setup.waitForAcknowledged(60);

  zombie.freeze();
  const thawing = pause(freezeSeconds * 1_000);
  const store = await openRedisStore(url);
  const removals = async () => (await readEntries(store, ROOM)).filter(({ kind }) => kind === 'remove:member');
  await until(async () => (await removals()).length === 3, 'its guests are let go', 45_000);
  expect(setup.unansweredCount, 'they wait for an answer').toBeGreaterThanOrEqual(3);
  const thief = await connect(other.url);
  const taking = setup.clientLogOf('ben').recordRequest('add:member', { roomId: ROOM, username: 'ben' });
  setup.clientLogOf('ben').recordAnswer(taking, await requestOk(thief, 'add:member', { roomId: ROOM, username: 'ben' }));
  await setup.waitForAcknowledged(60);
  await thawing;
  zombie.thaw();

  await until(() => ben.room.state === 'ended' && chiyo.isLive && dan.isLive, 'they know where they are', 30_000);
  expect(ben.room.ending).toMatchObject({ reason: 'refused', error: { code: 'name_taken' } });
  await setup.waitForAcknowledged(60);
  for (const hush of hushes) hush();
  await setup.expectConsistent(store);
  expect((await removals()).map(({ by }) => by).toSorted()).toEqual(['ben', 'chiyo', 'dan']);
  expect(dan.recoveries).toBe(dan.reconnects);
});

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
