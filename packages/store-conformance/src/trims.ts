/** Conformance tests of trim. */
import assert from 'node:assert/strict';
import type { Draft, Store } from '@engawa/server';
import {
  appendOk,
  assertNothingAppended,
  assertStale,
  countsOf,
  type DefineTest,
  draft,
  endRoom,
  entriesOf,
  findReceipt,
  keyDraft,
  keyOf,
  listExpired,
  listen,
  NO_LIMIT,
  namesOf,
  openRoom,
  receiptOf,
  repeat,
  seqsOf,
  textsOf,
  trim,
  upTo,
} from './fixtures.ts';

export function trimTests(check: DefineTest): void {
  const twelve = repeat(12, (index) => draft(String(index + 1), { listed: (index + 1) % 3 === 0, quiet: index === 11 }));
  const readPage = async (store: Store, question: Partial<Parameters<Store['readPage']>[1]>) => {
    const { entries, hasMore } = await store.readPage('den', { limit: 3, ...question });
    return { seqs: seqsOf(entries), hasMore };
  };
  const edges = async (store: Store, room = 'den') => {
    const { head, lastBroadcastId, oldest } = await store.readPage(room, { limit: 1 });
    return { head, tail: lastBroadcastId, oldest };
  };
  const tail = twelve[10]?.id ?? null;

  check('the entries below are removed from pages and reads, and the others are unchanged', async (store) => {
    await openRoom(store, 'den', ...twelve);
    const before = await entriesOf(store, 'den');
    assert.equal(before.length, 12);
    await trim(store, 'den', 6);
    assert.deepEqual(await entriesOf(store, 'den'), before.slice(5));
    const { entries } = await store.read('den', { seqs: upTo(12) });
    assert.deepEqual([...entries.values()], before.slice(5));
    assert.deepEqual(await edges(store), { head: 12, tail, oldest: 6 });
  });

  check('pages end where the log begins, in both directions', async (store) => {
    await openRoom(store, 'den', ...twelve);
    await trim(store, 'den', 5);
    assert.deepEqual(await readPage(store, {}), { seqs: [10, 11, 12], hasMore: true });
    assert.deepEqual(await readPage(store, { limit: 8 }), { seqs: [5, 6, 7, 8, 9, 10, 11, 12], hasMore: false });
    assert.deepEqual(await readPage(store, { before: 9 }), { seqs: [6, 7, 8], hasMore: true });
    assert.deepEqual(await readPage(store, { before: 8 }), { seqs: [5, 6, 7], hasMore: false });
    assert.deepEqual(await readPage(store, { before: 7 }), { seqs: [5, 6], hasMore: false });
    for (const before of [5, 3, 1, 0]) assert.deepEqual(await readPage(store, { before }), { seqs: [], hasMore: false });
    for (const after of [0, 2, 4]) assert.deepEqual(await readPage(store, { after }), { seqs: [5, 6, 7], hasMore: true });
    assert.deepEqual(await readPage(store, { after: 5 }), { seqs: [6, 7, 8], hasMore: true });
    assert.deepEqual(await readPage(store, { after: 9 }), { seqs: [10, 11, 12], hasMore: false });
    assert.deepEqual(await readPage(store, { listed: true }), { seqs: [6, 9, 12], hasMore: false });
    assert.deepEqual(await readPage(store, { listed: true, before: 6 }), { seqs: [], hasMore: false });
    assert.deepEqual(await readPage(store, { listed: true, after: 0, limit: 1 }), { seqs: [6], hasMore: true });
  });

  check('other keys, marks, counts and leases stay, and appends continue', async (store) => {
    const member = draft('joins', { keyUpdates: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } });
    const { epoch } = await openRoom(store, 'den', member, ...twelve);
    await store.advanceMark('den', 'member/aya', 2);
    await trim(store, 'den', 8);
    assert.deepEqual(await keyOf(store, 'den', 'member/aya'), { value: 1, seq: 1, mark: 2, lease: 'held' });
    assert.deepEqual(await countsOf(store, 'den', ''), { member: 1 });
    assert.equal(await store.acquireLease('den', { name: 'member/aya', seq: 1 }, 'n2'), true);
    const next = await appendOk(store, 'den', { epoch, expectedVersions: [['member/aya', 1]], drafts: [draft('next')] });
    assert.deepEqual(seqsOf(next.entries), [14]);
    assert.equal((await entriesOf(store, 'den')).at(-1)?.prev, tail);
    assert.deepEqual(await edges(store), { head: 14, tail: next.entries[0]?.id, oldest: 8 });
  });

  check('keys below an entry are removed with it, whatever they contain, and those of other entries stay', async (store) => {
    const beneath = (seq: number): Draft =>
      keyDraft(
        [`entry/${seq}`, 1],
        [`entry/${seq}/a`, { b: 1 }],
        [`entry/${seq}/c/d/e`, 1],
        [`entry/${seq}/c/d/f`, 1],
        [`other/${seq}/a`, 1],
      );
    const seqs = [1, 2, 3, 10, 11, 20];
    const leased = draft('leases', { keyUpdates: [['entry/2/leased', 1]], lease: { key: 'entry/2/leased', node: 'n1' } });
    const { epoch } = await openRoom(store, 'den', ...repeat(20, (index) => draft(String(index + 1))), ...seqs.map(beneath), leased);
    await openRoom(store, 'attic', beneath(1), beneath(2));
    await store.advanceMark('den', 'entry/10/a', 3);
    const look = async (room: string) => ({
      keys: (
        await Promise.all(
          seqs.flatMap((seq) => [`entry/${seq}`, `other/${seq}`, `entry/${seq}/c/d`].map((family) => namesOf(store, room, family))),
        )
      ).flat(),
      entry: await countsOf(store, room, 'entry'),
      beneath: await Promise.all(seqs.map((seq) => countsOf(store, room, `entry/${seq}/c`))),
    });
    const [before, attic] = [await look('den'), await look('attic')];
    assert.deepEqual(before.entry, { 1: 1, 2: 2, 3: 1, 10: 1, 11: 1, 20: 1 });
    assert.equal((await listExpired(store)).length, 1);
    await store.trim('den', { epoch, below: 10 });
    assert.deepEqual(await look('den'), {
      keys: ['a', 'a', 'a', 'a', 'a', 'e', 'f', 'a', 'a', 'e', 'f', 'a', 'a', 'e', 'f'],
      entry: { 10: 1, 11: 1, 20: 1 },
      beneath: [{}, {}, {}, { d: 2 }, { d: 2 }, { d: 2 }],
    });
    assert.deepEqual(await listExpired(store), []);
    assert.equal(await keyOf(store, 'den', 'entry/2/a'), undefined);
    assert.deepEqual(await keyOf(store, 'den', 'entry/10/a'), { value: { b: 1 }, seq: 24, mark: 3 });
    assert.deepEqual(await keyOf(store, 'den', 'entry/2'), { value: 1, seq: 22 }, 'it is not beneath');
    assert.deepEqual(await look('attic'), attic);
    await assertStale(store, 'den', { epoch, expectedVersions: [['entry/2/a', 22]] });
    await store.trim('den', { epoch, below: 21 });
    assert.deepEqual(await countsOf(store, 'den', 'entry'), {});
    assert.deepEqual(await countsOf(store, 'den', ''), { entry: 6 });
  });

  check('more entries and keys than one portion are removed, too', async (store) => {
    const many = (seq: number, names: number): Draft =>
      keyDraft(...repeat(names, (index): [string, number] => [`entry/${seq}/${seq % 2}/${index}`, 1]));
    const { epoch } = await openRoom(store, 'den', ...repeat(1_500, (index) => draft(String(index + 1))));
    await appendOk(store, 'den', {
      epoch,
      drafts: [many(2, 1_200), many(3, 1), many(4, 700), many(1_001, 3), many(1_499, 2), many(1_500, 2)],
    });
    await store.trim('den', { epoch, below: 1_500 });
    assert.deepEqual(await edges(store).then(({ head, oldest }) => [head, oldest]), [1_506, 1_500]);
    assert.deepEqual(
      seqsOf(await entriesOf(store, 'den')),
      repeat(7, (index) => 1_500 + index),
    );
    assert.deepEqual(await countsOf(store, 'den', ''), {});
    for (const seq of [2, 3, 4, 1_001, 1_499]) assert.deepEqual(await namesOf(store, 'den', `entry/${seq}/${seq % 2}`), []);
    assert.deepEqual(await namesOf(store, 'den', 'entry/1500/0'), ['0', '1']);
  });

  check('a room with another epoch is not trimmed', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...twelve);
    const forked = await store.startNewEpoch('den', epoch);
    await store.trim('den', { epoch, below: 6 });
    assert.equal((await edges(store)).oldest, 1);
    await store.trim('den', { epoch: String(forked), below: 3 });
    assert.equal((await edges(store)).oldest, 3);
    await endRoom(store, 'den');
    await openRoom(store, 'den', ...twelve);
    for (const otherEpoch of [epoch, String(forked), '']) await store.trim('den', { epoch: otherEpoch, below: 6 });
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(12));
  });

  check('all entries can be trimmed, and appends continue', async (store) => {
    for (const [room, below] of [
      ['den', 13],
      ['attic', 1_000],
    ] as const) {
      const { epoch } = await openRoom(store, room, ...twelve);
      await trim(store, room, below);
      assert.deepEqual(await entriesOf(store, room), []);
      assert.deepEqual(await edges(store, room), { head: 12, tail, oldest: 13 });
      assert.equal((await store.read(room, {})).head, 12);
      const { entries } = await appendOk(store, room, { epoch, drafts: [draft('next'), draft('one more')] });
      assert.deepEqual(
        (await entriesOf(store, room)).map(({ seq, prev }) => [seq, prev]),
        [
          [13, tail],
          [14, entries[0]?.id],
        ],
      );
      assert.deepEqual(await edges(store, room), { head: 14, tail: entries[1]?.id, oldest: 13 });
    }
  });

  check('a trimmed log can be trimmed further, and trimmed entries do not return', async (store) => {
    await openRoom(store, 'den', ...twelve);
    await trim(store, 'den', 4);
    await trim(store, 'den', 9);
    for (const below of [9, 4, 1, 0, -5]) await trim(store, 'den', below);
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), [9, 10, 11, 12]);
    assert.equal((await edges(store)).oldest, 9);
  });

  check('it does nothing below the first entry, and without a room', async (store) => {
    await openRoom(store, 'den', ...twelve);
    const before = await store.readPage('den', { limit: NO_LIMIT });
    assert.equal(before.entries.length, 12);
    for (const below of [1, 0, -1]) await trim(store, 'den', below);
    await trim(store, 'nowhere', 5);
    assert.deepEqual(await store.readPage('den', { limit: NO_LIMIT }), before);
    assert.equal((await store.read('nowhere', {})).epoch, null);
  });

  check('other rooms are unchanged, and no listener is notified', async (store) => {
    for (const room of ['den', 'attic']) await openRoom(store, room, ...twelve);
    const { notices, messages } = await listen(store, 'den');
    await trim(store, 'den', 10);
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), [10, 11, 12]);
    assert.deepEqual(seqsOf(await entriesOf(store, 'attic')), upTo(12));
    assert.deepEqual([notices, messages], [[], []]);
  });

  check('the idempotency key of an append with a trimmed entry is forgotten, and may be used again', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const receipts = [];
    for (const idempotencyKey of ['whole', 'half', 'none'])
      receipts.push(
        await appendOk(store, 'den', {
          epoch,
          idempotencyKey,
          drafts: [draft(idempotencyKey), draft(idempotencyKey), draft(idempotencyKey)],
        }),
      );
    assert.deepEqual(await findReceipt(store, 'den', 'whole'), receipts[0]);
    await trim(store, 'den', 6);
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), ['half', 'half', 'none', 'none', 'none']);
    for (const idempotencyKey of ['whole', 'half']) {
      assert.equal(await findReceipt(store, 'den', idempotencyKey), null);
      const again = await appendOk(store, 'den', { epoch, idempotencyKey, drafts: [draft('again')] });
      assert.deepEqual(await findReceipt(store, 'den', idempotencyKey), again);
    }
    assert.deepEqual(await findReceipt(store, 'den', 'none'), receipts[2]);
    assert.deepEqual(receiptOf(await assertNothingAppended(store, 'den', 'repeated', { epoch, idempotencyKey: 'none' })), receipts[2]);
  });

  check('erasing a trimmed entry does nothing', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...twelve);
    await trim(store, 'den', 6);
    await appendOk(store, 'den', { epoch, drafts: [draft('erases', { eraseSeqs: [1, 5, 6] })] });
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), [undefined, '7', '8', '9', '10', '11', '12', 'erases']);
  });

  check('a room that is created again begins with its first entry', async (store) => {
    await openRoom(store, 'den', ...twelve);
    await trim(store, 'den', 10);
    await endRoom(store, 'den');
    await openRoom(store, 'den', keyDraft(['a', 1]));
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), [1]);
    assert.equal((await edges(store)).oldest, 1);
  });

  check('a log that is trimmed during many appends has all entries above', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const append = (index: number) => appendOk(store, 'den', { epoch, idempotencyKey: String(index), drafts: [draft(String(index))] });
    const operations = repeat(120, (index) => [
      append(index),
      ...(index % 10 === 0 ? [store.trim('den', { epoch, below: index + 1 })] : []),
    ]);
    await Promise.all(operations.flat());
    assert.deepEqual(await edges(store).then(({ head, oldest }) => [head, oldest]), [121, 111]);
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(121).slice(110));
  });
}
