/**
 * Clients, nodes, a store and their network in virtual time: everything but the sockets and the disk is real. `SEED=n` sets the
 * first seed, `SEEDS=n` their number.
 */
import type { TransportFactory } from '@engawa/client';
import type { AppendRequest, AppendResult, Store } from '@engawa/server';
import { seed as first } from '@engawa/testkit/seed';
import { expect, test } from 'vitest';
import { OutboxStore } from '#storage/outbox-store.js';
import { LogFollower } from '../../server/dist/rooms/log-follower.js';
import { type InjectedBug, simulate } from './simulation/simulation.ts';

const seeds = Number(process.env.SEEDS || 500);

test(`${seeds} simulations end consistent`, { timeout: seeds * 1_000 + 60_000 }, async () => {
  console.log(`simulation: ${seeds} seeds from SEED=${first}`);
  const started = performance.now();
  let [entries, drops] = [0, 0];
  for (let seed = first; seed < first + seeds; seed += 1) {
    const outcome = await simulate(seed);
    expect(outcome.faults, `SEED=${seed}`).toEqual([]);
    entries += outcome.entries;
    drops += outcome.drops;
  }
  console.log(`simulation: ${entries} entries, ${drops} drops in ${Math.round((performance.now() - started) / 1000)} s`);
  expect(drops, 'connections dropped').toBeGreaterThan(seeds);
});

test('the same seed gives the same run, and another seed another one', async () => {
  const [once, again, other] = [await simulate(first), await simulate(first), await simulate(first + 1)];
  expect(again.trace).toBe(once.trace);
  expect(other.trace).not.toBe(once.trace);
});

/** Bugs of a server or a client, and the message by which the simulation detects each. */
const plants: [mistake: string, plant: () => { plant: InjectedBug; remove?: () => void }, found: RegExp][] = [
  ['a gap is not filled', notFillingGaps, /is at \d+, the head is|is still joining|chats on their way/],
  ['an append is acknowledged before it is stored', () => ({ plant: { store: acknowledgingEarly } }), /was acknowledged/],
  [
    '`prev` is missing',
    () => ({ plant: { transport: forgettingPrev } }),
    /received \d+ (right after|with other content than stored)|is shown/,
  ],
  ['a page does not load the pending chats of another one', notLoading, /lost '/],
];

test.each(plants)('the simulation detects when %s', { timeout: 120_000 }, async (_, make, found) => {
  const { plant, remove } = make();
  try {
    const faults: string[] = [];
    for (let seed = first; faults.length === 0 && seed < first + 100; seed += 1) faults.push(...(await simulate(seed, plant)).faults);
    expect(faults.join('\n')).toMatch(found);
  } finally {
    remove?.();
  }
});

/** A node delivers the notifications of its subscription, and does not read the log for missing ones. */
function notFillingGaps() {
  const catchUp = Object.getOwnPropertyDescriptor(LogFollower.prototype, 'catchUp') as PropertyDescriptor;
  Object.defineProperty(LogFollower.prototype, 'catchUp', { ...catchUp, value: async () => undefined });
  return { plant: {}, remove: () => Object.defineProperty(LogFollower.prototype, 'catchUp', catchUp) };
}

function notLoading() {
  const load = Object.getOwnPropertyDescriptor(OutboxStore.prototype, 'load') as PropertyDescriptor;
  Object.defineProperty(OutboxStore.prototype, 'load', { ...load, value: async () => [] });
  return { plant: {}, remove: () => Object.defineProperty(OutboxStore.prototype, 'load', load) };
}

/** Acknowledges an append, and applies it a moment later if it still can be applied. */
function acknowledgingEarly(store: Store): void {
  const append = store.append.bind(store);
  store.append = async (room: string, asked: AppendRequest): Promise<AppendResult> => {
    const { epoch, head } = await store.read(room, {});
    if (epoch === null) return append(room, asked);
    setTimeout(() => void append(room, asked), 5);
    const entries = asked.drafts.map(({ id }, index) => ({ seq: head + 1 + index, id, at: Date.now() }));
    return { outcome: 'appended', epoch, entries };
  };
}

/** Every entry seems to follow the one that was received before it. */
function forgettingPrev(factory: TransportFactory): TransportFactory {
  const newest = new Map<string, string>();
  return (url, listeners) =>
    factory(url, {
      ...listeners,
      onEvent(event, payload) {
        const entry = payload as { roomId: string; id?: string; prev?: string | null };
        const prev = newest.get(entry.roomId);
        if (entry.prev === undefined || entry.id === undefined) return listeners.onEvent(event, payload);
        newest.set(entry.roomId, entry.id);
        return listeners.onEvent(event, prev === undefined ? payload : { ...entry, prev });
      },
    });
}
