/** Where rooms are in a cluster: this is fixed as long as data exists, so nothing here may ever change. */
import { createHash } from 'node:crypto';
import { startRedis } from '@engawa/testkit/redis/redis-servers';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { PARTITIONS, partitionOf, slotOf, tags } from '#store/redis/partitions.js';

const SLOTS = 16_384;

test('there are 1,024 tags, all different, and they never change', () => {
  expect(PARTITIONS).toBe(1024);
  expect(new Set(tags).size).toBe(PARTITIONS);
  expect(tags.slice(0, 5)).toEqual(['fkt', '2s4', 'cv', '3gw', '7mm']);
  expect(createHash('sha256').update(tags.join()).digest('hex')).toBe('1a8ee696893f044ead0b1978ca705e78e7f2f8f36bdfe3c59d088c5f6764a316');
});

test('the partition of a room never changes', () => {
  const places = ['', 'veranda', '縁側', '{}:*?[', 'a'.repeat(1_000)].map(partitionOf);
  expect(places).toEqual([453, 294, 921, 111, 397]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 12, 100])('%i servers with equal slots have equal numbers of partitions, within one', (servers) => {
  const counts = Array.from({ length: servers }, () => 0);
  for (const tag of tags) counts[Math.floor((slotOf(tag) * servers) / SLOTS)]! += 1;
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

test('rooms spread evenly over partitions, also when their ids differ little', () => {
  const counts = Array.from({ length: PARTITIONS }, () => 0);
  for (let room = 0; room < 100 * PARTITIONS; room += 1) counts[partitionOf(`room ${room}`)]! += 1;
  // A hundred on average; chance gives fewer than 40 or more than 160 once in a thousand tests.
  expect(Math.min(...counts)).toBeGreaterThan(50);
  expect(Math.max(...counts)).toBeLessThan(150);
});

test('slots are those that Redis computes', async () => {
  const server = await startRedis({ config: { 'cluster-enabled': 'yes' } });
  onTestFinished(() => server.close());
  const others = fc.sample(
    fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text.isWellFormed() && !/[{}]/.test(text)),
    200,
  );
  for (const text of [...tags.filter((_, place) => place % 10 === 0), ...others]) {
    expect(slotOf(text), JSON.stringify(text)).toBe(Number(await server.runRaw('CLUSTER', 'KEYSLOT', text)));
    expect(slotOf(text)).toBe(Number(await server.runRaw('CLUSTER', 'KEYSLOT', `engawa:{${text}}:room:{other}`)));
  }
});
