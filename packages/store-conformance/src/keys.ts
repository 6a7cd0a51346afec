/** Conformance tests of keys, key families and counts. */
import assert from 'node:assert/strict';
import type { Draft, Json } from '@engawa/server';
import {
  appendOk,
  countsOf,
  type DefineTest,
  draft,
  keyDraft,
  keyOf,
  NO_LIMIT,
  namesOf,
  openRoom,
  repeat,
  sortByUtf8,
  upTo,
  walkFamily,
} from './fixtures.ts';

export function keyTests(check: DefineTest): void {
  check('a key has the value and the seq of the entry that set it last, and none once removed', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['a', 'one']));
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 'one', seq: 1 });
    await appendOk(store, 'den', { epoch, drafts: [draft('nothing'), keyDraft(['a', 'two'])] });
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 'two', seq: 3 });
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['a', null])] });
    assert.equal(await keyOf(store, 'den', 'a'), undefined);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['a', null])] });
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['a', 'three'])] });
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 'three', seq: 6 });
  });

  check('every value except null is a value', async (store) => {
    const values: [string, Json][] = [
      ['no', false],
      ['zero', 0],
      ['empty', ''],
      ['list', []],
      ['object', {}],
      ['nulls', [null]],
    ];
    await openRoom(store, 'den', keyDraft(...values));
    const { keys: found } = await store.read('den', { keys: values.map(([key]) => key) });
    assert.deepEqual(found, new Map(values.map(([key, value]) => [key, { value, seq: 1 }])));
  });

  check('the result has exactly the requested keys that exist', async (store) => {
    await openRoom(store, 'den', keyDraft(['a', 1], ['b', 1]), draft('two'));
    const facts = await store.read('den', { keys: ['a', 'c'], seqs: [2, 0, -1, 3, 1_000] });
    assert.deepEqual([...facts.keys.keys()], ['a']);
    assert.deepEqual([...facts.entries.keys()], [2]);
    assert.deepEqual(facts.counts, new Map());
  });

  check('without a room there are no facts', async (store) => {
    await openRoom(store, 'den', keyDraft(['a', 1], ['member/aya', 1]));
    const facts = await store.read('attic', { keys: ['a'], seqs: [1], counts: ['', 'member'] });
    const counts = new Map([
      ['', new Map()],
      ['member', new Map()],
    ]);
    assert.deepEqual(facts, { epoch: null, head: 0, bytes: 0, keys: new Map(), entries: new Map(), counts });
  });

  check('facts of one read are one snapshot', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['last', 1], ['n/1', 1]));
    const look = async (): Promise<void> => {
      const facts = await store.read('den', { keys: ['last'], seqs: upTo(202), counts: [''] });
      assert.equal(facts.keys.get('last')?.seq, facts.head);
      assert.equal(facts.entries.size, facts.head);
      assert.equal(facts.counts.get('')?.get('n'), facts.head);
    };
    const next = (seq: number) => appendOk(store, 'den', { epoch, drafts: [keyDraft(['last', seq], [`n/${seq}`, 1])] });
    await Promise.all(repeat(200, (index) => [next(index + 2), look()]).flat());
    await look();
    assert.equal((await store.read('den', {})).head, 201);
  });
}

export function familyTests(check: DefineTest): void {
  check('a family has the keys directly below it, with their values and seqs', async (store) => {
    const names = ['member', 'member/aya', 'member/a/b', 'members/cho', 'Member/dai', 'member/ben', 'a/member/eri', 'settings'];
    await openRoom(store, 'den', draft('opens'), keyDraft(...names.map((name): [string, Json] => [name, `value of ${name}`])));
    await openRoom(store, 'attic', keyDraft(['member/fay', 1]));
    assert.deepEqual(await store.listKeys('den', 'member', { limit: NO_LIMIT }), {
      keys: [
        ['aya', { value: 'value of member/aya', seq: 2 }],
        ['ben', { value: 'value of member/ben', seq: 2 }],
      ],
      hasMore: false,
    });
    assert.deepEqual(await namesOf(store, 'den', 'member/a'), ['b']);
    assert.deepEqual(await namesOf(store, 'den', 'a/member'), ['eri']);
    assert.deepEqual(await namesOf(store, 'den', 'a'), []);
    assert.deepEqual(await namesOf(store, 'nowhere', 'member'), []);
  });

  check('a removed key is not in its family any more', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['member/aya', 1], ['member/ben', 1]));
    assert.deepEqual(await namesOf(store, 'den', 'member'), ['aya', 'ben']);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft(['member/aya', null])] });
    assert.deepEqual(await namesOf(store, 'den', 'member'), ['ben']);
  });

  check('names are in the order of their UTF-8 bytes', async (store) => {
    const names = ['b', 'B', 'a', 'aa', '10', '9', 'é', 'ｱ', '\uffff', '😀', '𠮷', '\u007f', ' ', '~'];
    assert.notDeepEqual(sortByUtf8(names), names.toSorted(), 'the order of UTF-16 is another one');
    await openRoom(store, 'den', keyDraft(...names.map((name): [string, Json] => [`member/${name}`, 1])));
    assert.deepEqual(await namesOf(store, 'den', 'member'), sortByUtf8(names));
  });

  check('page by page each name is read once', async (store) => {
    const names = sortByUtf8(repeat(23, (index) => `${['a', 'é', '😀', 'ｱ'][index % 4]}${index}`));
    await openRoom(
      store,
      'den',
      keyDraft(...names.map((name): [string, Json] => [`member/${name}`, 1]), ['member/x/y', 1], ['memberz/a', 1]),
    );
    for (const limit of [1, 5, 22, 23, 24]) assert.deepEqual(await walkFamily(store, 'den', 'member', limit), names);
  });

  check('a page starts after the given name, whether it exists or not', async (store) => {
    await openRoom(store, 'den', keyDraft(['member/a', 1], ['member/c', 1], ['member/e', 1]));
    const after = async (name: string) => (await store.listKeys('den', 'member', { after: name, limit: 2 })).keys.map(([each]) => each);
    assert.deepEqual(await after('a'), ['c', 'e']);
    assert.deepEqual(await after('b'), ['c', 'e']);
    assert.deepEqual(await after('e'), []);
    assert.deepEqual(await after('\u{10ffff}'), []);
  });
}

export function countTests(check: DefineTest): void {
  check('a parent has counts of the families directly below it', async (store) => {
    await openRoom(
      store,
      'den',
      keyDraft(['a/b/c', 1], ['a/b/d', 1], ['a/x/c', 1], ['a/b/c/d', 1], ['a/top', 1], ['m/aya', 1], ['settings', 1]),
    );
    await openRoom(store, 'attic', keyDraft(['a/b/c', 1]));
    const { counts: found } = await store.read('den', { counts: ['a', '', 'a/b', 'm', 'nothing'] });
    assert.deepEqual(
      found,
      new Map([
        [
          'a',
          new Map([
            ['b', 2],
            ['x', 1],
          ]),
        ],
        [
          '',
          new Map([
            ['a', 1],
            ['m', 1],
          ]),
        ],
        ['a/b', new Map([['c', 1]])],
        ['m', new Map()],
        ['nothing', new Map()],
      ]),
    );
  });

  check('counts are exact after keys are set, replaced and removed, and a family without keys is absent', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['m/aya', 1], ['m/ben', 1]));
    const after = async (...drafts: Draft[]): Promise<Record<string, number>> => {
      await appendOk(store, 'den', { epoch, drafts });
      return countsOf(store, 'den', '');
    };
    assert.deepEqual(await countsOf(store, 'den', ''), { m: 2 });
    assert.deepEqual(await after(keyDraft(['m/aya', 2])), { m: 2 });
    assert.deepEqual(await after(keyDraft(['m/nobody', null])), { m: 2 });
    assert.deepEqual(await after(keyDraft(['m/cho', 1]), keyDraft(['m/cho', 2]), keyDraft(['m/dai', 1])), { m: 4 });
    assert.deepEqual(await after(keyDraft(['m/aya', null], ['m/eri', 1]), keyDraft(['m/eri', null])), { m: 3 });
    assert.deepEqual(await after(keyDraft(['m/ben', null], ['m/cho', null], ['m/dai', null])), {});
    assert.deepEqual(await after(keyDraft(['m/aya', 1])), { m: 1 });
  });

  check('counts are exact after hundreds of concurrent changes', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const random = randomFrom(7);
    const pick = (...names: string[]): string => names[Math.floor(random() * names.length)] as string;
    const change = (): [string, Json] => [`${pick('m', 'r/1', 'r/2', 'r')}/${pick('a', 'b', 'c', 'd', 'e')}`, random() < 0.5 ? null : 1];
    await Promise.all(repeat(150, () => appendOk(store, 'den', { epoch, drafts: repeat(2, () => keyDraft(change(), change())) })));

    const found: Record<string, number> = {};
    for (const family of ['m', 'r', 'r/1', 'r/2']) found[family] = (await namesOf(store, 'den', family)).length;
    const top = await countsOf(store, 'den', '');
    const beneath = await countsOf(store, 'den', 'r');
    assert.deepEqual([top.m ?? 0, top.r ?? 0, beneath['1'] ?? 0, beneath['2'] ?? 0], Object.values(found));
    assert.ok(Object.values(found).some((count) => count > 0));
  });
}

/** A seeded random number generator (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
