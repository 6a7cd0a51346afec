/** Idle servers in virtual time: the requests that they send to their store, and what they know of each other. */
import { type Client, connect, type Room } from '@engawa/client';
import { startTestServer } from '@engawa/client/testing';
import type { Json, Listener, Store } from '@engawa/server';
import { expect, onTestFinished, test } from 'vitest';
import { startVirtualTime, type VirtualTime } from './simulation/virtual-time.ts';

const MINUTE_MS = 60_000;

function start(nodes: number) {
  const time = startVirtualTime(Math.random);
  const server = startTestServer({ nodes });
  onTestFinished(async () => {
    await settled(server.close(), time);
    time.restore();
  });
  const clients = new Map<string, Client>();
  const enter = (username: string): Promise<Room> => {
    const client = connect('test:', { createTransport: server.createTransport });
    clients.set(username, client);
    return settled(client.join('veranda', { username, create: true }), time);
  };
  return { time, server, clients, enter };
}

async function settled<Result>(promise: Promise<Result>, time: VirtualTime): Promise<Result> {
  const done = { yet: false };
  promise.finally(() => (done.yet = true)).catch(() => undefined);
  while (!done.yet) await time.advance(10);
  return promise;
}

/** Counts the calls of each operation from now on. */
function counting(store: Store): Map<string, number> {
  const asked = new Map<string, number>();
  const operations = [
    'read',
    'append',
    'readPage',
    'publish',
    'heartbeat',
    'listExpiredLeases',
    'acquireLease',
    'releaseLease',
    'listTickets',
    'findByIdempotencyKey',
    'listKeys',
  ] as const;
  for (const name of operations) {
    const operation = store[name].bind(store) as (...args: unknown[]) => unknown;
    Object.assign(store, {
      [name]: (...args: unknown[]) => {
        asked.set(name, (asked.get(name) ?? 0) + 1);
        return operation(...args);
      },
    });
  }
  return asked;
}

test('a server without connections sends two requests a minute to its store', async () => {
  const { time, server } = start(1);
  const asked = counting(server.store);
  await time.advance(10 * MINUTE_MS);
  expect(Object.fromEntries(asked)).toEqual({ listExpiredLeases: 20 });
});

test('with members and no chats a server sends heartbeats, looks for expired leases, and checks each room once a minute', async () => {
  const { time, server, enter } = start(1);
  for (const name of ['aya', 'ben', 'chiyo']) await enter(name);
  await time.advance(5 * MINUTE_MS);
  const asked = counting(server.store);
  await time.advance(10 * MINUTE_MS);
  expect(Object.fromEntries(asked)).toEqual({ listExpiredLeases: 80, heartbeat: 80, readPage: 10, publish: 10 });
});

test('with chats a server compares a room with its log every five seconds again', async () => {
  const { time, server, enter } = start(1);
  const room = await enter('aya');
  await time.advance(5 * MINUTE_MS);
  const asked = counting(server.store);
  for (let times = 0; times < 60; times += 1) {
    void room.send('still here');
    await time.advance(1_000);
  }
  expect(asked.get('readPage')).toBeGreaterThanOrEqual(11);
});

test('entries that a dead subscription did not deliver are found after about as long as it was silent', async () => {
  const { time, server, enter } = start(2);
  const [subscribe, isDead] = [server.store.subscribe.bind(server.store), { yet: false }];
  Object.assign(server.store, {
    subscribe: (room: string, listener: Listener) =>
      subscribe(room, { ...bound(listener), onAppend: (received) => !isDead.yet && listener.onAppend(received) }),
  });
  const aya = await enter('aya');
  for (const silent of [10_000, 30_000, 10 * MINUTE_MS]) {
    isDead.yet = false;
    aya.send('received');
    await time.advance(silent);
    isDead.yet = true;
    const { seq } = await settled(appendAsServer(server.store), time);
    await time.advance(Math.min(silent, MINUTE_MS) + 6_000);
    expect(aya.position.seq).toBe(seq);
  }
});

const bound = (listener: Listener): Listener => ({
  onAppend: (received) => listener.onAppend(received),
  onPublish: (signal) => listener.onPublish(signal),
  onGap: () => listener.onGap(),
});

async function appendAsServer(store: Store): Promise<{ seq: number }> {
  const { epoch } = await store.read('veranda', {});
  const draft = {
    id: String(Math.random()),
    by: 'dan',
    author: 'x',
    kind: 'create:chat',
    body: { username: 'dan', message: '!' },
    listed: true,
  };
  const appended = await store.append('veranda', { epoch, expectedVersions: [], drafts: [draft] });
  if (appended.outcome !== 'appended') throw new Error(appended.outcome);
  return { seq: Number(appended.entries[0]?.seq) };
}

test('servers know the online members of the others: after hours without events, after a leave, and after a kill', async () => {
  const { time, server, enter } = start(2);
  const nodes = new Set<Json>();
  const announce = server.store.publish.bind(server.store);
  Object.assign(server.store, {
    publish: (room: string, said: { node: Json }) => {
      nodes.add(said.node);
      return announce(room, said);
    },
  });
  server.kill(0);
  const aya = await enter('aya');
  server.start();
  const others: Room[] = [];
  for (let number = 0; nodes.size < 2 || number < 5; number += 1) others.push(await enter(`member-${number}`));
  const online = async (): Promise<number> => {
    aya.setPresence('away');
    aya.setPresence('online');
    await time.advance(1_000);
    return aya.online;
  };
  await time.advance(2_000);
  expect(await online()).toBe(others.length + 1);
  await time.advance(3 * 60 * MINUTE_MS);
  expect(await online()).toBe(others.length + 1);
  await settled((others.pop() as Room).leave(), time);
  expect(await online()).toBe(others.length + 1);
  server.kill(0);
  // The clients reconnect to the other server, and are counted twice until the killed one is considered gone.
  await time.advance(80_000);
  expect(await online()).toBe(others.length + 1);
});

test.each([false, true])(
  'the members of a killed server expire after the grace and a heartbeat (with members on others: %s)',
  async (hasOthers) => {
    const { time, server, clients, enter } = start(2);
    server.kill(1);
    await enter('aya');
    server.start();
    server.kill(0);
    if (hasOthers) await enter('ben');
    void clients.get('aya')?.close();
    const lease = async () => (await settled(server.store.read('veranda', { keys: ['member/aya'] }), time)).keys.get('member/aya')?.lease;
    await time.advance(22_000);
    expect(await lease()).toBe('held');
    await time.advance(16_000 + (hasOthers ? 0 : 22_500));
    expect(await lease()).toBe('expired');
  },
);
