/** Fault tests: dropped connections, faulty networks and killed pages. */

import { ConsistencyChecker } from '@engawa/testkit/actors/consistency-checker';
import { startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newDurableStore } from '@engawa/testkit/stores';
import { expect, test } from 'vitest';
import { memoryStorage } from '../helpers/clients.ts';

const portOf = (url: string) => ({ port: Number(new URL(url).port) });
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const kinds = [
  ['with the SDK', 'addSdkActor'],
  ['with a plain Socket.IO client', 'addSocketIoActor'],
] as const;

test.each(kinds)('F1: a client that drops, %s, receives the missed entries once and in order, before newer ones', async (_, enter) => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', url);
  const ben = await setup[enter]('ben', proxy.url);
  for (let round = 1; round <= 3; round += 1) {
    await aya.sendChats(5);
    proxy.refuse(true);
    proxy.cut();
    await until(() => ben.drops === round, 'the client dropped');
    const received = ben.seqs.length;
    void ben.sendChats(3);
    await aya.sendChats(100);
    expect(ben.seqs, 'the client missed all of it').toHaveLength(received);
    const hush = aya.startSending();
    proxy.refuse(false);
    await until(() => ben.seqs.length > received + 100, 'the client receives the missed entries');
    hush();
  }
  expect(ben.drops).toBe(3);
  if ('recovered' in ben) expect(ben).toMatchObject({ returns: 3, recovered: 3 });
  await setup.expectConsistent(store);
});

test('F1: a client that drops again and again, at any moment, has the whole room in the end', async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const people = [
    await setup.addSdkActor('aya', url),
    await setup.addSdkActor('ben', proxy.url),
    await setup.addSocketIoActor('chiyo', proxy.url),
  ];
  const hushes = people.map((person) => person.startSending());
  proxy.flap(700);
  await until(() => people.slice(1).every(({ drops }) => drops >= 4), 'they dropped', 20_000);
  proxy.flap(0);
  for (const hush of hushes) hush();
  await setup.expectConsistent(store);
});

test('F30: a page that crashes before it has stored its position receives some entries again, misses none, and sends nothing twice', async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  const disk = memoryStorage();
  let isDying = false;
  const write = (key: string, value: string) => (isDying ? undefined : disk.setItem(key, value));
  const aya = await setup.addSdkActor('aya', url);
  const ben = await setup.addSdkActor('ben', proxy.url, { storage: { ...disk, setItem: write } });
  await aya.sendChats(20);
  await until(() => ben.seqs.length === 20, 'the client is notified');
  proxy.refuse(true);
  proxy.cut();
  await until(() => ben.drops === 1, 'the client dropped');
  const said = ben.sendChats(3);
  await until(() => Object.values(disk.items).some((stored) => stored.includes('ben 3')), 'the chats are stored');
  const { id } = ben.room.position;
  await until(() => Object.values(disk.items).some((stored) => stored.includes(String(id))), 'the position is stored');
  isDying = true;
  const written = ben.room.position.seq;
  proxy.refuse(false);
  await Promise.all([said, aya.sendChats(20)]);
  await until(() => ben.seqs.length >= 43, 'the client receives more');
  void ben.client.close();

  const again = await setup.addSdkActor('ben', proxy.url, { storage: disk });
  await setup.expectConsistent(store);
  const log = (await store.readPage('veranda', { limit: 500 })).entries;
  expect(again.seqs, 'from the stored position').toEqual(log.map(({ seq }) => seq).slice(written));
  expect(
    ben.seqs.filter((seq) => again.seqs.includes(seq)),
    'sent again',
  ).toHaveLength(23);
  expect(log.filter(({ by, kind }) => by === 'ben' && kind === 'create:chat')).toHaveLength(3);
});

test('F31: a network with delays and losses only takes longer', async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off' });
  const proxy = await startProxy(portOf(url));
  const setup = new ConsistencyChecker();
  proxy.delay(150, 30);
  proxy.stutter({ share: 0.05, ms: 400 });
  const people = [
    await setup.addSdkActor('aya', proxy.url),
    await setup.addSdkActor('ben', proxy.url),
    await setup.addSocketIoActor('chiyo', proxy.url),
  ];
  const began = performance.now();
  await Promise.all(people.map((person) => person.sendChats(5)));
  expect(performance.now() - began, 'five times there and back').toBeGreaterThan(5 * 300);
  await setup.expectConsistent(store);
});

test('F31: a connection that goes dead without a close is detected and replaced', async () => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off', pingInterval: 300, pingTimeout: 300 });
  const [wifi, mobile] = [await startProxy(portOf(url)), await startProxy(portOf(url))];
  // The client knows one address; its network decides what is behind it.
  const way = await startProxy(portOf(wifi.url));
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', url);
  const people = [await setup.addSdkActor('ben', way.url), await setup.addSocketIoActor('chiyo', way.url)];
  const hushes = [aya, ...people].map((person) => person.startSending());
  await setup.waitForAcknowledged(30);
  wifi.stall(true);
  way.retarget(portOf(mobile.url).port);
  expect(wifi.connections, 'no client was notified').toBe(2);
  await until(() => people.every(({ drops }) => drops === 1), 'they noticed');
  await until(() => mobile.connections === 2, 'they come the other way');
  await setup.waitForAcknowledged(30);
  // Packets in flight arrive after all.
  wifi.stall(false);
  await setup.waitForAcknowledged(30);
  for (const hush of hushes) hush();
  await setup.expectConsistent(store);
});

test.each([
  ['stay if the server pings more often', 150, 0],
  ['reconnect and miss nothing if it does not', 60_000, 1],
])('F32: clients behind a proxy that cuts silent connections %s', async (_, pingInterval, drops) => {
  const { url, store } = await startServer({ store: await newDurableStore(), rateLimits: 'off', pingInterval });
  const proxy = await startProxy(portOf(url));
  proxy.cutAfter({ idleMs: 500 });
  const setup = new ConsistencyChecker();
  const aya = await setup.addSdkActor('aya', url);
  const people = [await setup.addSdkActor('ben', proxy.url), await setup.addSocketIoActor('chiyo', proxy.url)];
  for (let round = 0; round < 3; round += 1) {
    await aya.sendChats(5);
    await pause(900);
  }
  for (const person of people) {
    if (drops === 0) expect(person.drops).toBe(0);
    else expect(person.drops, 'the proxy cut it').toBeGreaterThanOrEqual(drops);
  }
  proxy.cutAfter({});
  await setup.expectConsistent(store);
});
