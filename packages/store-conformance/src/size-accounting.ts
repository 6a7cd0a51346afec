/** Conformance tests of the byte count of a room's log. */
import assert from 'node:assert/strict';
import type { AppendRequest, Draft, Store } from '@engawa/server';
import { appendOk, assertStale, type DefineTest, draft, endRoom, openRoom, repeat, trim, upTo } from './fixtures.ts';

/** The byte count by the contract, computed from the bodies. */
const bodyBytes = (...bodies: Draft['body'][]): number => bodies.reduce((sum, body) => sum + Buffer.byteLength(JSON.stringify(body)), 0);

/** The byte count of a page, which must equal that of a read. */
async function roomBytes(store: Store, room = 'den'): Promise<number> {
  const { bytes: size } = await store.readPage(room, { limit: 1 });
  assert.equal((await store.read(room, {})).bytes, size);
  return size;
}

export function byteCountTests(check: DefineTest): void {
  const six = repeat(6, (index) => draft(String(index + 1).repeat(10 * (index + 1)), { listed: index % 2 === 0, quiet: index % 3 === 0 }));
  const bodies = six.map(({ body }) => body);

  check('a page has the size of all bodies of the log, whatever the page contains', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six.slice(0, 4));
    assert.equal(await roomBytes(store), bodyBytes(...bodies.slice(0, 4)));
    await appendOk(store, 'den', { epoch, drafts: six.slice(4) });
    for (const question of [{}, { before: 3 }, { after: 4 }, { after: 1_000 }, { listed: true }])
      for (const limit of [1, 3, 100]) assert.equal((await store.readPage('den', { limit, ...question })).bytes, bodyBytes(...bodies));
  });

  check('bytes are counted in UTF-8, with the escapes of JSON', async (store) => {
    const various: Draft['body'][] = [
      {},
      { text: 'é' },
      { text: '部屋' },
      { text: '😀👨‍👩‍👧' },
      { text: 'a "quote" \\ and\na line\u0001' },
      { あ: [null, true, 1.5, 'い', { う: [] }] },
    ];
    await openRoom(store, 'den', ...various.map((body) => draft('', { body })));
    assert.equal(await roomBytes(store), bodyBytes(...various));
  });

  check('erased bodies count nothing, however often they are erased, and unknown ones neither', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    const erasing = [draft('one', { eraseSeqs: [2, 3] }), draft('two', { eraseSeqs: [3, 3, 4, 9, 100, 0] })];
    await appendOk(store, 'den', { epoch, drafts: erasing });
    const left = bodyBytes(...[0, 4, 5].map((index) => bodies[index] as Draft['body']), ...erasing.map(({ body }) => body));
    assert.equal(await roomBytes(store), left);
  });

  check('trimmed entries count nothing, erased or not', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    await appendOk(store, 'den', { epoch, drafts: [draft('', { body: {}, eraseSeqs: [2, 5] })] });
    const [, , three, four, , last] = bodies as [Draft['body'], Draft['body'], Draft['body'], Draft['body'], Draft['body'], Draft['body']];
    for (const [below, left] of [
      [3, bodyBytes(three, four, last, {})],
      [3, bodyBytes(three, four, last, {})],
      [5, bodyBytes(last, {})],
      [6, bodyBytes(last, {})],
      [7, bodyBytes({})],
      [100, 0],
    ] as const) {
      await trim(store, 'den', below);
      assert.equal(await roomBytes(store), left, `below ${below}`);
    }
    await appendOk(store, 'den', { epoch, drafts: [draft('', { body: { text: 'next' }, eraseSeqs: [1, 7] })] });
    assert.equal(await roomBytes(store), bodyBytes({ text: 'next' }));
  });

  check('stale and repeated appends add nothing', async (store) => {
    const { epoch } = await appendOk(store, 'den', { epoch: null, idempotencyKey: 'aya:1', drafts: six });
    for (const append of [{ idempotencyKey: 'aya:1' }, { expectedVersions: [['a', 1]] as [string, number][] }])
      await store.append('den', { epoch, expectedVersions: [], drafts: [draft('refused', { eraseSeqs: [1] })], ...append });
    assert.equal(await roomBytes(store), bodyBytes(...bodies));
  });

  check('an append with bytesBelow is stale once the room has that many bytes', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    const all = bodyBytes(...bodies);
    for (const bytesBelow of [0, 1, all - 1, all]) await assertStale(store, 'den', { epoch, bytesBelow });
    await assertStale(store, 'nowhere', { epoch: null, bytesBelow: 0 });
    // The first of these makes the room too large for the second, but not for itself.
    const append = (): AppendRequest => ({ epoch, expectedVersions: [], bytesBelow: all + 1, drafts: [draft('much more than one byte')] });
    const outcomes = await Promise.all([store.append('den', append()), store.append('den', append())]);
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ['appended', 'stale'],
    );
    await appendOk(store, 'den', { epoch, drafts: [draft('erases', { eraseSeqs: [5, 6] })] });
    assert.equal((await store.append('den', append())).outcome, 'appended');
    await appendOk(store, 'attic', { epoch: null, bytesBelow: 1, drafts: [draft('opens')] });
  });

  check('a new epoch keeps the size, other rooms have their own, and a room that is created again begins with 0', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    await openRoom(store, 'attic', draft('', { body: { text: 'attic' } }));
    const forked = await store.startNewEpoch('den', epoch);
    assert.equal(await roomBytes(store), bodyBytes(...bodies));
    await appendOk(store, 'den', { epoch: forked, drafts: [draft('', { body: { a: 1 }, eraseSeqs: upTo(6) })] });
    assert.deepEqual([await roomBytes(store), await roomBytes(store, 'attic')], [bodyBytes({ a: 1 }), bodyBytes({ text: 'attic' })]);
    await endRoom(store, 'den');
    assert.equal(await roomBytes(store), 0);
    await openRoom(store, 'den', draft('', { body: { b: 2 } }));
    assert.equal(await roomBytes(store), bodyBytes({ b: 2 }));
  });

  check('the size is of the same snapshot as the head', async (store) => {
    const body = { text: 'as long as all' };
    const { epoch } = await openRoom(store, 'den', draft('', { body }));
    const look = async (): Promise<void> => {
      const { head, oldest, bytes: size } = await store.readPage('den', { limit: 1 });
      assert.equal(size, (head - oldest + 1) * bodyBytes(body));
    };
    const append = () => appendOk(store, 'den', { epoch, drafts: [draft('', { body }), draft('', { body })] });
    await Promise.all(repeat(100, (index) => [append(), look(), store.trim('den', { epoch, below: index }), look()]).flat());
    assert.equal(await roomBytes(store), (201 - 98) * bodyBytes(body));
  });
}
