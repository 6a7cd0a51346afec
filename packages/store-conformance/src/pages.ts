/** Conformance tests of readPage and of erased bodies. */
import assert from 'node:assert/strict';
import { type Entry, MAX_PAGE_BYTES, type Page, type Store } from '@engawa/server';
import { appendOk, type DefineTest, draft, entriesOf, keyOf, NO_LIMIT, openRoom, repeat, seqsOf, textsOf, trim, upTo } from './fixtures.ts';

export function pageTests(check: DefineTest): void {
  const everyThird = repeat(12, (index) => draft(String(index + 1), { listed: (index + 1) % 3 === 0, quiet: index % 2 === 0 }));
  const readPage = async (store: Store, question: Partial<Parameters<Store['readPage']>[1]>) => {
    const { entries, hasMore } = await store.readPage('den', { limit: 3, ...question });
    return { seqs: seqsOf(entries), hasMore };
  };

  check('a page has the newest entries in ascending order, also those that are not broadcast', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    const page = await store.readPage('den', { limit: 3 });
    assert.deepEqual([page.epoch, page.head, seqsOf(page.entries), page.hasMore], [epoch, 12, [10, 11, 12], true]);
    assert.deepEqual(await readPage(store, { limit: 12 }), { seqs: upTo(12), hasMore: false });
    assert.deepEqual(await readPage(store, { limit: 100 }), { seqs: upTo(12), hasMore: false });
  });

  check('before and after return the nearest entries', async (store) => {
    await openRoom(store, 'den', ...everyThird);
    assert.deepEqual(await readPage(store, { before: 9 }), { seqs: [6, 7, 8], hasMore: true });
    assert.deepEqual(await readPage(store, { before: 4 }), { seqs: [1, 2, 3], hasMore: false });
    assert.deepEqual(await readPage(store, { before: 1 }), { seqs: [], hasMore: false });
    assert.deepEqual(await readPage(store, { before: 1_000 }), { seqs: [10, 11, 12], hasMore: true });
    assert.deepEqual(await readPage(store, { after: 0 }), { seqs: [1, 2, 3], hasMore: true });
    assert.deepEqual(await readPage(store, { after: 8 }), { seqs: [9, 10, 11], hasMore: true });
    assert.deepEqual(await readPage(store, { after: 9 }), { seqs: [10, 11, 12], hasMore: false });
    assert.deepEqual(await readPage(store, { after: 12 }), { seqs: [], hasMore: false });
    assert.deepEqual(await readPage(store, { after: 1_000 }), { seqs: [], hasMore: false });
  });

  check('listed leaves out the other entries, also for `more`', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    await appendOk(store, 'den', { epoch, drafts: [draft('not listed')] });
    assert.deepEqual(await readPage(store, { listed: true }), { seqs: [6, 9, 12], hasMore: true });
    assert.deepEqual(await readPage(store, { listed: true, limit: 4 }), { seqs: [3, 6, 9, 12], hasMore: false });
    assert.deepEqual(await readPage(store, { listed: true, before: 9, limit: 1 }), { seqs: [6], hasMore: true });
    assert.deepEqual(await readPage(store, { listed: true, before: 6 }), { seqs: [3], hasMore: false });
    assert.deepEqual(await readPage(store, { listed: true, after: 3, limit: 2 }), { seqs: [6, 9], hasMore: true });
    assert.deepEqual(await readPage(store, { listed: true, after: 3 }), { seqs: [6, 9, 12], hasMore: false });
    assert.deepEqual(await readPage(store, { listed: true, after: 12 }), { seqs: [], hasMore: false });
    assert.equal((await store.readPage('den', { listed: true, limit: 1 })).head, 13);
  });

  check('page by page each entry is read once, in both directions', async (store) => {
    await openRoom(store, 'den', ...everyThird);
    for (const limit of [1, 5, 11, 12, 13]) {
      assert.deepEqual(seqsOf(await walk(store, { direction: 'up', limit })), upTo(12));
      assert.deepEqual(seqsOf(await walk(store, { direction: 'down', limit })), upTo(12));
    }
  });

  check('without a room the page is empty', async (store, clock) => {
    await openRoom(store, 'den');
    for (const question of [{}, { before: 5 }, { after: 0 }, { listed: true }]) {
      const page = await store.readPage('nowhere', { limit: 3, ...question });
      assert.deepEqual(page, {
        epoch: null,
        head: 0,
        lastBroadcastId: null,
        hlc: 0,
        oldest: 0,
        bytes: 0,
        now: clock.now,
        entries: [],
        hasMore: false,
      });
    }
  });

  check('lastBroadcastId is that of the newest broadcast entry, whatever the page contains', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('quiet', { quiet: true }), draft('quiet too', { quiet: true }));
    const tailOf = async (question: Partial<Parameters<Store['readPage']>[1]>) =>
      (await store.readPage('den', { limit: 1, ...question })).lastBroadcastId;
    assert.equal(await tailOf({}), null);
    const [published, listed] = [draft('broadcast'), draft('broadcast and listed', { listed: true })];
    for (const [each, tail] of [
      [published, published],
      [draft('quiet', { quiet: true }), published],
      [listed, listed],
      [draft('quiet and listed', { quiet: true, listed: true }), listed],
    ] as const) {
      await appendOk(store, 'den', { epoch, drafts: [each] });
      for (const question of [{}, { before: 2 }, { after: 0 }, { after: 1_000 }, { listed: true }])
        assert.equal(await tailOf(question), tail.id);
    }
    assert.equal((await store.readPage('den', { limit: 1 })).entries[0]?.quiet, true);
  });

  check('hlc is that of the newest entry, whatever the page contains, and if all are trimmed', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    await openRoom(store, 'attic');
    clock.advance(-60_000);
    await appendOk(store, 'den', { epoch, drafts: [draft('broadcast'), draft('quiet', { quiet: true })] });
    const newest = (await entriesOf(store, 'den')).at(-1)?.hlc;
    assert.ok(Number(newest) > 0);
    const look = async () => {
      for (const question of [{}, { before: 2 }, { after: 0 }, { after: 1_000 }, { listed: true }])
        assert.equal((await store.readPage('den', { limit: 1, ...question })).hlc, newest);
    };
    await look();
    await trim(store, 'den', 15);
    assert.deepEqual(await entriesOf(store, 'den'), []);
    await look();
    await store.startNewEpoch('den', epoch);
    await look();
  });

  check('now is the clock of the store, which also sets the time of entries', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den');
    for (const step of [0, 5_000, 3_600_000]) {
      clock.advance(step);
      const { entries } = await appendOk(store, 'den', { epoch, drafts: [draft('next')] });
      assert.deepEqual([entries[0]?.at, (await store.readPage('den', { limit: 1 })).now], [clock.now, clock.now]);
    }
    clock.advance(1);
    assert.equal((await store.readPage('den', { limit: 1, before: 2 })).now, clock.now);
  });

  check('oldest is the first entry', async (store) => {
    await openRoom(store, 'den', ...everyThird);
    for (const question of [{}, { before: 5 }, { after: 9 }, { listed: true }])
      assert.equal((await store.readPage('den', { limit: 1, ...question })).oldest, 1);
  });

  check('head and lastBroadcastId are of one snapshot', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const look = async (): Promise<void> => {
      const { head, lastBroadcastId, entries } = await store.readPage('den', { limit: 2 });
      assert.deepEqual([entries.at(-1)?.seq, entries.at(-1)?.id], [head, lastBroadcastId]);
    };
    await Promise.all(repeat(200, () => [appendOk(store, 'den', { epoch, drafts: [draft('next')] }), look()]).flat());
    assert.equal((await store.readPage('den', { limit: 1 })).head, 201);
  });

  check('a page that ended early does not affect later reads', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    for (const seq of [13, 14, 15]) {
      assert.equal((await store.readPage('den', { after: 0, limit: 1 })).hasMore, true);
      await appendOk(store, 'den', { epoch, drafts: [draft('next')] });
      assert.deepEqual(seqsOf((await store.readPage('den', { limit: 1 })).entries), [seq]);
    }
  });

  for (const [letters, letter] of [
    ['letters of one byte', 'x'],
    ['letters of three bytes', 'あ'],
  ] as const) {
    check(`the bodies of a page are within its byte limit, also with ${letters}`, async (store) => {
      const size = 90_000;
      const { epoch } = await openRoom(store, 'den');
      for (const _ of upTo(30))
        await appendOk(store, 'den', { epoch, drafts: [draft(letter.repeat(size / Buffer.byteLength(letter)), { listed: true })] });
      for (const direction of ['up', 'down'] as const) {
        for (const bytes of [undefined, MAX_PAGE_BYTES / 4, 3 * MAX_PAGE_BYTES]) {
          const bound = Math.min(bytes ?? MAX_PAGE_BYTES, MAX_PAGE_BYTES);
          const met = await walk(store, { direction, limit: NO_LIMIT, bytes }, (page) => isBounded(page, { bound, largest: size + 100 }));
          assert.deepEqual(seqsOf(met), upTo(31));
        }
      }
    });
  }

  check('bodies of exactly the requested bytes fit, with one byte less they do not', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const listed = repeat(4, () => draft('x'.repeat(1_000), { listed: true }));
    for (const each of listed) await appendOk(store, 'den', { epoch, drafts: [each] });
    const size = bytesOf((await entriesOf(store, 'den'))[1] as Entry);
    for (const question of [{}, { listed: true }]) {
      const readWithin = (bytes: number) => readPage(store, { ...question, limit: NO_LIMIT, bytes });
      assert.deepEqual(await readWithin(3 * size), { seqs: [3, 4, 5], hasMore: true });
      assert.deepEqual(await readWithin(3 * size - 1), { seqs: [4, 5], hasMore: true });
      assert.deepEqual(await readPage(store, { ...question, after: 1, limit: NO_LIMIT, bytes: 3 * size }), {
        seqs: [2, 3, 4],
        hasMore: true,
      });
      assert.deepEqual(await readPage(store, { ...question, after: 1, limit: NO_LIMIT, bytes: 3 * size - 1 }), {
        seqs: [2, 3],
        hasMore: true,
      });
    }
  });

  check('the nearest entry is on the page, however few bytes are requested', async (store) => {
    await openRoom(store, 'den', ...repeat(3, () => draft('x'.repeat(1_000))));
    for (const bytes of [1, 500]) {
      assert.deepEqual(await readPage(store, { bytes }), { seqs: [3], hasMore: true });
      assert.deepEqual(await readPage(store, { after: 0, bytes }), { seqs: [1], hasMore: true });
      assert.deepEqual(await readPage(store, { after: 2, bytes }), { seqs: [3], hasMore: false });
    }
  });

  check('a single larger entry is a page by itself', async (store) => {
    const large = draft('x'.repeat(MAX_PAGE_BYTES + 1));
    await openRoom(store, 'den', draft('small'), large, draft('small'));
    assert.deepEqual(await readPage(store, { before: 3 }), { seqs: [2], hasMore: true });
    assert.deepEqual(await readPage(store, { after: 1 }), { seqs: [2], hasMore: true });
    assert.deepEqual(seqsOf(await walk(store, { direction: 'up', limit: NO_LIMIT })), [1, 2, 3]);
  });
}

const bytesOf = ({ body }: Entry): number => Buffer.byteLength(JSON.stringify(body));

/** Whether the page is within its bound, and as full as the bound allows. */
function isBounded({ entries, hasMore }: Page, { bound, largest }: { bound: number; largest: number }): void {
  const bytes = entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
  assert.ok(bytes <= bound, `${bytes} bytes in ${entries.length} entries`);
  assert.ok(!hasMore || bytes > bound - largest, 'it does not end earlier than it must');
}

interface Walk {
  direction: 'up' | 'down';
  limit: number;
  bytes?: number | undefined;
}

/** Reads all entries of the room, page by page. */
async function walk(store: Store, { direction, limit, bytes }: Walk, look?: (page: Page) => void): Promise<Entry[]> {
  let found: Entry[] = [];
  for (let hasMore = true; hasMore; ) {
    const edge = direction === 'up' ? (found.at(-1)?.seq ?? 0) : (found[0]?.seq ?? Number.MAX_SAFE_INTEGER);
    const bound = bytes === undefined ? {} : { bytes };
    const page = await store.readPage('den', { limit, ...bound, [direction === 'up' ? 'after' : 'before']: edge });
    if (page.entries.length > 0) look?.(page);
    found = direction === 'up' ? [...found, ...page.entries] : [...page.entries, ...found];
    assert.ok(page.entries.length > 0 || !page.hasMore, 'a page has one entry at least');
    hasMore = page.hasMore;
  }
  return found;
}

export function eraseTests(check: DefineTest): void {
  check('the body is removed, and the rest of the entry stays', async (store) => {
    const { epoch } = await openRoom(
      store,
      'den',
      draft('one'),
      draft('secret', { listed: true, keyUpdates: [['a', 1]] }),
      draft('secret', { quiet: true }),
    );
    const before = await entriesOf(store, 'den');
    assert.deepEqual(textsOf(before), ['one', 'secret', 'secret']);
    const eraser = draft('erases', { eraseSeqs: [2, 3] });
    await appendOk(store, 'den', { epoch, drafts: [eraser] });

    const [first, second, third, fourth] = await entriesOf(store, 'den');
    assert.deepEqual([first, second, third], [before[0], { ...before[1], body: null }, { ...before[2], body: null }]);
    assert.deepEqual(fourth?.prev, before[1]?.id);
    assert.deepEqual((await store.read('den', { seqs: [2] })).entries.get(2), { ...before[1], body: null });
    assert.deepEqual(seqsOf((await store.readPage('den', { listed: true, limit: 5 })).entries), [2]);
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 1, seq: 2 });
  });

  check('unknown seqs are ignored, and such entries are not erased when they are added', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('one'));
    await appendOk(store, 'den', { epoch, drafts: [draft('two', { eraseSeqs: [0, -1, 3, 1_000] })] });
    await appendOk(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), ['one', 'two', 'three']);
  });

  check('erasing twice is harmless, and does not affect the same seq of another room', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('one'));
    await openRoom(store, 'attic', draft('one'));
    for (const erased of [[1], [1, 1]]) await appendOk(store, 'den', { epoch, drafts: [draft('erases', { eraseSeqs: erased })] });
    assert.equal((await entriesOf(store, 'den'))[0]?.body, null);
    assert.deepEqual(textsOf(await entriesOf(store, 'attic')), ['one']);
  });

  check('erased bodies do not count for the size of a page', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    for (const _ of upTo(15)) await appendOk(store, 'den', { epoch, drafts: [draft('x'.repeat(100_000))] });
    assert.equal((await store.readPage('den', { limit: NO_LIMIT })).hasMore, true);
    await appendOk(store, 'den', { epoch, drafts: [draft('erases', { eraseSeqs: upTo(16) })] });
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(17));
  });
}
