/** A client in many rooms that missed more in each than fits into one answer. */
import { connect, type Room } from '@engawa/client';
import { LIMITS } from '@engawa/protocol';
import { startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { newStore } from '@engawa/testkit/stores';
import { expect, onTestFinished, test } from 'vitest';
import { memoryStorage } from './helpers/clients.ts';

const ROOMS = 20;
const MISSED = 30;
const LONG = '部'.repeat(LIMITS.textCodePoints);

test('a member of many rooms receives every missed entry once and in order, and keeps its place in each room', async () => {
  const store = await newStore();
  const { url } = await startServer({ store, rateLimits: 'off' });
  const storage = memoryStorage();
  const before = connect(url, { storage });
  onTestFinished(() => before.close());
  const names = Array.from({ length: ROOMS }, (_, number) => `room ${number}`);
  await Promise.all(names.map((name) => before.join(name, { username: 'aya', create: true })));
  await before.close();
  for (const name of names) {
    const { epoch } = await store.read(name, {});
    const drafts = Array.from({ length: MISSED }, (_, number) => ({
      ...{ id: `${name} ${number}`, by: 'ben', author: 'ben', kind: 'create:chat', body: { message: `${number} ${LONG.slice(10)}` } },
      listed: true,
    }));
    for (let at = 0; at < MISSED; at += 10) await store.append(name, { epoch, expectedVersions: [], drafts: drafts.slice(at, at + 10) });
  }

  const after = connect(url, { storage });
  onTestFinished(() => after.close());
  const received = new Map(names.map((name) => [name, [] as string[]]));
  const resets: string[] = [];
  const rooms: Room[] = await Promise.all(
    names.map(async (name) => {
      const room = await after.join(name, { username: 'aya' });
      room.on('chat', ({ message }) => void received.get(name)?.push(message?.split(' ', 1)[0] ?? ''));
      room.on('reset', () => void resets.push(name));
      return room;
    }),
  );
  await until(() => rooms.every(({ state }) => state === 'live'), 'all rooms are live', 30_000);
  expect(resets).toEqual([]);
  const numbers = Array.from({ length: MISSED }, (_, number) => String(number));
  for (const name of names) expect(received.get(name)).toEqual(numbers);
});

test('a member of 200 rooms, all with a new log, finishes its resume on a network of a megabyte a second', {
  timeout: 120_000,
}, async () => {
  const store = await newStore();
  const { url } = await startServer({ store, rateLimits: 'off' });
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const storage = memoryStorage();
  const before = connect(proxy.url, { storage });
  onTestFinished(() => before.close());
  const names = Array.from({ length: LIMITS.roomsPerResume }, (_, number) => `room ${number}`);
  await Promise.all(names.map((name) => before.join(name, { username: 'aya', create: true })));
  await before.close();
  const said = { by: 'ben', author: 'ben', kind: 'create:chat', body: { message: 'x'.repeat(1_000) }, listed: true };
  for (const name of names) {
    const { epoch } = await store.read(name, {});
    const drafts = Array.from({ length: LIMITS.pageDefault }, (_, number) => ({ ...said, id: `${name} ${number}` }));
    await store.append(name, { epoch, expectedVersions: [], drafts });
    await store.startNewEpoch(name, String(epoch));
  }

  proxy.throttle(1_000_000);
  const after = connect(proxy.url, { storage });
  onTestFinished(() => after.close());
  const states: string[] = [];
  after.on('state', (state) => states.push(state));
  const resets: string[] = [];
  const rooms = await Promise.all(
    names.map(async (name) => {
      const room = await after.join(name, { username: 'aya' });
      room.on('reset', () => void resets.push(name));
      return room;
    }),
  );
  await until(() => rooms.every(({ state }) => state === 'live'), 'all rooms are live', 60_000);
  expect(resets.sort()).toEqual([...names].sort());
  for (const { timeline } of rooms) expect(timeline.chats).toHaveLength(LIMITS.pageDefault);
  expect(states).toEqual(['online']);
});
