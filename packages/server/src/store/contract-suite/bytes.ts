import assert from 'node:assert/strict';
import type { Append, Draft, Store } from '../store.ts';
import { add, type Check, draft, endRoom, isStale, openRoom, times, trim, upTo } from './arrange.ts';

/** What the contract says, from the bodies themselves. */
const bytesOf = (...bodies: Draft['body'][]): number => bodies.reduce((sum, body) => sum + Buffer.byteLength(JSON.stringify(body)), 0);

/** As a page and a read tell it. */
async function sizeOf(store: Store, room = 'den'): Promise<number> {
  const { bytes: size } = await store.page(room, { limit: 1 });
  assert.equal((await store.read(room, {})).bytes, size);
  return size;
}

export function bytes(check: Check): void {
  const six = times(6, (index) => draft(String(index + 1).repeat(10 * (index + 1)), { listed: index % 2 === 0, quiet: index % 3 === 0 }));
  const bodies = six.map(({ body }) => body);

  check('a page tells those of all bodies, quiet and not listed ones too, whatever it shows', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six.slice(0, 4));
    assert.equal(await sizeOf(store), bytesOf(...bodies.slice(0, 4)));
    await add(store, 'den', { epoch, drafts: six.slice(4) });
    for (const question of [{}, { before: 3 }, { after: 4 }, { after: 1_000 }, { listed: true }])
      for (const limit of [1, 3, 100]) assert.equal((await store.page('den', { limit, ...question })).bytes, bytesOf(...bodies));
  });

  check('they are counted in UTF-8, and escaped as JSON escapes', async (store) => {
    const various: Draft['body'][] = [
      {},
      { text: 'é' },
      { text: '部屋' },
      { text: '😀👨‍👩‍👧' },
      { text: 'a "quote" \\ and\na line\u0001' },
      { あ: [null, true, 1.5, 'い', { う: [] }] },
    ];
    await openRoom(store, 'den', ...various.map((body) => draft('', { body })));
    assert.equal(await sizeOf(store), bytesOf(...various));
  });

  check('erased bodies have none, however often they are erased, and unknown ones neither', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    const erasing = [draft('one', { erases: [2, 3] }), draft('two', { erases: [3, 3, 4, 9, 100, 0] })];
    await add(store, 'den', { epoch, drafts: erasing });
    const left = bytesOf(...[0, 4, 5].map((index) => bodies[index] as Draft['body']), ...erasing.map(({ body }) => body));
    assert.equal(await sizeOf(store), left);
  });

  check('what is trimmed has none, erased or not', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    await add(store, 'den', { epoch, drafts: [draft('', { body: {}, erases: [2, 5] })] });
    const [, , three, four, , last] = bodies as [Draft['body'], Draft['body'], Draft['body'], Draft['body'], Draft['body'], Draft['body']];
    for (const [below, left] of [
      [3, bytesOf(three, four, last, {})],
      [3, bytesOf(three, four, last, {})],
      [5, bytesOf(last, {})],
      [6, bytesOf(last, {})],
      [7, bytesOf({})],
      [100, 0],
    ] as const) {
      await trim(store, 'den', below);
      assert.equal(await sizeOf(store), left, `below ${below}`);
    }
    await add(store, 'den', { epoch, drafts: [draft('', { body: { text: 'next' }, erases: [1, 7] })] });
    assert.equal(await sizeOf(store), bytesOf({ text: 'next' }));
  });

  check('appends that are stale or repeated add none', async (store) => {
    const { epoch } = await add(store, 'den', { epoch: null, once: 'aya:1', drafts: six });
    for (const append of [{ once: 'aya:1' }, { given: [['a', 1]] as [string, number][] }])
      await store.append('den', { epoch, given: [], drafts: [draft('in vain', { erases: [1] })], ...append });
    assert.equal(await sizeOf(store), bytesOf(...bodies));
  });

  check('an append that the room must have fewer for is stale once it has so many', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    const all = bytesOf(...bodies);
    for (const bytesBelow of [0, 1, all - 1, all]) await isStale(store, 'den', { epoch, bytesBelow });
    await isStale(store, 'nowhere', { epoch: null, bytesBelow: 0 });
    // The first of these makes the room too large for the second, not for itself.
    const append = (): Append => ({ epoch, given: [], bytesBelow: all + 1, drafts: [draft('much more than one byte')] });
    const outcomes = await Promise.all([store.append('den', append()), store.append('den', append())]);
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ['appended', 'stale'],
    );
    await add(store, 'den', { epoch, drafts: [draft('erases', { erases: [5, 6] })] });
    assert.equal((await store.append('den', append())).outcome, 'appended');
    await add(store, 'attic', { epoch: null, bytesBelow: 1, drafts: [draft('opens')] });
  });

  check('a fork keeps them, other rooms have their own, and the next life begins without', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...six);
    await openRoom(store, 'attic', draft('', { body: { text: 'attic' } }));
    const forked = await store.fork('den', epoch);
    assert.equal(await sizeOf(store), bytesOf(...bodies));
    await add(store, 'den', { epoch: forked, drafts: [draft('', { body: { a: 1 }, erases: upTo(6) })] });
    assert.deepEqual([await sizeOf(store), await sizeOf(store, 'attic')], [bytesOf({ a: 1 }), bytesOf({ text: 'attic' })]);
    await endRoom(store, 'den');
    assert.equal(await sizeOf(store), 0);
    await openRoom(store, 'den', draft('', { body: { b: 2 } }));
    assert.equal(await sizeOf(store), bytesOf({ b: 2 }));
  });

  check('they are of the same moment as the head', async (store) => {
    const body = { text: 'as long as all' };
    const { epoch } = await openRoom(store, 'den', draft('', { body }));
    const look = async (): Promise<void> => {
      const { head, oldest, bytes: size } = await store.page('den', { limit: 1 });
      assert.equal(size, (head - oldest + 1) * bytesOf(body));
    };
    const append = () => add(store, 'den', { epoch, drafts: [draft('', { body }), draft('', { body })] });
    await Promise.all(times(100, (index) => [append(), look(), store.trim('den', { epoch, below: index }), look()]).flat());
    assert.equal(await sizeOf(store), (201 - 98) * bytesOf(body));
  });
}
