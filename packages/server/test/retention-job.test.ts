/** When logs are trimmed, by several nodes at once, and the cost when there is nothing to do. */
import { randomUUID } from 'node:crypto';
import type { Retention } from '@engawa/protocol';
import { type Draft, type MemoryStore, openMemory, type Store, StoreError } from '@engawa/server';
import { withOverrides } from '@engawa/testkit/processes/server';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RetentionJob } from '#background/retention-job.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const keepers: RetentionJob[] = [];

beforeEach(
  () => void vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['setTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] }),
);
afterEach(async () => {
  await Promise.all(keepers.splice(0).map(closed));
  vi.useRealTimers();
});

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

/** A round may be running, which takes time. */
async function closed(keeper: RetentionJob): Promise<void> {
  const closing = keeper.close();
  await pass(HOUR);
  await closing;
}

/** The retention job of a node. */
function keep(store: Store, { bounds = {}, here = [] }: { bounds?: Retention; here?: string[] } = {}) {
  const errors: unknown[] = [];
  const keeper = new RetentionJob({
    store,
    bounds,
    lifetimes: { emptyMs: null, unvisitedMs: null },
    intervalMs: MINUTE,
    async readLocalRooms() {
      const pages = await Promise.all(here.map(async (room) => ({ room, ...(await original(store).readPage(room, { limit: 1 })) })));
      return pages.flatMap(({ room, epoch, head }) => (epoch === null ? [] : [{ room, epoch, head }]));
    },
    onError: (error) => void errors.push(error),
  });
  keepers.push(keeper);
  return { keeper, errors };
}

const originals = new WeakMap<Store, Store>();
const original = (store: Store): Store => originals.get(store) ?? store;

/** The store, with a record of its calls. */
function watched(store: MemoryStore): { store: Store; asked: string[] } {
  const asked: string[] = [];
  const note = (name: 'read' | 'readPage' | 'listRooms' | 'trim') => (room: never, ask: never) => {
    asked.push(name);
    return store[name](room, ask);
  };
  const noting = withOverrides(store, {
    read: note('read'),
    readPage: note('readPage'),
    listRooms: note('listRooms'),
    trim: note('trim'),
  } as Partial<Store>);
  originals.set(noting, store);
  return { store: noting, asked };
}

async function say(store: Store, room: string, count: number, draft: Partial<Draft> = {}): Promise<void> {
  const { epoch } = await store.read(room, {});
  const drafts = Array.from({ length: count }, () => ({
    id: randomUUID(),
    by: 'aya',
    author: 'aya',
    kind: 'create:chat',
    body: {},
    ...draft,
  }));
  expect((await store.append(room, { epoch, expectedVersions: [], drafts })).outcome).toBe('appended');
}

const wish = (store: Store, room: string, retention: Record<string, number>): Promise<void> =>
  say(store, room, 1, { keyUpdates: [['settings', { owner: 'aya', topic: '', retention }]] });

const sizeOf = async (store: Store, room: string): Promise<number> => {
  const { head, oldest } = await store.readPage(room, { limit: 1 });
  return head + 1 - oldest;
};

test('an occupied room is trimmed within two minutes, an empty one within ninety', async () => {
  const store = openMemory();
  keep(store, { bounds: { maxCount: 5 }, here: ['den'] });
  for (const room of ['den', 'attic']) await say(store, room, 20);
  await pass(2 * MINUTE);
  expect(await sizeOf(store, 'den')).toBe(5);
  for (const _ of [1, 2, 3]) {
    await pass(90 * MINUTE);
    expect(await sizeOf(store, 'attic')).toBe(5);
    await say(store, 'attic', 10);
  }
});

test('an entry is removed within ninety minutes after it became too old, without other events, and not before', async () => {
  const store = openMemory();
  keep(store, { bounds: { maxAge: 10 * DAY } });
  await say(store, 'den', 3);
  await pass(5 * DAY);
  await say(store, 'den', 2);
  await pass(5 * DAY - 1);
  expect(await sizeOf(store, 'den')).toBe(5);
  await pass(90 * MINUTE);
  expect(await sizeOf(store, 'den')).toBe(2);
  await pass(5 * DAY + 90 * MINUTE);
  expect(await sizeOf(store, 'den')).toBe(0);
});

test('ages follow the clock of the store, whatever the clock of the node', async () => {
  const store = openMemory({ clock: () => Date.now() - HOUR });
  keep(store, { bounds: { maxAge: HOUR }, here: ['den'] });
  await say(store, 'den', 3);
  await pass(HOUR - MINUTE);
  await say(store, 'den', 1);
  expect(await sizeOf(store, 'den')).toBe(4);
  await pass(3 * MINUTE);
  expect(await sizeOf(store, 'den')).toBe(1);
});

test('owner retention is applied without operator settings, and found after a restart', async () => {
  const store = openMemory();
  await wish(store, 'attic', { maxCount: 2 });
  await say(store, 'attic', 9);
  await say(store, 'free', 9);
  const first = keep(store);
  await pass(90 * MINUTE);
  expect([await sizeOf(store, 'attic'), await sizeOf(store, 'free')]).toEqual([2, 9]);
  await closed(first.keeper);
  await say(store, 'attic', 9);
  keep(store);
  await pass(90 * MINUTE);
  expect(await sizeOf(store, 'attic')).toBe(2);
});

test('a changed retention applies from the next check on', async () => {
  const store = openMemory();
  keep(store, { here: ['den'] });
  await say(store, 'den', 30);
  await pass(3 * MINUTE);
  expect(await sizeOf(store, 'den')).toBe(30);
  await wish(store, 'den', { maxCount: 10 });
  await pass(2 * MINUTE);
  expect(await sizeOf(store, 'den')).toBe(10);
  await wish(store, 'den', {});
  await say(store, 'den', 20);
  await pass(DAY);
  expect(await sizeOf(store, 'den')).toBe(10 + 1 + 20);
});

test('at rest it costs a list of rooms every hour or so, and a check of each every day; without limits a list a day', async () => {
  for (const [bounds, most] of [
    [
      { maxCount: 100, maxAge: 100 * DAY },
      { listRooms: 33, read: 4, readPage: 200 },
    ],
    [{}, { listRooms: 2, read: 4, readPage: 0 }],
  ] as [Retention, Record<string, number>][]) {
    const memory = openMemory();
    for (let index = 0; index < 90; index += 1) await say(memory, `room ${index}`, 5);
    const { store, asked } = watched(memory);
    const { keeper } = keep(store, { bounds, here: ['room 1', 'room 2'] });
    await pass(2 * HOUR);
    expect(asked).toContain('listRooms');
    asked.length = 0;
    await pass(DAY);
    const counts = Object.fromEntries(Object.keys(most).map((name) => [name, asked.filter((each) => each === name).length]));
    for (const [name, count] of Object.entries(counts)) expect(count, name).toBeLessThanOrEqual(Number(most[name]));
    expect(asked).not.toContain('trim');
    await closed(keeper);
  }
});

test('a busy room is checked once a minute', async () => {
  const { store, asked } = watched(openMemory());
  keep(store, { bounds: { maxCount: 1_000 }, here: ['den'] });
  for (let second = 0; second < 600; second += 1) {
    await say(original(store), 'den', 1);
    await pass(1_000);
  }
  expect(asked.filter((name) => name === 'readPage').length).toBeGreaterThanOrEqual(9);
  expect(asked.filter((name) => name === 'readPage').length).toBeLessThanOrEqual(11);
});

test('several nodes on one store trim the same rooms under writes, and nothing within the retention is removed', async () => {
  const store = openMemory();
  const rooms = ['one', 'two', 'three'];
  await wish(store, 'one', { maxCount: 7 });
  const slow = <Answer>(answer: Promise<Answer>): Promise<Answer> =>
    new Promise((resolve) => setTimeout(() => resolve(answer), Math.random() * 200));
  const nodes = [1, 2, 3].map(() => {
    const node = withOverrides(store, {
      read: (room, ask) => slow(store.read(room, ask)),
      readPage: (room, ask) => slow(store.readPage(room, ask)),
      trim: (room, to) => slow(store.trim(room, to)),
    });
    originals.set(node, store);
    return keep(node, { bounds: { maxCount: 12, maxBytes: 200 }, here: rooms });
  });
  for (let round = 0; round < 60; round += 1) {
    for (const room of rooms) await say(store, room, Math.ceil(Math.random() * 20));
    await pass(Math.random() * 90_000);
    for (const [room, least] of [
      ['one', 7],
      ['two', 12],
      ['three', 12],
    ] as const) {
      const { head } = await store.readPage(room, { limit: 1 });
      expect(await sizeOf(store, room)).toBeGreaterThanOrEqual(Math.min(head, least));
    }
  }
  await pass(3 * MINUTE);
  expect(await Promise.all(rooms.map((room) => sizeOf(store, room)))).toEqual([7, 12, 12]);
  expect(nodes.flatMap(({ errors }) => errors)).toEqual([]);
});

test('a node does not trim a room twice at once, however slow the store', async () => {
  const memory = openMemory();
  let atOnce = 0;
  let trims = 0;
  const store = withOverrides(memory, {
    async trim(room, to) {
      atOnce += 1;
      expect(atOnce).toBe(1);
      trims += 1;
      await new Promise((resolve) => setTimeout(resolve, 5 * MINUTE));
      atOnce -= 1;
      await memory.trim(room, to);
    },
  });
  originals.set(store, memory);
  keep(store, { bounds: { maxCount: 1 }, here: ['den', 'attic'] });
  for (let round = 0; round < 100; round += 1) {
    for (const room of ['den', 'attic']) await say(memory, room, 3);
    await pass(MINUTE);
  }
  expect(trims).toBeGreaterThan(10);
});

test('a log of any length is trimmed in portions, between which others run', async () => {
  const store = openMemory();
  const trimmed: [string, number][] = [];
  const noting = withOverrides(store, {
    trim: (room, to) => {
      trimmed.push([room, to.below]);
      return store.trim(room, to);
    },
  });
  originals.set(noting, store);
  keep(noting, { bounds: { maxCount: 10 }, here: ['long', 'short'] });
  await say(store, 'long', 23_000);
  await say(store, 'short', 20);
  await pass(2 * MINUTE);
  expect([await sizeOf(store, 'long'), await sizeOf(store, 'short')]).toEqual([10, 10]);
  const ofLong = trimmed.flatMap(([room, below]) => (room === 'long' ? [below] : []));
  expect(ofLong.length).toBeGreaterThan(2);
  for (const [index, below] of ofLong.entries()) expect(below - (ofLong[index - 1] ?? 1)).toBeLessThanOrEqual(5_000);
  expect(trimmed.findIndex(([room]) => room === 'short')).toBeLessThan(trimmed.length - 1);
});

test('a failure is logged, delays no other room, and is tried again', async () => {
  const memory = openMemory();
  let isBroken = true;
  const store = withOverrides(memory, {
    async trim(room, to) {
      if (isBroken && room === 'den') throw new StoreError('full', 'There is no space.');
      await memory.trim(room, to);
    },
  });
  originals.set(store, memory);
  const { errors } = keep(store, { bounds: { maxCount: 5 }, here: ['den', 'attic'] });
  for (const room of ['den', 'attic']) await say(memory, room, 20);
  await pass(2 * MINUTE);
  expect([await sizeOf(memory, 'den'), await sizeOf(memory, 'attic')]).toEqual([20, 5]);
  expect(errors.length).toBeGreaterThan(0);
  isBroken = false;
  await pass(MINUTE);
  expect(await sizeOf(memory, 'den')).toBe(5);
});

test('after close it does nothing, and its running work has ended', async () => {
  const memory = openMemory();
  let isAtIt = false;
  let trims = 0;
  const store = withOverrides(memory, {
    async trim(room, to) {
      isAtIt = true;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await memory.trim(room, to);
      isAtIt = false;
      trims += 1;
    },
  });
  originals.set(store, memory);
  const { keeper, errors } = keep(store, { bounds: { maxCount: 5 }, here: ['den', 'attic'] });
  for (const room of ['den', 'attic']) await say(memory, room, 20_000);
  await pass(MINUTE + 500);
  expect(isAtIt).toBe(true);
  const closing = keeper.close();
  await pass(1_000);
  await closing;
  expect([isAtIt, trims]).toEqual([false, 1]);
  await pass(DAY);
  expect(trims).toBe(1);
  expect(errors).toEqual([]);
});
