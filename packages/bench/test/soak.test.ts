// The soak test, short; and whether it finds what grows.
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { CHURN_ACTIONS } from '#soak/churn.js';
import { detectLeaks, type Sample } from '#soak/leak-check.js';
import { OrderChecker } from '#soak/order-check.js';
import { runSoak } from '#soak/soak.js';

const CYCLES = 6;
const MEBI = 2 ** 20;

test('a server does not grow with the number of connections it has served', { timeout: 180_000 }, async () => {
  const samples = await runSoak({ folder: tmpdir(), cycles: CYCLES, cycleMs: 800, onSample: () => undefined });
  expect(samples).toHaveLength(CYCLES);
  expect(samples.at(-1)!.visits).toBeGreaterThan(4 * CHURN_ACTIONS.length);
  expect(samples.at(-1)!.live.members).toBeGreaterThan(0);
  expect(samples.at(-1)!.listeners).toBeGreaterThan(0);
  expect(detectLeaks(samples)).toEqual([]);
});

const sample = (number: number, grown: Partial<Sample> = {}): Sample => ({
  at: number * 1_000,
  visits: number * 100,
  heap: 20 * MEBI,
  external: 2 * MEBI,
  resident: 100 * MEBI,
  resources: { Timeout: 20 },
  live: { sockets: 20 },
  listeners: 8,
  ...grown,
});
const samplesOf = (grown: (number: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 24 }, (_, number) => sample(number, grown(number)));

test('figures that are level, or grew at the beginning only, count as stable', () => {
  expect(detectLeaks(samplesOf(() => ({})))).toEqual([]);
  expect(detectLeaks(samplesOf((number) => ({ heap: (number < 8 ? 15 + number : 23) * MEBI })))).toEqual([]);
});

test.each<[string, (number: number) => Partial<Sample>]>([
  ['heap', (number) => ({ heap: (20 + number / 2) * MEBI })],
  ['external', (number) => ({ external: (2 + number / 2) * MEBI })],
  ['resident', (number) => ({ resident: (100 + 6 * number) * MEBI })],
  ['Timeout', (number) => ({ resources: { Timeout: 20 + number } })],
  ['FSReqCallback', (number) => ({ resources: { FSReqCallback: number } })],
  ['sockets', (number) => ({ live: { sockets: 20 + number } })],
  ['listeners', (number) => ({ listeners: 8 + number })],
])('%s that grows is detected', (name, grown) => {
  expect(detectLeaks(samplesOf(grown))).toEqual([expect.stringContaining(name)]);
});

test('too few samples are refused', () => {
  expect(() => detectLeaks([sample(0), sample(1), sample(2)])).toThrow('3 samples');
});

const packet = (id: string, prev: string | null, event = 'create:chat:success'): string =>
  `42${JSON.stringify([event, { id, prev, seq: 1 }, id])}`;

test('a missing entry and a repeated entry are faults', () => {
  const faultsOf = (...packets: string[]): number => {
    const check = new OrderChecker();
    for (const each of packets) check.check(each);
    return check.errors.length;
  };
  const signal = '42["start:typing:success",{"roomId":"a","username":"b"}]';
  expect(faultsOf(packet('b', 'a'), packet('c', 'b'), signal, packet('d', 'c'))).toBe(0);
  expect(faultsOf(packet('b', 'a'), packet('d', 'c'))).toBe(1);
  expect(faultsOf(packet('b', 'a'), packet('b', 'a'))).toBe(1);
  expect(faultsOf(packet('a', null), packet('c', null))).toBe(1);
});
