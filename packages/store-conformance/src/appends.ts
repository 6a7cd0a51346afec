/** Conformance tests of append: order, epochs, expected versions, idempotency keys. */
import assert from 'node:assert/strict';
import type { AppendReceipt, AppendRequest, Draft } from '@engawa/server';
import {
  appendOk,
  assertNothingAppended,
  assertStale,
  type DefineTest,
  draft,
  endRoom,
  entriesOf,
  findReceipt,
  keyDraft,
  keyOf,
  listExpired,
  openRoom,
  receiptOf,
  repeat,
  seqsOf,
  textsOf,
  trim,
  upTo,
} from './fixtures.ts';

export function appendTests(check: DefineTest): void {
  check('entries of a room are numbered from 1 without gaps', async (store) => {
    const { epoch, entries } = await openRoom(store, 'den', draft('one'), draft('two'));
    const next = await appendOk(store, 'den', { epoch, drafts: [draft('three')] });
    const last = await appendOk(store, 'den', { epoch, drafts: [draft('four'), draft('five')] });
    assert.deepEqual(seqsOf([...entries, ...next.entries, ...last.entries]), upTo(5));
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), ['one', 'two', 'three', 'four', 'five']);
    assert.equal((await store.read('den', {})).head, 5);
  });

  check('an entry is read back as it was drafted', async (store, clock) => {
    const quiet = draft('psst', { quiet: true });
    const listed = draft('hello', { by: 'Aya ✨', author: 'guest:1', kind: 'note', listed: true });
    await openRoom(store, 'den', quiet, listed);
    const found = await entriesOf(store, 'den');
    const [one, two] = found.map(({ hlc }) => hlc);
    const first = { ...quiet, seq: 1, prev: null, at: clock.now, hlc: one, listed: false };
    const second = { ...listed, seq: 2, prev: null, at: clock.now, hlc: two, quiet: false };
    assert.deepEqual(found, [first, second]);
    assert.deepEqual(
      (await store.read('den', { seqs: [2, 1] })).entries,
      new Map<number, object>([
        [1, first],
        [2, second],
      ]),
    );
  });

  check('the result has the seq and id of each draft', async (store) => {
    const drafts = [draft('one'), draft('two', { quiet: true })];
    const { epoch, entries } = await openRoom(store, 'den', ...drafts);
    const found = await entriesOf(store, 'den');
    assert.deepEqual(
      entries,
      found.map(({ seq, id, at }) => ({ seq, id, at })),
    );
    assert.deepEqual(
      entries.map(({ id }) => id),
      drafts.map(({ id }) => id),
    );
    assert.equal((await store.read('den', {})).epoch, epoch);
  });

  check('any JSON value is read back unchanged', async (store) => {
    const text =
      '{"__proto__":{"admin":true},"constructor":1,"text":"\\u0000 \\ud83d\\ude00 \\u2028","deep":[[{"a":[]}],null,true,""],"n":[0.1,-1e-7,1e21,9007199254740991]}';
    const body = JSON.parse(text) as Draft['body'];
    await openRoom(store, 'den', draft('odd', { body, keyUpdates: [['odd', body]] }), draft('empty', { body: {} }));
    const [odd, empty] = await entriesOf(store, 'den');
    assert.equal(JSON.stringify(odd?.body), JSON.stringify(body));
    assert.equal(JSON.stringify((await keyOf(store, 'den', 'odd'))?.value), JSON.stringify(body));
    assert.deepEqual(empty?.body, {});
  });

  check('prev is the last broadcast entry before it', async (store) => {
    const drafts = [
      draft('quiet', { quiet: true }),
      draft('a'),
      draft('quiet', { quiet: true }),
      draft('quiet', { quiet: true }),
      draft('b'),
      draft('c'),
    ];
    const [, a, , , b] = drafts;
    const { epoch } = await openRoom(store, 'one append', ...drafts);
    await appendOk(store, 'one append', { epoch, drafts: [draft('d')] });
    const prevs = (await entriesOf(store, 'one append')).map(({ prev }) => prev);
    assert.deepEqual(prevs, [null, null, a?.id, a?.id, a?.id, b?.id, drafts.at(-1)?.id]);

    const other = await openRoom(store, 'many appends', drafts[0] as Draft);
    for (const each of drafts.slice(1)) await appendOk(store, 'many appends', { epoch: other.epoch, drafts: [each] });
    assert.deepEqual(
      (await entriesOf(store, 'many appends')).map(({ prev }) => prev),
      prevs.slice(0, -1),
    );
  });

  check('an entry has the time of the clock, but never less than the entry before it', async (store, clock) => {
    const start = clock.now;
    const { epoch } = await openRoom(store, 'den');
    clock.advance(1_000);
    await appendOk(store, 'den', { epoch, drafts: [draft('later')] });
    clock.advance(-5_000);
    await appendOk(store, 'den', { epoch, drafts: [draft('the clock went back'), draft('and stays there')] });
    await openRoom(store, 'another room owes it nothing');
    clock.advance(5_001);
    await appendOk(store, 'den', { epoch, drafts: [draft('caught up')] });
    assert.deepEqual(
      (await entriesOf(store, 'den')).map(({ at }) => at - start),
      [0, 1_000, 1_000, 1_000, 1_001],
    );
    assert.equal((await entriesOf(store, 'another room owes it nothing'))[0]?.at, start - 4_000);
  });

  check('of two drafts that set the same key the later one counts', async (store) => {
    await openRoom(store, 'den', keyDraft(['a', 1], ['b', 1], ['c', null]), keyDraft(['a', 2], ['b', null], ['c', 3]));
    const { keys: found } = await store.read('den', { keys: ['a', 'b', 'c'] });
    assert.deepEqual(
      found,
      new Map([
        ['a', { value: 2, seq: 2 }],
        ['c', { value: 3, seq: 2 }],
      ]),
    );
  });

  check('drafts of one append are consecutive, however many appends run concurrently', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const all = await Promise.all(repeat(60, (index) => appendOk(store, 'den', { epoch, drafts: repeat(3, () => draft(`of ${index}`)) })));
    for (const { entries } of all)
      assert.deepEqual(
        seqsOf(entries),
        repeat(3, (index) => (entries[0]?.seq ?? 0) + index),
      );
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(181));
  });

  check('appends of one node keep the order of the calls, in every room', async (store) => {
    const rooms = repeat(25, (index) => `room ${index}`);
    const opened = await Promise.all(rooms.map(async (room) => ({ room, ...(await openRoom(store, room, draft('0'))) })));
    const operations = repeat(20, (turn) =>
      opened.map(({ room, epoch }) => appendOk(store, room, { epoch, drafts: [draft(String(turn + 1))] })),
    );
    await Promise.all(operations.flat());
    for (const room of rooms) assert.deepEqual(textsOf(await entriesOf(store, room)), repeat(21, String));
  });

  check('every read after the result sees the entries', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    for (const seq of repeat(20, (index) => index + 2)) {
      await appendOk(store, 'den', { epoch, drafts: [draft('next', { keyUpdates: [['last', seq]] })] });
      const { head, keys: found } = await store.read('den', { keys: ['last'] });
      assert.deepEqual([head, found.get('last')], [seq, { value: seq, seq }]);
      assert.equal((await store.readPage('den', { limit: 1 })).entries[0]?.seq, seq);
    }
  });

  check('a stale append writes nothing', async (store, clock) => {
    const leased = draft('leased', {
      keyUpdates: [
        ['member/ben', 1],
        ['gone', 1],
      ],
      lease: { key: 'member/ben', node: 'n1' },
    });
    const { epoch } = await openRoom(store, 'den', leased);
    const everything = draft('refused', {
      keyUpdates: [
        ['member/aya', 1],
        ['member/ben', 2],
        ['gone', null],
      ],
      eraseSeqs: [1],
      lease: { key: 'member/aya', node: 'n2' },
      tickets: [{ holder: 'aya', key: 'member/aya', value: 1 }],
      endsRoom: true,
    });
    const idempotencyKey = 'aya:1';
    await store.heartbeat('n1', 1_000);
    await assertStale(store, 'den', { epoch, expectedVersions: [['gone', 7]], drafts: [draft('first'), everything], idempotencyKey });
    assert.equal(await store.acquireLease('den', { name: 'member/aya', seq: 3 }, 'n2'), false);
    clock.advance(1_001);
    assert.deepEqual(await listExpired(store), [{ room: 'den', key: 'member/ben' }]);
    await appendOk(store, 'den', { epoch, expectedVersions: [['gone', 1]], drafts: [draft('decided again')], idempotencyKey });
  });
}

export function epochTests(check: DefineTest): void {
  check('null creates a room, and is stale if the room exists', async (store) => {
    assert.deepEqual((await store.read('den', {})).epoch, null);
    const { epoch } = await openRoom(store, 'den');
    assert.equal((await store.read('den', {})).epoch, epoch);
    await assertStale(store, 'den', { epoch: null });
  });

  check('another epoch is stale, and so is any epoch without a room', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const other = await openRoom(store, 'attic');
    assert.notEqual(other.epoch, epoch);
    await assertStale(store, 'den', { epoch: other.epoch });
    await assertStale(store, 'nowhere', { epoch });
  });

  check('of many concurrent appends that create the same room exactly one succeeds', async (store) => {
    const opened = await Promise.all(
      repeat(100, (index) => store.append('den', { epoch: null, expectedVersions: [], drafts: [draft(`by ${index}`)] })),
    );
    assert.equal(opened.filter(({ outcome }) => outcome === 'appended').length, 1);
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), [`by ${opened.findIndex(({ outcome }) => outcome === 'appended')}`]);
  });

  check('a decision on one epoch is stale in the next, even if its keys have the same seqs', async (store) => {
    const first = await openRoom(store, 'den', keyDraft(['member/aya', 'owner']));
    await endRoom(store, 'den');
    const second = await openRoom(store, 'den', keyDraft(['member/aya', 'member']));
    assert.equal((await keyOf(store, 'den', 'member/aya'))?.seq, 1);
    await assertStale(store, 'den', { epoch: first.epoch, expectedVersions: [['member/aya', 1]] });
    await appendOk(store, 'den', { epoch: second.epoch, expectedVersions: [['member/aya', 1]], drafts: [draft('of this life')] });
  });
}

export function expectedVersionTests(check: DefineTest): void {
  check('an append is stale if an expected entry is another one or missing', async (store) => {
    const { epoch, entries } = await openRoom(store, 'den', draft('one'), draft('two'));
    const [one, two] = entries.map(({ seq, id }): [number, string] => [seq, id]) as [[number, string], [number, string]];
    await assertStale(store, 'den', { epoch, expectedEntries: [[1, two[1]]] });
    await assertStale(store, 'den', { epoch, expectedEntries: [one, [3, 'not there']] });
    await assertStale(store, 'nowhere', { epoch: null, expectedEntries: [one] });
    await appendOk(store, 'den', { epoch, expectedEntries: [one, two], drafts: [draft('three')] });
    await trim(store, 'den', 2);
    await assertStale(store, 'den', { epoch, expectedEntries: [one] });
    await appendOk(store, 'den', { epoch, expectedEntries: [two], drafts: [draft('four')] });
  });

  check('an append with an expected head is stale after any newer entry, broadcast or not, and without a room', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('one'), draft('two'));
    for (const expectedHead of [0, 1, 3]) await assertStale(store, 'den', { epoch, expectedHead });
    await assertStale(store, 'nowhere', { epoch: null, expectedHead: 0 });
    await appendOk(store, 'den', { epoch, expectedHead: 2, drafts: [draft('three', { quiet: true }), draft('four')] });
    for (const expectedHead of [2, 3]) await assertStale(store, 'den', { epoch, expectedHead });
    await trim(store, 'den', 5);
    await appendOk(store, 'den', { epoch, expectedHead: 4, drafts: [draft('ends', { endsRoom: true })] });
    await openRoom(store, 'den', draft('another life'));
    await assertStale(store, 'den', { epoch, expectedHead: 5 });
  });

  check('of many appends with the same expected head one succeeds, and a repeated one gets its first result', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const append = (index: number): AppendRequest => ({
      epoch,
      expectedVersions: [],
      expectedHead: 1,
      idempotencyKey: `aya:${index}`,
      drafts: [draft('next')],
    });
    const outcomes = (await Promise.all(repeat(20, (index) => store.append('den', append(index))))).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['appended', ...repeat(19, () => 'stale')]);
    await assertNothingAppended(store, 'den', 'repeated', append(0));
  });

  check('an append succeeds if no expected key has changed, whatever else has', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['member/aya', 1]), keyDraft(['settings', 1]));
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['member/ben', 1])] });
    const expectedVersions: AppendRequest['expectedVersions'] = [
      ['member/aya', 1],
      ['settings', 2],
      ['member/cho', 0],
    ];
    await appendOk(store, 'den', { epoch, expectedVersions, drafts: [draft('hello')] });
  });

  check('an append is stale if one of its expected keys was replaced, removed or set', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['a', 1], ['b', 1], ['same', 1]));
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['a', 1], ['b', null], ['c', 1])] });
    await assertStale(store, 'den', { epoch, expectedVersions: [['a', 1]] });
    await assertStale(store, 'den', { epoch, expectedVersions: [['b', 1]] });
    await assertStale(store, 'den', { epoch, expectedVersions: [['c', 0]] });
    await assertStale(store, 'den', {
      epoch,
      expectedVersions: [
        ['same', 1],
        ['a', 1],
      ],
    });
    await appendOk(store, 'den', {
      epoch,
      expectedVersions: [
        ['same', 1],
        ['a', 2],
        ['b', 0],
        ['c', 2],
      ],
      drafts: [draft('all as they are')],
    });
  });

  check('a removed key is absent again, and a new value has a new version', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['a', 1]));
    await appendOk(store, 'den', { epoch, expectedVersions: [['a', 1]], drafts: [keyDraft(['a', null])] });
    await appendOk(store, 'den', { epoch, expectedVersions: [['a', 0]], drafts: [keyDraft(['a', 1])] });
    await assertStale(store, 'den', { epoch, expectedVersions: [['a', 1]] });
    await assertStale(store, 'den', { epoch, expectedVersions: [['a', 0]] });
    await appendOk(store, 'den', { epoch, expectedVersions: [['a', 3]], drafts: [draft('hello')] });
  });

  check('no key has a value without a room', async (store) => {
    await assertStale(store, 'den', { epoch: null, expectedVersions: [['a', 1]] });
    await appendOk(store, 'den', { epoch: null, expectedVersions: [['a', 0]], drafts: [draft('opens')] });
  });

  check('of 200 concurrent appends that expect the same absent key exactly one succeeds', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const claim = (index: number): AppendRequest => ({
      epoch,
      expectedVersions: [['name/aya', 0]],
      drafts: [keyDraft(['name/aya', index])],
    });
    const claims = await Promise.all(repeat(200, (index) => store.append('den', claim(index))));
    assert.equal(claims.filter(({ outcome }) => outcome === 'appended').length, 1);
    assert.equal(claims.filter(({ outcome }) => outcome === 'stale').length, 199);
    assert.equal(
      (await keyOf(store, 'den', 'name/aya'))?.value,
      claims.findIndex(({ outcome }) => outcome === 'appended'),
    );
    assert.equal((await store.read('den', {})).head, 2);
  });

  check('concurrent appends with expected versions lose no update', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['count', 0]));
    const increase = async (): Promise<void> => {
      const count = await keyOf(store, 'den', 'count');
      assert.ok(count);
      const drafts = [keyDraft(['count', Number(count.value) + 1])];
      const { outcome } = await store.append('den', { epoch, expectedVersions: [['count', count.seq]], drafts });
      if (outcome === 'stale') await increase();
    };
    await Promise.all(repeat(12, increase));
    assert.deepEqual(await keyOf(store, 'den', 'count'), { value: 12, seq: 13 });
  });
}

export function idempotencyKeyTests(check: DefineTest): void {
  const idempotencyKey = 'aya:c1';

  check('a retry with the same key gets the first result and writes nothing', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den');
    const first = await appendOk(store, 'den', { epoch, idempotencyKey, drafts: [draft('one'), draft('two', { quiet: true })] });
    assert.equal(first.entries.length, 2);
    clock.advance(1_000);
    const retry = await assertNothingAppended(store, 'den', 'repeated', {
      epoch,
      idempotencyKey,
      drafts: [draft('one again', { keyUpdates: [['a', 1]], tickets: [{ holder: 'aya', key: 'a', value: 1 }], endsRoom: true })],
    });
    assert.deepEqual(receiptOf(retry), first);
  });

  check('a retry with the same key gets the first result even if its expected versions are outdated', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['member/aya', 1]));
    const first = await appendOk(store, 'den', {
      epoch,
      expectedVersions: [['member/aya', 1]],
      idempotencyKey,
      drafts: [keyDraft(['name', 1])],
    });
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['member/aya', null], ['name', null])] });
    await assertStale(store, 'den', { epoch, expectedVersions: [['member/aya', 1]] });
    for (const otherEpoch of [epoch, null, 'other epoch']) {
      const retry = await assertNothingAppended(store, 'den', 'repeated', {
        epoch: otherEpoch,
        expectedVersions: [['member/aya', 1]],
        idempotencyKey,
      });
      assert.deepEqual(receiptOf(retry), first);
    }
  });

  check('the append that created the room is repeated, too', async (store) => {
    const first = await appendOk(store, 'den', { epoch: null, idempotencyKey, drafts: [draft('opens')] });
    assert.deepEqual(receiptOf(await assertNothingAppended(store, 'den', 'repeated', { epoch: null, idempotencyKey })), first);
  });

  check('of two concurrent appends one is appended and the other is repeated', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const twice = await Promise.all(
      repeat(2, () => store.append('den', { epoch, expectedVersions: [], idempotencyKey, drafts: [draft('hello')] })),
    );
    assert.deepEqual(twice.map(({ outcome }) => outcome).sort(), ['appended', 'repeated']);
    assert.deepEqual(...(twice.map(receiptOf) as [AppendReceipt, AppendReceipt]));
    assert.equal((await store.read('den', {})).head, 2);
  });

  check('an append with erased entries is still repeated', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const first = await appendOk(store, 'den', { epoch, idempotencyKey, drafts: [draft('secret')] });
    await appendOk(store, 'den', { epoch, drafts: [draft('erases', { eraseSeqs: [2] })] });
    assert.deepEqual(receiptOf(await assertNothingAppended(store, 'den', 'repeated', { epoch, idempotencyKey })), first);
  });

  check('keys are stored through a day of other appends', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den');
    const first = await appendOk(store, 'den', { epoch, idempotencyKey, drafts: [draft('hello')] });
    await Promise.all(repeat(300, (index) => appendOk(store, 'den', { epoch, idempotencyKey: `ben:${index}`, drafts: [draft('hi')] })));
    clock.advance(24 * 60 * 60 * 1_000);
    assert.deepEqual(receiptOf(await assertNothingAppended(store, 'den', 'repeated', { epoch, idempotencyKey })), first);
  });

  check('the key of a stale append is not stored', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    await assertStale(store, 'den', { epoch: null, idempotencyKey });
    assert.equal(
      (await store.append('den', { epoch, expectedVersions: [], idempotencyKey, drafts: [draft('hello')] })).outcome,
      'appended',
    );
  });

  check('a key counts in its own room only, and an append without one is never repeated', async (store) => {
    const { epoch } = await appendOk(store, 'den', { epoch: null, idempotencyKey, drafts: [draft('hello')] });
    await appendOk(store, 'attic', { epoch: null, idempotencyKey, drafts: [draft('hello')] });
    await appendOk(store, 'den', { epoch, drafts: [draft('nameless')] });
    await appendOk(store, 'den', { epoch, drafts: [draft('nameless too')] });
    await appendOk(store, 'den', { epoch, idempotencyKey: '', drafts: [draft('an empty name is one')] });
    await assertNothingAppended(store, 'den', 'repeated', { epoch, idempotencyKey: '' });
  });

  check('findByIdempotencyKey returns the first result, or null', async (store) => {
    const first = await appendOk(store, 'den', { epoch: null, idempotencyKey, drafts: [draft('one'), draft('two')] });
    await openRoom(store, 'attic');
    assert.deepEqual(await findReceipt(store, 'den', idempotencyKey), first);
    assert.equal(await findReceipt(store, 'den', 'aya:c2'), null);
    assert.equal(await findReceipt(store, 'attic', idempotencyKey), null);
    assert.equal(await findReceipt(store, 'nowhere', idempotencyKey), null);
  });
}
