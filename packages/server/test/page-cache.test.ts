/** Pages that many connections request at the same time. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ReplayPage } from '#domain/entry-payloads.js';
import { PageCache } from '#rooms/page-cache.js';

const KIB = 1024;

function pageOf(bytes: number): ReplayPage {
  const entry = { seq: 1, id: 'x', prev: null, at: 0, hlc: 1, by: 'aya', author: 'aya', kind: 'create:chat' };
  const received = { entry: { ...entry, body: {}, quiet: false, listed: true }, payload: undefined, bytes };
  return { epoch: 'e', head: 1, lastBroadcastId: 'x', hlc: 1, oldest: 1, bytes, now: 0, entries: [received], hasMore: false };
}

test('a page is read once for all concurrent and later requests', async () => {
  const pages = new PageCache();
  let reads = 0;
  const read = async () => {
    reads += 1;
    return pageOf(KIB);
  };
  const [one, other] = await Promise.all([pages.get('a', 64 * KIB, read), pages.get('a', 64 * KIB, read)]);
  expect(one).toBe(other);
  await pages.get('a', 64 * KIB, read);
  expect(reads).toBe(1);
});

test('a page that could not be read is read again, and uses no space', async () => {
  const pages = new PageCache();
  const failing = async () => Promise.reject(new Error('the disk failed'));
  await expect(pages.get('a', 64 * KIB, failing)).rejects.toThrow('the disk failed');
  expect(pages.bytes).toBe(0);
  expect(await pages.get('a', 64 * KIB, async () => pageOf(KIB))).toMatchObject({ epoch: 'e' });
});

test('for any number of rooms pages use bounded bytes, and the least recently used go first', async () => {
  const pages = new PageCache(256 * KIB);
  const reads: string[] = [];
  const get = (name: string) =>
    pages.get(name, 64 * KIB, async () => {
      reads.push(name);
      return pageOf(16 * KIB);
    });
  await get('often');
  for (let room = 0; room < 1_000; room += 1) {
    await get(`room ${room}`);
    await get('often');
    expect(pages.bytes).toBeLessThanOrEqual(256 * KIB);
  }
  expect(reads.filter((name) => name === 'often')).toHaveLength(1);
  await get('room 0');
  expect(reads.filter((name) => name === 'room 0')).toHaveLength(2);
});

test('pages that are being read count with their expected size', async () => {
  const pages = new PageCache(256 * KIB);
  const reading = Array.from({ length: 100 }, (_, room) => pages.get(`room ${room}`, 64 * KIB, async () => pageOf(KIB)));
  expect(pages.bytes).toBeLessThanOrEqual(256 * KIB);
  await Promise.all(reading);
});

test('an unused cache is emptied, a used one is not', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const pages = new PageCache();
  await pages.get('a', 64 * KIB, async () => pageOf(KIB));
  await vi.advanceTimersByTimeAsync(300);
  await pages.get('a', 64 * KIB, async () => pageOf(KIB));
  await vi.advanceTimersByTimeAsync(300);
  expect(pages.bytes).toBeGreaterThan(KIB);
  await vi.advanceTimersByTimeAsync(300);
  expect(pages.bytes).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
