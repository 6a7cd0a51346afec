import assert from 'node:assert/strict';
import type { Told } from '../store.ts';
import { add, type Check, draft, endRoom, entriesOf, openRoom, times } from './arrange.ts';

export function ticks(check: Check): void {
  check('they grow inside a room, also in one append, and when the clock stands still or goes back', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den', draft('one'), draft('two', { quiet: true }));
    await add(store, 'den', { epoch, drafts: times(5, () => draft('at once')) });
    clock.pass(-60_000);
    await add(store, 'den', { epoch, drafts: [draft('back'), draft('and on')] });
    clock.pass(120_000);
    await add(store, 'den', { epoch, drafts: [draft('forward')] });
    const found = (await entriesOf(store, 'den')).map(({ tick }) => tick);
    assert.equal(found.length, 10);
    growAll(found);
  });

  check('of entries of any rooms the one that is told later has the larger one', async (store, clock) => {
    const rooms = times(5, (index) => `room ${index}`);
    const told: number[] = [];
    for (const room of rooms) await store.subscribe(room, { appended: (each) => told.push(...ticksOf(each)), announced() {}, missed() {} });
    const opened = await Promise.all(rooms.map((room) => openRoom(store, room)));
    for (const turn of times(6, (index) => index)) {
      clock.pass(turn % 2 === 0 ? 1_000 : -3_000);
      const drafts = () => times(2, () => draft(String(turn)));
      await Promise.all(rooms.map((room, index) => add(store, room, { epoch: String(opened[index]?.epoch), drafts: drafts() })));
    }
    assert.equal(told.length, 65);
    growAll(told, store.tickSkew);
  });

  check('they grow over the lives of a room', async (store, clock) => {
    const told: number[] = [];
    await store.subscribe('den', { appended: (each) => told.push(...ticksOf(each)), announced() {}, missed() {} });
    for (const _ of [1, 2, 3]) {
      await openRoom(store, 'den');
      await endRoom(store, 'den');
      clock.pass(-1_000);
    }
    assert.equal(told.length, 6);
    growAll(told);
  });

  check('an entry is told with the one that it is read with', async (store) => {
    const told: number[] = [];
    await store.subscribe('den', { appended: (each) => told.push(...ticksOf(each)), announced() {}, missed() {} });
    const { epoch } = await openRoom(store, 'den', draft('one', { quiet: true }), draft('two', { listed: true }));
    await add(store, 'den', { epoch, drafts: [draft('three', { erases: [1] })] });
    assert.equal(told.length, 3);
    assert.deepEqual(
      (await entriesOf(store, 'den')).map(({ tick }) => tick),
      told,
    );
    const { entries } = await store.read('den', { seqs: [1, 2, 3] });
    assert.deepEqual(
      [1, 2, 3].map((seq) => entries.get(seq)?.tick),
      told,
    );
    assert.deepEqual((await store.page('den', { listed: true, limit: 1 })).entries[0]?.tick, told[1]);
  });
}

const ticksOf = ({ entries }: Told): number[] => entries.map(({ tick }) => tick);

export function growAll(found: number[], skew = 0): void {
  for (const [index, tick] of found.entries()) {
    assert.ok(Number.isSafeInteger(tick), `${tick} is a whole number`);
    assert.ok(index === 0 || tick > Number(found[index - 1]) - skew, `${tick} is larger than ${found[index - 1]}`);
  }
}
