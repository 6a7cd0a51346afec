/** Conformance tests of usage. */
import assert from 'node:assert/strict';
import type { Usage } from '@engawa/server';
import { appendOk, type DefineTest, draft, endRoom, exportAll, openRoom, repeat } from './fixtures.ts';

/** Largest delay of the reported usage, in milliseconds. */
const MAX_DELAY_MS = 10_000;
const POLL_INTERVAL_MS = 50;
const MEGABYTE = 1024 * 1024;

export function usageTests(check: DefineTest): void {
  check('existing rooms are counted, and ended ones are not', async (store, _, openAnother) => {
    const counts = async (rooms: number) => waitForRoomCount(() => store.usage(), rooms);
    await counts(0);
    const { epoch } = await openRoom(store, 'den');
    await Promise.all(repeat(20, (index) => openRoom(store, `room ${index}`)));
    await appendOk(store, 'den', { epoch, drafts: [draft('more')] });
    await openRoom(store, 'brief', draft('opens and ends', { endsRoom: true }));
    await counts(21);
    await Promise.all(repeat(15, (index) => endRoom(store, `room ${index}`)));
    await counts(6);
    await openRoom(store, 'room 0');
    await counts(7);

    const another = await openAnother();
    for (const chunk of await exportAll(store, 'den')) await another.importChunk(chunk);
    for (const chunk of await exportAll(store, 'den')) await another.importChunk(chunk);
    await waitForRoomCount(() => another.usage(), 1);
  });

  check('bytes grow with the stored data', async (store) => {
    const before = await store.usage();
    await openRoom(store, 'den', ...repeat(40, () => draft('x'.repeat(MEGABYTE / 10))));
    const { bytes } = await store.usage();
    assert.ok(bytes - before.bytes >= 2 * MEGABYTE, `${before.bytes} became ${bytes}`);
  });
}

async function waitForRoomCount(ask: () => Promise<Usage>, rooms: number): Promise<void> {
  const since = performance.now();
  let found = await ask();
  while (found.rooms !== rooms && performance.now() - since < MAX_DELAY_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    found = await ask();
  }
  assert.equal(found.rooms, rooms);
}
