import assert from 'node:assert/strict';
import type { Store } from '../store.ts';
import {
  ALL,
  add,
  appendsNothing,
  type Check,
  countsOf,
  draft,
  endRoom,
  entriesOf,
  keptOf,
  keyOf,
  listen,
  openRoom,
  recall,
  seqsOf,
  sets,
  textsOf,
  times,
  upTo,
} from './arrange.ts';

export function trims(check: Check): void {
  const twelve = times(12, (index) => draft(String(index + 1), { listed: (index + 1) % 3 === 0, quiet: index === 11 }));
  const ask = async (store: Store, question: Partial<Parameters<Store['page']>[1]>) => {
    const { entries, more } = await store.page('den', { limit: 3, ...question });
    return { seqs: seqsOf(entries), more };
  };
  const edges = async (store: Store, room = 'den') => {
    const { head, tail, oldest } = await store.page(room, { limit: 1 });
    return { head, tail, oldest };
  };
  const tail = twelve[10]?.id ?? null;

  check('the entries below are gone from pages and reads, and the others are as they were', async (store) => {
    await openRoom(store, 'den', ...twelve);
    const before = await entriesOf(store, 'den');
    assert.equal(before.length, 12);
    await store.trim('den', 6);
    assert.deepEqual(await entriesOf(store, 'den'), before.slice(5));
    const { entries } = await store.read('den', { seqs: upTo(12) });
    assert.deepEqual([...entries.values()], before.slice(5));
    assert.deepEqual(await edges(store), { head: 12, tail, oldest: 6 });
  });

  check('pages end where the log begins, in both directions', async (store) => {
    await openRoom(store, 'den', ...twelve);
    await store.trim('den', 5);
    assert.deepEqual(await ask(store, {}), { seqs: [10, 11, 12], more: true });
    assert.deepEqual(await ask(store, { limit: 8 }), { seqs: [5, 6, 7, 8, 9, 10, 11, 12], more: false });
    assert.deepEqual(await ask(store, { before: 9 }), { seqs: [6, 7, 8], more: true });
    assert.deepEqual(await ask(store, { before: 8 }), { seqs: [5, 6, 7], more: false });
    assert.deepEqual(await ask(store, { before: 7 }), { seqs: [5, 6], more: false });
    for (const before of [5, 3, 1, 0]) assert.deepEqual(await ask(store, { before }), { seqs: [], more: false });
    for (const after of [0, 2, 4]) assert.deepEqual(await ask(store, { after }), { seqs: [5, 6, 7], more: true });
    assert.deepEqual(await ask(store, { after: 5 }), { seqs: [6, 7, 8], more: true });
    assert.deepEqual(await ask(store, { after: 9 }), { seqs: [10, 11, 12], more: false });
    assert.deepEqual(await ask(store, { listed: true }), { seqs: [6, 9, 12], more: false });
    assert.deepEqual(await ask(store, { listed: true, before: 6 }), { seqs: [], more: false });
    assert.deepEqual(await ask(store, { listed: true, after: 0, limit: 1 }), { seqs: [6], more: true });
  });

  check('keys, marks, counts and leases stay, and appends go on where they were', async (store) => {
    const member = draft('joins', { sets: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } });
    const { epoch } = await openRoom(store, 'den', member, ...twelve);
    await store.mark('den', 'member/aya', 2);
    await store.trim('den', 8);
    assert.deepEqual(await keyOf(store, 'den', 'member/aya'), { value: 1, seq: 1, mark: 2, lease: 'held' });
    assert.deepEqual(await countsOf(store, 'den', ''), { member: 1 });
    assert.equal(await store.hold('den', { name: 'member/aya', seq: 1 }, 'n2'), true);
    const next = await add(store, 'den', { epoch, given: [['member/aya', 1]], drafts: [draft('next')] });
    assert.deepEqual(seqsOf(next.entries), [14]);
    assert.equal((await entriesOf(store, 'den')).at(-1)?.prev, tail);
    assert.deepEqual(await edges(store), { head: 14, tail: next.entries[0]?.id, oldest: 8 });
  });

  check('all may be trimmed, more than all is all, and appends go on where they were', async (store) => {
    for (const [room, below] of [
      ['den', 13],
      ['attic', 1_000],
    ] as const) {
      const { epoch } = await openRoom(store, room, ...twelve);
      await store.trim(room, below);
      assert.deepEqual(await entriesOf(store, room), []);
      assert.deepEqual(await edges(store, room), { head: 12, tail, oldest: 13 });
      assert.equal((await store.read(room, {})).head, 12);
      const { entries } = await add(store, room, { epoch, drafts: [draft('next'), draft('one more')] });
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

  check('what is trimmed can be trimmed further, and does not come back', async (store) => {
    await openRoom(store, 'den', ...twelve);
    await store.trim('den', 4);
    await store.trim('den', 9);
    for (const below of [9, 4, 1, 0, -5]) await store.trim('den', below);
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), [9, 10, 11, 12]);
    assert.equal((await edges(store)).oldest, 9);
  });

  check('below the first entry, and where there is no room, it does nothing', async (store) => {
    await openRoom(store, 'den', ...twelve);
    const before = await store.page('den', { limit: ALL });
    assert.equal(before.entries.length, 12);
    for (const below of [1, 0, -1]) await store.trim('den', below);
    await store.trim('nowhere', 5);
    assert.deepEqual(await store.page('den', { limit: ALL }), before);
    assert.equal((await store.read('nowhere', {})).epoch, null);
  });

  check('the other rooms keep what they have, and nobody is told', async (store) => {
    for (const room of ['den', 'attic']) await openRoom(store, room, ...twelve);
    const { heard, signals } = await listen(store, 'den');
    await store.trim('den', 10);
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), [10, 11, 12]);
    assert.deepEqual(seqsOf(await entriesOf(store, 'attic')), upTo(12));
    assert.deepEqual([heard, signals], [[], []]);
  });

  check('an append of which an entry was trimmed is no longer remembered, and may be made again', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const kept = [];
    for (const once of ['whole', 'half', 'none'])
      kept.push(await add(store, 'den', { epoch, once, drafts: [draft(once), draft(once), draft(once)] }));
    assert.deepEqual(await recall(store, 'den', 'whole'), kept[0]);
    await store.trim('den', 6);
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), ['half', 'half', 'none', 'none', 'none']);
    for (const once of ['whole', 'half']) {
      assert.equal(await recall(store, 'den', once), null);
      const again = await add(store, 'den', { epoch, once, drafts: [draft('again')] });
      assert.deepEqual(await recall(store, 'den', once), again);
    }
    assert.deepEqual(await recall(store, 'den', 'none'), kept[2]);
    assert.deepEqual(keptOf(await appendsNothing(store, 'den', 'repeated', { epoch, once: 'none' })), kept[2]);
  });

  check('what is trimmed is passed over by who erases', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...twelve);
    await store.trim('den', 6);
    await add(store, 'den', { epoch, drafts: [draft('erases', { erases: [1, 5, 6] })] });
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), [undefined, '7', '8', '9', '10', '11', '12', 'erases']);
  });

  check('the next life of the name begins with its first entry', async (store) => {
    await openRoom(store, 'den', ...twelve);
    await store.trim('den', 10);
    await endRoom(store, 'den');
    await openRoom(store, 'den', sets(['a', 1]));
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), [1]);
    assert.equal((await edges(store)).oldest, 1);
  });

  check('a log that is trimmed while many append has all that is above', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const append = (index: number) => add(store, 'den', { epoch, once: String(index), drafts: [draft(String(index))] });
    const asked = times(120, (index) => [append(index), ...(index % 10 === 0 ? [store.trim('den', index + 1)] : [])]);
    await Promise.all(asked.flat());
    assert.deepEqual(await edges(store).then(({ head, oldest }) => [head, oldest]), [121, 111]);
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(121).slice(110));
  });
}
