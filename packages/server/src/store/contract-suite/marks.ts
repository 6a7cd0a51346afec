import assert from 'node:assert/strict';
import { ALL, add, type Check, draft, endRoom, keyOf, listen, openRoom, sets, times } from './arrange.ts';

export function marks(check: Check): void {
  const key = 'member/aya';

  check('it goes forward, and never back', async (store) => {
    await openRoom(store, 'den', sets([key, 1]), draft('two'), draft('three'));
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1 });
    for (const [seq, answer] of [
      [2, 2],
      [1, 2],
      [2, 2],
      [3, 3],
      [0, 3],
    ] as const) {
      assert.equal(await store.mark('den', key, seq), answer);
      assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1, mark: answer });
    }
  });

  check('of many at once the furthest counts', async (store) => {
    await openRoom(store, 'den', sets([key, 1]), ...times(40, () => draft('next')));
    await Promise.all(times(40, (index) => store.mark('den', key, ((index * 7) % 41) + 1)));
    assert.equal((await keyOf(store, 'den', key))?.mark, 41);
  });

  check('it is in the family too, each key with its own', async (store) => {
    await openRoom(store, 'den', sets([key, 1], ['member/ben', 1], ['member/cho', 1]), draft('two'));
    await openRoom(store, 'attic', sets([key, 1]));
    await store.mark('den', key, 1);
    await store.mark('den', 'member/ben', 2);
    assert.deepEqual((await store.family('den', 'member', { limit: ALL })).keys, [
      ['aya', { value: 1, seq: 1, mark: 1 }],
      ['ben', { value: 1, seq: 1, mark: 2 }],
      ['cho', { value: 1, seq: 1 }],
    ]);
    assert.deepEqual(await keyOf(store, 'attic', key), { value: 1, seq: 1 });
  });

  check('a new value of its key leaves it be', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets([key, 1]), draft('two'));
    await store.mark('den', key, 2);
    await add(store, 'den', { epoch, drafts: [sets([key, 'another value'])] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 'another value', seq: 3, mark: 2 });
  });

  check('it ends with its key', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets([key, 1], ['member/ben', 1]), draft('two'));
    for (const each of [key, 'member/ben']) assert.equal(await store.mark('den', each, 2), 2);
    await add(store, 'den', { epoch, drafts: [sets([key, null]), sets(['member/ben', null], ['member/ben', 2])] });
    assert.equal(await store.mark('den', key, 2), null);
    await add(store, 'den', { epoch, drafts: [sets([key, 1])] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 5 });
    assert.deepEqual(await keyOf(store, 'den', 'member/ben'), { value: 2, seq: 4 });
    assert.equal(await store.mark('den', key, 1), 1);
  });

  check('it ends with its room', async (store) => {
    await openRoom(store, 'den', sets([key, 1]));
    assert.equal(await store.mark('den', key, 1), 1);
    await endRoom(store, 'den');
    assert.equal(await store.mark('den', key, 1), null);
    await openRoom(store, 'den', sets([key, 1]));
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1 });
  });

  check('without such a key or room it is null, and makes none', async (store) => {
    await openRoom(store, 'den', sets([key, 1]));
    assert.equal(await store.mark('den', 'member/nobody', 1), null);
    assert.equal(await store.mark('den', 'member', 1), null);
    assert.equal(await store.mark('nowhere', key, 1), null);
    assert.deepEqual((await store.read('den', { keys: ['member/nobody', 'member'] })).keys, new Map());
    assert.equal((await store.read('nowhere', {})).epoch, null);
  });

  check('it is no entry, nobody is told, and what rests on its key still does', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets([key, 1]));
    const before = await store.page('den', { limit: ALL });
    const { heard, signals } = await listen(store, 'den');
    assert.equal(await store.mark('den', key, 1), 1);
    assert.deepEqual(await store.page('den', { limit: ALL }), before);
    assert.deepEqual([heard, signals], [[], []]);
    await add(store, 'den', { epoch, given: [[key, 1]], drafts: [draft('two')] });
  });
}
