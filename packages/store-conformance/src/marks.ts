/** Conformance tests of advanceMark. */
import assert from 'node:assert/strict';
import { appendOk, type DefineTest, draft, endRoom, keyDraft, keyOf, listen, NO_LIMIT, openRoom, repeat } from './fixtures.ts';

export function markTests(check: DefineTest): void {
  const key = 'member/aya';

  check('a mark increases, and never decreases', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1]), draft('two'), draft('three'));
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1 });
    for (const [seq, answer] of [
      [2, 2],
      [1, 2],
      [2, 2],
      [3, 3],
      [0, 3],
    ] as const) {
      assert.equal(await store.advanceMark('den', key, seq), answer);
      assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1, mark: answer });
    }
  });

  check('of many concurrent marks the largest counts', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1]), ...repeat(40, () => draft('next')));
    await Promise.all(repeat(40, (index) => store.advanceMark('den', key, ((index * 7) % 41) + 1)));
    assert.equal((await keyOf(store, 'den', key))?.mark, 41);
  });

  check('a family lists each key with its mark', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1], ['member/ben', 1], ['member/cho', 1]), draft('two'));
    await openRoom(store, 'attic', keyDraft([key, 1]));
    await store.advanceMark('den', key, 1);
    await store.advanceMark('den', 'member/ben', 2);
    assert.deepEqual((await store.listKeys('den', 'member', { limit: NO_LIMIT })).keys, [
      ['aya', { value: 1, seq: 1, mark: 1 }],
      ['ben', { value: 1, seq: 1, mark: 2 }],
      ['cho', { value: 1, seq: 1 }],
    ]);
    assert.deepEqual(await keyOf(store, 'attic', key), { value: 1, seq: 1 });
  });

  check('a new value of its key does not change it', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft([key, 1]), draft('two'));
    await store.advanceMark('den', key, 2);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 'another value'])] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 'another value', seq: 3, mark: 2 });
  });

  check('it is removed with its key', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft([key, 1], ['member/ben', 1]), draft('two'));
    for (const each of [key, 'member/ben']) assert.equal(await store.advanceMark('den', each, 2), 2);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, null]), keyDraft(['member/ben', null], ['member/ben', 2])] });
    assert.equal(await store.advanceMark('den', key, 2), null);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 1])] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 5 });
    assert.deepEqual(await keyOf(store, 'den', 'member/ben'), { value: 2, seq: 4 });
    assert.equal(await store.advanceMark('den', key, 1), 1);
  });

  check('it is removed with its room', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1]));
    assert.equal(await store.advanceMark('den', key, 1), 1);
    await endRoom(store, 'den');
    assert.equal(await store.advanceMark('den', key, 1), null);
    await openRoom(store, 'den', keyDraft([key, 1]));
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1 });
  });

  check('without the key or the room the result is null, and nothing is created', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1]));
    assert.equal(await store.advanceMark('den', 'member/nobody', 1), null);
    assert.equal(await store.advanceMark('den', 'member', 1), null);
    assert.equal(await store.advanceMark('nowhere', key, 1), null);
    assert.deepEqual((await store.read('den', { keys: ['member/nobody', 'member'] })).keys, new Map());
    assert.equal((await store.read('nowhere', {})).epoch, null);
  });

  check('it adds no entry, notifies no listener, and does not change the version of its key', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft([key, 1]));
    const before = await store.readPage('den', { limit: NO_LIMIT });
    const { notices, messages } = await listen(store, 'den');
    assert.equal(await store.advanceMark('den', key, 1), 1);
    assert.deepEqual(await store.readPage('den', { limit: NO_LIMIT }), before);
    assert.deepEqual([notices, messages], [[], []]);
    await appendOk(store, 'den', { epoch, expectedVersions: [[key, 1]], drafts: [draft('two')] });
  });
}
