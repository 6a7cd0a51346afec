import assert from 'node:assert/strict';
import type { Usage } from '../store.ts';
import { add, type Check, draft, endRoom, openRoom, packAll, times } from './arrange.ts';

/** How late the usage may be. */
const LATE_MS = 10_000;
const AGAIN_MS = 50;
const MEGABYTE = 1024 * 1024;

export function usage(check: Check): void {
  check('rooms are counted, those that ended no more', async (store, _, openAnother) => {
    const counts = async (rooms: number) => comesTo(() => store.usage(), rooms);
    await counts(0);
    const { epoch } = await openRoom(store, 'den');
    await Promise.all(times(20, (index) => openRoom(store, `room ${index}`)));
    await add(store, 'den', { epoch, drafts: [draft('more')] });
    await openRoom(store, 'brief', draft('opens and ends', { ends: true }));
    await counts(21);
    await Promise.all(times(15, (index) => endRoom(store, `room ${index}`)));
    await counts(6);
    await openRoom(store, 'room 0');
    await counts(7);

    const another = await openAnother();
    for (const parcel of await packAll(store, 'den')) await another.unpack(parcel);
    for (const parcel of await packAll(store, 'den')) await another.unpack(parcel);
    await comesTo(() => another.usage(), 1);
  });

  check('bytes grow with what is kept', async (store) => {
    const before = await store.usage();
    await openRoom(store, 'den', ...times(40, () => draft('x'.repeat(MEGABYTE / 10))));
    const { bytes } = await store.usage();
    assert.ok(bytes - before.bytes >= 2 * MEGABYTE, `${before.bytes} became ${bytes}`);
  });
}

async function comesTo(ask: () => Promise<Usage>, rooms: number): Promise<void> {
  const since = performance.now();
  let found = await ask();
  while (found.rooms !== rooms && performance.now() - since < LATE_MS) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    found = await ask();
  }
  assert.equal(found.rooms, rooms);
}
