/**
 * The contract of store.ts as tests, for any engine and any test runner. What an engine alone promises (its disk, its
 * network) is tested beside that engine.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  type Append,
  type Appended,
  type Draft,
  type Entry,
  type Json,
  type Kept,
  type Listener,
  PAGE_BYTES,
  type Page,
  type Store,
  StoreError,
} from './store.ts';

type Test = (name: string, run: () => Promise<void>) => unknown;
type Open = (options?: { clock?: () => number }) => Promise<Store>;
/** Tests one sentence on a store of its own, by a clock that stands still until it is moved. */
type Check = (sentence: string, run: (store: Store, clock: Clock) => Promise<void>) => void;

/** Registers the whole contract with `test`; `open` answers a new and empty store each time. */
export function testStore({ open, test }: { open: Open; test: Test }): void {
  for (const [noun, sentences] of Object.entries(nouns)) {
    sentences((sentence, run) => void test(`${noun}: ${sentence}`, () => onStore(open, run)));
  }
}

const nouns: Record<string, (check: Check) => void> = {
  append: appends,
  epoch: epochs,
  given: givens,
  once: onces,
  keys,
  family: families,
  counts,
  page: pages,
  erases,
  ends,
  rooms,
  subscribe: subscriptions,
  lease: leases,
  strings,
  close: closing,
};

async function onStore(open: Open, run: (store: Store, clock: Clock) => Promise<void>): Promise<void> {
  const clock = new Clock();
  const store = await open({ clock: () => clock.now });
  try {
    await run(store, clock);
  } finally {
    await store.close();
  }
}

class Clock {
  now = 1_700_000_000_000;
  pass(milliseconds: number): void {
    this.now += milliseconds;
  }
}

const ALL = 10_000;

function draft(text: string, more: Partial<Draft> = {}): Draft {
  return { id: randomUUID(), by: 'aya', author: 'user:aya', kind: 'chat', body: { text }, ...more };
}

const sets = (...values: [key: string, value: Json][]): Draft => draft('sets', { sets: values });

/** Appends, which must not be stale. */
async function add(store: Store, room: string, append: Partial<Append> & { drafts: Draft[]; epoch: string | null }): Promise<Kept> {
  const appended = await store.append(room, { given: [], ...append });
  assert.equal(appended.outcome, 'appended', `an append to ${JSON.stringify(room)}`);
  return keptOf(appended);
}

const openRoom = (store: Store, room: string, ...drafts: Draft[]): Promise<Kept> =>
  add(store, room, { epoch: null, drafts: drafts.length > 0 ? drafts : [draft('opens')] });

/** Ends the room, which must be there, and not be there afterwards. */
async function endRoom(store: Store, room: string): Promise<void> {
  const { epoch } = await store.read(room, {});
  assert.notEqual(epoch, null);
  await add(store, room, { epoch, drafts: [draft('ends', { ends: true })] });
  assert.equal((await store.read(room, {})).epoch, null);
}

function keptOf(appended: Appended): Kept {
  assert.notEqual(appended.outcome, 'stale');
  const { epoch, entries } = appended as Kept;
  return { epoch, entries: entries.map(({ seq, id, at }) => ({ seq, id, at })) };
}

async function recall(store: Store, room: string, once: string): Promise<Kept | null> {
  const kept = await store.recall(room, once);
  return kept && keptOf({ outcome: 'repeated', ...kept });
}

async function listRooms(store: Store, ask: { after?: string; limit?: number } = {}) {
  const { rooms: found, more } = await store.rooms({ limit: ALL, ...ask });
  return { rooms: found.map(({ room, epoch, head, at }) => ({ room, epoch, head, at })), more };
}

const listLapsed = async (store: Store) => (await store.lapsed(ALL)).map(({ room, key }) => ({ room, key }));

/** All that can be seen of what an append might have changed. */
async function picture(store: Store, room: string, { drafts, given, once, lapsed }: Append) {
  const named = [...given, ...drafts.flatMap((each) => each.sets ?? [])].map(([key]) => key);
  return {
    facts: await store.read(room, { keys: lapsed === undefined ? named : [...named, lapsed], counts: ['', 'member'] }),
    page: await store.page(room, { limit: ALL }),
    kept: once === undefined ? null : await recall(store, room, once),
    rooms: await listRooms(store),
    lapsed: await listLapsed(store),
  };
}

/** Appends, and nothing must come of it but the expected outcome. */
async function appendsNothing(store: Store, room: string, outcome: 'stale' | 'repeated', more: Partial<Append>): Promise<Appended> {
  const append: Append = { drafts: [draft('in vain')], epoch: null, given: [], ...more };
  const { heard, leave } = await listen(store, room);
  const before = await picture(store, room, append);
  const appended = await store.append(room, append);
  assert.equal(appended.outcome, outcome);
  assert.deepEqual(await picture(store, room, append), before);
  assert.deepEqual(heard, []);
  leave();
  return appended;
}

const isStale = async (store: Store, room: string, more: Partial<Append>): Promise<void> => {
  await appendsNothing(store, room, 'stale', more);
};

async function listen(store: Store, room: string) {
  const heard: Parameters<Listener>[0][] = [];
  const leave = await store.subscribe(room, (told) => heard.push(told));
  return { heard, leave, seqs: () => heard.flatMap(({ entries }) => seqsOf(entries)) };
}

async function entriesOf(store: Store, room: string): Promise<Entry[]> {
  const { entries, more } = await store.page(room, { after: 0, limit: ALL });
  assert.equal(more, false);
  return entries;
}

async function keyOf(store: Store, room: string, key: string) {
  return (await store.read(room, { keys: [key] })).keys.get(key);
}

async function countsOf(store: Store, room: string, parent: string): Promise<Record<string, number>> {
  const families = (await store.read(room, { counts: [parent] })).counts.get(parent);
  assert.ok(families, 'every asked parent is answered');
  return Object.fromEntries([...families].sort());
}

const namesOf = async (store: Store, room: string, family: string): Promise<string[]> =>
  (await store.family(room, family, { limit: ALL })).keys.map(([name]) => name);

const seqsOf = (entries: { seq: number }[]): number[] => entries.map(({ seq }) => seq);
const textsOf = (entries: Entry[]): unknown[] => entries.map(({ body }) => body?.text);
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);
const times = <Result>(count: number, make: (index: number) => Result): Result[] =>
  Array.from({ length: count }, (_, index) => make(index));
const byBytes = (names: string[]): string[] => names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

function appends(check: Check): void {
  check('the first entry of a room is 1, and each one after it is one more', async (store) => {
    const { epoch, entries } = await openRoom(store, 'den', draft('one'), draft('two'));
    const next = await add(store, 'den', { epoch, drafts: [draft('three')] });
    const last = await add(store, 'den', { epoch, drafts: [draft('four'), draft('five')] });
    assert.deepEqual(seqsOf([...entries, ...next.entries, ...last.entries]), upTo(5));
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), ['one', 'two', 'three', 'four', 'five']);
    assert.equal((await store.read('den', {})).head, 5);
  });

  check('an entry is read back as it was drafted', async (store, clock) => {
    const quiet = draft('psst', { quiet: true });
    const listed = draft('hello', { by: 'Aya ✨', author: 'guest:1', kind: 'note', listed: true });
    await openRoom(store, 'den', quiet, listed);
    const first = { ...quiet, seq: 1, prev: null, at: clock.now, listed: false };
    const second = { ...listed, seq: 2, prev: null, at: clock.now, quiet: false };
    assert.deepEqual(await entriesOf(store, 'den'), [first, second]);
    assert.deepEqual(
      (await store.read('den', { seqs: [2, 1] })).entries,
      new Map<number, object>([
        [1, first],
        [2, second],
      ]),
    );
  });

  check('it answers where each of its drafts stands', async (store) => {
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

  check('whatever JSON can say comes back as it was said', async (store) => {
    const text =
      '{"__proto__":{"admin":true},"constructor":1,"text":"\\u0000 \\ud83d\\ude00 \\u2028","deep":[[{"a":[]}],null,true,""],"n":[0.1,-1e-7,1e21,9007199254740991]}';
    const body = JSON.parse(text) as Draft['body'];
    await openRoom(store, 'den', draft('odd', { body, sets: [['odd', body]] }), draft('empty', { body: {} }));
    const [odd, empty] = await entriesOf(store, 'den');
    assert.equal(JSON.stringify(odd?.body), JSON.stringify(body));
    assert.equal(JSON.stringify((await keyOf(store, 'den', 'odd'))?.value), JSON.stringify(body));
    assert.deepEqual(empty?.body, {});
  });

  check('prev is the last entry before it that was not quiet', async (store) => {
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
    await add(store, 'one append', { epoch, drafts: [draft('d')] });
    const prevs = (await entriesOf(store, 'one append')).map(({ prev }) => prev);
    assert.deepEqual(prevs, [null, null, a?.id, a?.id, a?.id, b?.id, drafts.at(-1)?.id]);

    const other = await openRoom(store, 'many appends', drafts[0] as Draft);
    for (const each of drafts.slice(1)) await add(store, 'many appends', { epoch: other.epoch, drafts: [each] });
    assert.deepEqual(
      (await entriesOf(store, 'many appends')).map(({ prev }) => prev),
      prevs.slice(0, -1),
    );
  });

  check('an entry was added when the clock said so, and never before the one before it', async (store, clock) => {
    const start = clock.now;
    const { epoch } = await openRoom(store, 'den');
    clock.pass(1_000);
    await add(store, 'den', { epoch, drafts: [draft('later')] });
    clock.pass(-5_000);
    await add(store, 'den', { epoch, drafts: [draft('the clock went back'), draft('and stays there')] });
    await openRoom(store, 'another room owes it nothing');
    clock.pass(5_001);
    await add(store, 'den', { epoch, drafts: [draft('caught up')] });
    assert.deepEqual(
      (await entriesOf(store, 'den')).map(({ at }) => at - start),
      [0, 1_000, 1_000, 1_000, 1_001],
    );
    assert.equal((await entriesOf(store, 'another room owes it nothing'))[0]?.at, start - 4_000);
  });

  check('of two drafts that set the same key the later counts', async (store) => {
    await openRoom(store, 'den', sets(['a', 1], ['b', 1], ['c', null]), sets(['a', 2], ['b', null], ['c', 3]));
    const { keys: found } = await store.read('den', { keys: ['a', 'b', 'c'] });
    assert.deepEqual(
      found,
      new Map([
        ['a', { value: 2, seq: 2 }],
        ['c', { value: 3, seq: 2 }],
      ]),
    );
  });

  check('drafts of one append stand together, however many append at once', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const all = await Promise.all(times(60, (index) => add(store, 'den', { epoch, drafts: times(3, () => draft(`of ${index}`)) })));
    for (const { entries } of all)
      assert.deepEqual(
        seqsOf(entries),
        times(3, (index) => (entries[0]?.seq ?? 0) + index),
      );
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(181));
  });

  check('appends of one node are kept in the order in which it asked, in every room', async (store) => {
    const rooms = times(25, (index) => `room ${index}`);
    const opened = await Promise.all(rooms.map(async (room) => ({ room, ...(await openRoom(store, room, draft('0'))) })));
    const asked = times(20, (turn) => opened.map(({ room, epoch }) => add(store, room, { epoch, drafts: [draft(String(turn + 1))] })));
    await Promise.all(asked.flat());
    for (const room of rooms) assert.deepEqual(textsOf(await entriesOf(store, room)), times(21, String));
  });

  check('once it is answered, everybody reads it', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    for (const seq of times(20, (index) => index + 2)) {
      await add(store, 'den', { epoch, drafts: [draft('next', { sets: [['last', seq]] })] });
      const { head, keys: found } = await store.read('den', { keys: ['last'] });
      assert.deepEqual([head, found.get('last')], [seq, { value: seq, seq }]);
      assert.equal((await store.page('den', { limit: 1 })).entries[0]?.seq, seq);
    }
  });

  check('a stale one writes nothing at all', async (store, clock) => {
    const leased = draft('leased', {
      sets: [
        ['member/ben', 1],
        ['gone', 1],
      ],
      lease: { key: 'member/ben', node: 'n1' },
    });
    const { epoch } = await openRoom(store, 'den', leased);
    const everything = draft('in vain', {
      sets: [
        ['member/aya', 1],
        ['member/ben', 2],
        ['gone', null],
      ],
      erases: [1],
      lease: { key: 'member/aya', node: 'n2' },
      ends: true,
    });
    const once = 'aya:1';
    await store.beat('n1', 1_000);
    await isStale(store, 'den', { epoch, given: [['gone', 7]], drafts: [draft('first'), everything], once });
    assert.equal(await store.hold('den', { name: 'member/aya', seq: 3 }, 'n2'), false);
    clock.pass(1_001);
    assert.deepEqual(await listLapsed(store), [{ room: 'den', key: 'member/ben' }]);
    await add(store, 'den', { epoch, given: [['gone', 1]], drafts: [draft('decided again')], once });
  });
}

function epochs(check: Check): void {
  check('null opens a room, and is stale where there is one', async (store) => {
    assert.deepEqual((await store.read('den', {})).epoch, null);
    const { epoch } = await openRoom(store, 'den');
    assert.equal((await store.read('den', {})).epoch, epoch);
    await isStale(store, 'den', { epoch: null });
  });

  check('another life is stale, and so is any where there is no room', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const other = await openRoom(store, 'attic');
    assert.notEqual(other.epoch, epoch);
    await isStale(store, 'den', { epoch: other.epoch });
    await isStale(store, 'nowhere', { epoch });
  });

  check('of many that open the same room at once one does', async (store) => {
    const opened = await Promise.all(
      times(100, (index) => store.append('den', { epoch: null, given: [], drafts: [draft(`by ${index}`)] })),
    );
    assert.equal(opened.filter(({ outcome }) => outcome === 'appended').length, 1);
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), [`by ${opened.findIndex(({ outcome }) => outcome === 'appended')}`]);
  });

  check('a decision on one life never reaches the next, though its keys have the same seqs', async (store) => {
    const first = await openRoom(store, 'den', sets(['member/aya', 'owner']));
    await endRoom(store, 'den');
    const second = await openRoom(store, 'den', sets(['member/aya', 'member']));
    assert.equal((await keyOf(store, 'den', 'member/aya'))?.seq, 1);
    await isStale(store, 'den', { epoch: first.epoch, given: [['member/aya', 1]] });
    await add(store, 'den', { epoch: second.epoch, given: [['member/aya', 1]], drafts: [draft('of this life')] });
  });
}

function givens(check: Check): void {
  check('it passes while no key has moved, whatever else has', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['member/aya', 1]), sets(['settings', 1]));
    await add(store, 'den', { epoch, drafts: [sets(['member/ben', 1])] });
    const given: Append['given'] = [
      ['member/aya', 1],
      ['settings', 2],
      ['member/cho', 0],
    ];
    await add(store, 'den', { epoch, given, drafts: [draft('hello')] });
  });

  check('a key that was replaced, removed or set since is stale, and so is one of several', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['a', 1], ['b', 1], ['same', 1]));
    await add(store, 'den', { epoch, drafts: [sets(['a', 1], ['b', null], ['c', 1])] });
    await isStale(store, 'den', { epoch, given: [['a', 1]] });
    await isStale(store, 'den', { epoch, given: [['b', 1]] });
    await isStale(store, 'den', { epoch, given: [['c', 0]] });
    await isStale(store, 'den', {
      epoch,
      given: [
        ['same', 1],
        ['a', 1],
      ],
    });
    await add(store, 'den', {
      epoch,
      given: [
        ['same', 1],
        ['a', 2],
        ['b', 0],
        ['c', 2],
      ],
      drafts: [draft('all as they are')],
    });
  });

  check('a removed key is absent again, and set anew it is another one', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['a', 1]));
    await add(store, 'den', { epoch, given: [['a', 1]], drafts: [sets(['a', null])] });
    await add(store, 'den', { epoch, given: [['a', 0]], drafts: [sets(['a', 1])] });
    await isStale(store, 'den', { epoch, given: [['a', 1]] });
    await isStale(store, 'den', { epoch, given: [['a', 0]] });
    await add(store, 'den', { epoch, given: [['a', 3]], drafts: [draft('hello')] });
  });

  check('where there is no room no key has a value', async (store) => {
    await isStale(store, 'den', { epoch: null, given: [['a', 1]] });
    await add(store, 'den', { epoch: null, given: [['a', 0]], drafts: [draft('opens')] });
  });

  check('of 200 appends at once that rest on the same absent key one is appended', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const claim = (index: number): Append => ({ epoch, given: [['name/aya', 0]], drafts: [sets(['name/aya', index])] });
    const claims = await Promise.all(times(200, (index) => store.append('den', claim(index))));
    assert.equal(claims.filter(({ outcome }) => outcome === 'appended').length, 1);
    assert.equal(claims.filter(({ outcome }) => outcome === 'stale').length, 199);
    assert.equal(
      (await keyOf(store, 'den', 'name/aya'))?.value,
      claims.findIndex(({ outcome }) => outcome === 'appended'),
    );
    assert.equal((await store.read('den', {})).head, 2);
  });

  check('appends at once that each rest on what they read lose nothing', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['count', 0]));
    const increase = async (): Promise<void> => {
      const count = await keyOf(store, 'den', 'count');
      assert.ok(count);
      const drafts = [sets(['count', Number(count.value) + 1])];
      const { outcome } = await store.append('den', { epoch, given: [['count', count.seq]], drafts });
      if (outcome === 'stale') await increase();
    };
    await Promise.all(times(12, increase));
    assert.deepEqual(await keyOf(store, 'den', 'count'), { value: 12, seq: 13 });
  });
}

function onces(check: Check): void {
  const once = 'aya:c1';

  check('a retry by the same name is answered as the first time, and writes nothing', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den');
    const first = await add(store, 'den', { epoch, once, drafts: [draft('one'), draft('two', { quiet: true })] });
    assert.equal(first.entries.length, 2);
    clock.pass(1_000);
    const retry = await appendsNothing(store, 'den', 'repeated', {
      epoch,
      once,
      drafts: [draft('one again', { sets: [['a', 1]], ends: true })],
    });
    assert.deepEqual(keptOf(retry), first);
  });

  check('a retry by the same name is answered as the first time, even when what it rested on moved', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['member/aya', 1]));
    const first = await add(store, 'den', { epoch, given: [['member/aya', 1]], once, drafts: [sets(['name', 1])] });
    await add(store, 'den', { epoch, drafts: [sets(['member/aya', null], ['name', null])] });
    await isStale(store, 'den', { epoch, given: [['member/aya', 1]] });
    for (const asked of [epoch, null, 'another life']) {
      const retry = await appendsNothing(store, 'den', 'repeated', { epoch: asked, given: [['member/aya', 1]], once });
      assert.deepEqual(keptOf(retry), first);
    }
  });

  check('what opened the room is repeated too', async (store) => {
    const first = await add(store, 'den', { epoch: null, once, drafts: [draft('opens')] });
    assert.deepEqual(keptOf(await appendsNothing(store, 'den', 'repeated', { epoch: null, once })), first);
  });

  check('of two at once one is appended and the other is repeated', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const twice = await Promise.all(times(2, () => store.append('den', { epoch, given: [], once, drafts: [draft('hello')] })));
    assert.deepEqual(twice.map(({ outcome }) => outcome).sort(), ['appended', 'repeated']);
    assert.deepEqual(...(twice.map(keptOf) as [Kept, Kept]));
    assert.equal((await store.read('den', {})).head, 2);
  });

  check('what was erased since is still repeated', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const first = await add(store, 'den', { epoch, once, drafts: [draft('secret')] });
    await add(store, 'den', { epoch, drafts: [draft('erases', { erases: [2] })] });
    assert.deepEqual(keptOf(await appendsNothing(store, 'den', 'repeated', { epoch, once })), first);
  });

  check('a day of other appends does not make it forget', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den');
    const first = await add(store, 'den', { epoch, once, drafts: [draft('hello')] });
    await Promise.all(times(300, (index) => add(store, 'den', { epoch, once: `ben:${index}`, drafts: [draft('hi')] })));
    clock.pass(24 * 60 * 60 * 1_000);
    assert.deepEqual(keptOf(await appendsNothing(store, 'den', 'repeated', { epoch, once })), first);
  });

  check('a stale append is not remembered', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    await isStale(store, 'den', { epoch: null, once });
    assert.equal((await store.append('den', { epoch, given: [], once, drafts: [draft('hello')] })).outcome, 'appended');
  });

  check('a name says nothing in another room, and no name is no name', async (store) => {
    const { epoch } = await add(store, 'den', { epoch: null, once, drafts: [draft('hello')] });
    await add(store, 'attic', { epoch: null, once, drafts: [draft('hello')] });
    await add(store, 'den', { epoch, drafts: [draft('nameless')] });
    await add(store, 'den', { epoch, drafts: [draft('nameless too')] });
    await add(store, 'den', { epoch, once: '', drafts: [draft('an empty name is one')] });
    await appendsNothing(store, 'den', 'repeated', { epoch, once: '' });
  });

  check('recall answers what the first was answered, and null where there was none', async (store) => {
    const first = await add(store, 'den', { epoch: null, once, drafts: [draft('one'), draft('two')] });
    await openRoom(store, 'attic');
    assert.deepEqual(await recall(store, 'den', once), first);
    assert.equal(await recall(store, 'den', 'aya:c2'), null);
    assert.equal(await recall(store, 'attic', once), null);
    assert.equal(await recall(store, 'nowhere', once), null);
  });
}

function keys(check: Check): void {
  check('a key has the value and the seq of the entry that set it last, and none once removed', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['a', 'one']));
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 'one', seq: 1 });
    await add(store, 'den', { epoch, drafts: [draft('nothing'), sets(['a', 'two'])] });
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 'two', seq: 3 });
    await add(store, 'den', { epoch, drafts: [sets(['a', null])] });
    assert.equal(await keyOf(store, 'den', 'a'), undefined);
    await add(store, 'den', { epoch, drafts: [sets(['a', null])] });
    await add(store, 'den', { epoch, drafts: [sets(['a', 'three'])] });
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 'three', seq: 6 });
  });

  check('every value but null is one', async (store) => {
    const values: [string, Json][] = [
      ['no', false],
      ['zero', 0],
      ['empty', ''],
      ['list', []],
      ['object', {}],
      ['nulls', [null]],
    ];
    await openRoom(store, 'den', sets(...values));
    const { keys: found } = await store.read('den', { keys: values.map(([key]) => key) });
    assert.deepEqual(found, new Map(values.map(([key, value]) => [key, { value, seq: 1 }])));
  });

  check('only what was asked for is answered, and only what there is', async (store) => {
    await openRoom(store, 'den', sets(['a', 1], ['b', 1]), draft('two'));
    const facts = await store.read('den', { keys: ['a', 'c'], seqs: [2, 0, -1, 3, 1_000] });
    assert.deepEqual([...facts.keys.keys()], ['a']);
    assert.deepEqual([...facts.entries.keys()], [2]);
    assert.deepEqual(facts.counts, new Map());
  });

  check('where there is no room there is nothing', async (store) => {
    await openRoom(store, 'den', sets(['a', 1], ['member/aya', 1]));
    const facts = await store.read('attic', { keys: ['a'], seqs: [1], counts: ['', 'member'] });
    const counted = new Map([
      ['', new Map()],
      ['member', new Map()],
    ]);
    assert.deepEqual(facts, { epoch: null, head: 0, keys: new Map(), entries: new Map(), counts: counted });
  });

  check('what is read together is of one moment', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['last', 1], ['n/1', 1]));
    const look = async (): Promise<void> => {
      const facts = await store.read('den', { keys: ['last'], seqs: upTo(202), counts: [''] });
      assert.equal(facts.keys.get('last')?.seq, facts.head);
      assert.equal(facts.entries.size, facts.head);
      assert.equal(facts.counts.get('')?.get('n'), facts.head);
    };
    const next = (seq: number) => add(store, 'den', { epoch, drafts: [sets(['last', seq], [`n/${seq}`, 1])] });
    await Promise.all(times(200, (index) => [next(index + 2), look()]).flat());
    await look();
    assert.equal((await store.read('den', {})).head, 201);
  });
}

function families(check: Check): void {
  check('it has the keys directly in it, with their values and seqs', async (store) => {
    const names = ['member', 'member/aya', 'member/a/b', 'members/cho', 'Member/dai', 'member/ben', 'a/member/eri', 'settings'];
    await openRoom(store, 'den', draft('opens'), sets(...names.map((name): [string, Json] => [name, `value of ${name}`])));
    await openRoom(store, 'attic', sets(['member/fay', 1]));
    assert.deepEqual(await store.family('den', 'member', { limit: ALL }), {
      keys: [
        ['aya', { value: 'value of member/aya', seq: 2 }],
        ['ben', { value: 'value of member/ben', seq: 2 }],
      ],
      more: false,
    });
    assert.deepEqual(await namesOf(store, 'den', 'member/a'), ['b']);
    assert.deepEqual(await namesOf(store, 'den', 'a/member'), ['eri']);
    assert.deepEqual(await namesOf(store, 'den', 'a'), []);
    assert.deepEqual(await namesOf(store, 'nowhere', 'member'), []);
  });

  check('a removed key is no longer in it', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['member/aya', 1], ['member/ben', 1]));
    assert.deepEqual(await namesOf(store, 'den', 'member'), ['aya', 'ben']);
    await add(store, 'den', { epoch, drafts: [sets(['member/aya', null])] });
    assert.deepEqual(await namesOf(store, 'den', 'member'), ['ben']);
  });

  check('its names are in the order of their UTF-8 bytes', async (store) => {
    const names = ['b', 'B', 'a', 'aa', '10', '9', 'é', 'ｱ', '\uffff', '😀', '𠮷', '\u007f', ' ', '~'];
    assert.notDeepEqual(byBytes(names), names.toSorted(), 'the order of UTF-16 is another one');
    await openRoom(store, 'den', sets(...names.map((name): [string, Json] => [`member/${name}`, 1])));
    assert.deepEqual(await namesOf(store, 'den', 'member'), byBytes(names));
  });

  check('it is read page by page, each name once', async (store) => {
    const names = byBytes(times(23, (index) => `${['a', 'é', '😀', 'ｱ'][index % 4]}${index}`));
    await openRoom(store, 'den', sets(...names.map((name): [string, Json] => [`member/${name}`, 1]), ['member/x/y', 1], ['memberz/a', 1]));
    for (const limit of [1, 5, 22, 23, 24]) assert.deepEqual(await walkFamily(store, 'den', 'member', limit), names);
  });

  check('a page starts after the named one, whether there is such a name or not', async (store) => {
    await openRoom(store, 'den', sets(['member/a', 1], ['member/c', 1], ['member/e', 1]));
    const after = async (name: string) => (await store.family('den', 'member', { after: name, limit: 2 })).keys.map(([each]) => each);
    assert.deepEqual(await after('a'), ['c', 'e']);
    assert.deepEqual(await after('b'), ['c', 'e']);
    assert.deepEqual(await after('e'), []);
    assert.deepEqual(await after('\u{10ffff}'), []);
  });
}

async function walkFamily(store: Store, room: string, family: string, limit: number): Promise<string[]> {
  const names: string[] = [];
  for (let more = true; more; ) {
    const page = await store.family(room, family, { limit, ...(names.length > 0 && { after: names.at(-1) }) });
    assert.ok(page.keys.length === limit || !page.more, 'a page with more to come is full');
    assert.ok(page.keys.length > 0, 'there was more');
    names.push(...page.keys.map(([name]) => name));
    more = page.more;
  }
  return names;
}

function counts(check: Check): void {
  check('they are of the families directly beneath a parent', async (store) => {
    await openRoom(
      store,
      'den',
      sets(['a/b/c', 1], ['a/b/d', 1], ['a/x/c', 1], ['a/b/c/d', 1], ['a/top', 1], ['m/aya', 1], ['settings', 1]),
    );
    await openRoom(store, 'attic', sets(['a/b/c', 1]));
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

  check('they stay exact when keys are set, replaced and removed, and a family without keys is none', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['m/aya', 1], ['m/ben', 1]));
    const after = async (...drafts: Draft[]): Promise<Record<string, number>> => {
      await add(store, 'den', { epoch, drafts });
      return countsOf(store, 'den', '');
    };
    assert.deepEqual(await countsOf(store, 'den', ''), { m: 2 });
    assert.deepEqual(await after(sets(['m/aya', 2])), { m: 2 });
    assert.deepEqual(await after(sets(['m/nobody', null])), { m: 2 });
    assert.deepEqual(await after(sets(['m/cho', 1]), sets(['m/cho', 2]), sets(['m/dai', 1])), { m: 4 });
    assert.deepEqual(await after(sets(['m/aya', null], ['m/eri', 1]), sets(['m/eri', null])), { m: 3 });
    assert.deepEqual(await after(sets(['m/ben', null], ['m/cho', null], ['m/dai', null])), {});
    assert.deepEqual(await after(sets(['m/aya', 1])), { m: 1 });
  });

  check('after hundreds of changes at once they are what there is', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const random = randomFrom(7);
    const pick = (...names: string[]): string => names[Math.floor(random() * names.length)] as string;
    const change = (): [string, Json] => [`${pick('m', 'r/1', 'r/2', 'r')}/${pick('a', 'b', 'c', 'd', 'e')}`, random() < 0.5 ? null : 1];
    await Promise.all(times(150, () => add(store, 'den', { epoch, drafts: times(2, () => sets(change(), change())) })));

    const found: Record<string, number> = {};
    for (const family of ['m', 'r', 'r/1', 'r/2']) found[family] = (await namesOf(store, 'den', family)).length;
    const top = await countsOf(store, 'den', '');
    const beneath = await countsOf(store, 'den', 'r');
    assert.deepEqual([top.m ?? 0, top.r ?? 0, beneath['1'] ?? 0, beneath['2'] ?? 0], Object.values(found));
    assert.ok(Object.values(found).some((count) => count > 0));
  });
}

/** The same numbers each time (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function pages(check: Check): void {
  const everyThird = times(12, (index) => draft(String(index + 1), { listed: (index + 1) % 3 === 0, quiet: index % 2 === 0 }));
  const ask = async (store: Store, question: Partial<Parameters<Store['page']>[1]>) => {
    const { entries, more } = await store.page('den', { limit: 3, ...question });
    return { seqs: seqsOf(entries), more };
  };

  check('it has the newest entries, in the order of their seqs, quiet ones too', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    const page = await store.page('den', { limit: 3 });
    assert.deepEqual([page.epoch, page.head, seqsOf(page.entries), page.more], [epoch, 12, [10, 11, 12], true]);
    assert.deepEqual(await ask(store, { limit: 12 }), { seqs: upTo(12), more: false });
    assert.deepEqual(await ask(store, { limit: 100 }), { seqs: upTo(12), more: false });
  });

  check('before and after name what is next to it', async (store) => {
    await openRoom(store, 'den', ...everyThird);
    assert.deepEqual(await ask(store, { before: 9 }), { seqs: [6, 7, 8], more: true });
    assert.deepEqual(await ask(store, { before: 4 }), { seqs: [1, 2, 3], more: false });
    assert.deepEqual(await ask(store, { before: 1 }), { seqs: [], more: false });
    assert.deepEqual(await ask(store, { before: 1_000 }), { seqs: [10, 11, 12], more: true });
    assert.deepEqual(await ask(store, { after: 0 }), { seqs: [1, 2, 3], more: true });
    assert.deepEqual(await ask(store, { after: 8 }), { seqs: [9, 10, 11], more: true });
    assert.deepEqual(await ask(store, { after: 9 }), { seqs: [10, 11, 12], more: false });
    assert.deepEqual(await ask(store, { after: 12 }), { seqs: [], more: false });
    assert.deepEqual(await ask(store, { after: 1_000 }), { seqs: [], more: false });
  });

  check('listed leaves the others out, also of more', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    await add(store, 'den', { epoch, drafts: [draft('not listed')] });
    assert.deepEqual(await ask(store, { listed: true }), { seqs: [6, 9, 12], more: true });
    assert.deepEqual(await ask(store, { listed: true, limit: 4 }), { seqs: [3, 6, 9, 12], more: false });
    assert.deepEqual(await ask(store, { listed: true, before: 9, limit: 1 }), { seqs: [6], more: true });
    assert.deepEqual(await ask(store, { listed: true, before: 6 }), { seqs: [3], more: false });
    assert.deepEqual(await ask(store, { listed: true, after: 3, limit: 2 }), { seqs: [6, 9], more: true });
    assert.deepEqual(await ask(store, { listed: true, after: 3 }), { seqs: [6, 9, 12], more: false });
    assert.deepEqual(await ask(store, { listed: true, after: 12 }), { seqs: [], more: false });
    assert.equal((await store.page('den', { listed: true, limit: 1 })).head, 13);
  });

  check('page by page the whole log is met, each entry once, in both directions', async (store) => {
    await openRoom(store, 'den', ...everyThird);
    for (const limit of [1, 5, 11, 12, 13]) {
      assert.deepEqual(seqsOf(await walk(store, 'up', limit)), upTo(12));
      assert.deepEqual(seqsOf(await walk(store, 'down', limit)), upTo(12));
    }
  });

  check('where there is no room there is none', async (store) => {
    await openRoom(store, 'den');
    for (const question of [{}, { before: 5 }, { after: 0 }, { listed: true }]) {
      assert.deepEqual(await store.page('nowhere', { limit: 3, ...question }), { epoch: null, head: 0, entries: [], more: false });
    }
  });

  check('its head is of the same moment', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const look = async (): Promise<void> => {
      const { head, entries } = await store.page('den', { limit: 2 });
      assert.equal(entries.at(-1)?.seq, head);
    };
    await Promise.all(times(200, () => [add(store, 'den', { epoch, drafts: [draft('next')] }), look()]).flat());
    assert.equal((await store.page('den', { limit: 1 })).head, 201);
  });

  check('one that ended early does not hold back what is read next', async (store) => {
    const { epoch } = await openRoom(store, 'den', ...everyThird);
    for (const seq of [13, 14, 15]) {
      assert.equal((await store.page('den', { after: 0, limit: 1 })).more, true);
      await add(store, 'den', { epoch, drafts: [draft('next')] });
      assert.deepEqual(seqsOf((await store.page('den', { limit: 1 })).entries), [seq]);
    }
  });

  for (const [letters, letter] of [
    ['letters of one byte', 'x'],
    ['letters of three bytes', 'あ'],
  ] as const) {
    check(`its bodies are bounded in bytes, also with ${letters}`, async (store) => {
      const size = 90_000;
      const { epoch } = await openRoom(store, 'den');
      for (const _ of upTo(30))
        await add(store, 'den', { epoch, drafts: [draft(letter.repeat(size / Buffer.byteLength(letter)), { listed: true })] });
      for (const direction of ['up', 'down'] as const) {
        const met = await walk(store, direction, ALL, (page) => isBounded(page, direction, size + 100));
        assert.deepEqual(seqsOf(met), upTo(31));
      }
    });
  }

  check('a single entry that is larger is a page by itself', async (store) => {
    const large = draft('x'.repeat(PAGE_BYTES + 1));
    await openRoom(store, 'den', draft('small'), large, draft('small'));
    assert.deepEqual(await ask(store, { before: 3 }), { seqs: [2], more: true });
    assert.deepEqual(await ask(store, { after: 1 }), { seqs: [2], more: true });
    assert.deepEqual(seqsOf(await walk(store, 'up', ALL)), [1, 2, 3]);
  });
}

const bytesOf = ({ body }: Entry): number => Buffer.byteLength(JSON.stringify(body));

/** Full, or as full as it may be. */
function isBounded({ entries, more }: Page, direction: 'up' | 'down', largest: number): void {
  const nearest = direction === 'up' ? entries : entries.toReversed();
  const bytes = nearest.reduce((sum, entry) => sum + bytesOf(entry), 0);
  assert.ok(bytes - bytesOf(nearest.at(-1) as Entry) <= PAGE_BYTES, `${bytes} bytes in ${entries.length} entries`);
  assert.ok(!more || bytes > PAGE_BYTES - largest, 'it does not end earlier than it must');
}

/** All entries of the den, page by page. */
async function walk(store: Store, direction: 'up' | 'down', limit: number, look?: (page: Page) => void): Promise<Entry[]> {
  let met: Entry[] = [];
  for (let more = true; more; ) {
    const edge = direction === 'up' ? (met.at(-1)?.seq ?? 0) : (met[0]?.seq ?? Number.MAX_SAFE_INTEGER);
    const page = await store.page('den', { limit, [direction === 'up' ? 'after' : 'before']: edge });
    if (page.entries.length > 0) look?.(page);
    met = direction === 'up' ? [...met, ...page.entries] : [...page.entries, ...met];
    assert.ok(page.entries.length > 0 || !page.more, 'a page has one entry at least');
    more = page.more;
  }
  return met;
}

function erases(check: Check): void {
  check('the body is gone, and the rest of the entry stays', async (store) => {
    const { epoch } = await openRoom(
      store,
      'den',
      draft('one'),
      draft('secret', { listed: true, sets: [['a', 1]] }),
      draft('secret', { quiet: true }),
    );
    const before = await entriesOf(store, 'den');
    assert.deepEqual(textsOf(before), ['one', 'secret', 'secret']);
    const eraser = draft('erases', { erases: [2, 3] });
    await add(store, 'den', { epoch, drafts: [eraser] });

    const [first, second, third, fourth] = await entriesOf(store, 'den');
    assert.deepEqual([first, second, third], [before[0], { ...before[1], body: null }, { ...before[2], body: null }]);
    assert.deepEqual(fourth?.prev, before[1]?.id);
    assert.deepEqual((await store.read('den', { seqs: [2] })).entries.get(2), { ...before[1], body: null });
    assert.deepEqual(seqsOf((await store.page('den', { listed: true, limit: 5 })).entries), [2]);
    assert.deepEqual(await keyOf(store, 'den', 'a'), { value: 1, seq: 2 });
  });

  check('unknown seqs are passed over, and stay unharmed when they come', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('one'));
    await add(store, 'den', { epoch, drafts: [draft('two', { erases: [0, -1, 3, 1_000] })] });
    await add(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual(textsOf(await entriesOf(store, 'den')), ['one', 'two', 'three']);
  });

  check('what is erased may be erased again, and the same seq of another room is another', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('one'));
    await openRoom(store, 'attic', draft('one'));
    for (const erased of [[1], [1, 1]]) await add(store, 'den', { epoch, drafts: [draft('erases', { erases: erased })] });
    assert.equal((await entriesOf(store, 'den'))[0]?.body, null);
    assert.deepEqual(textsOf(await entriesOf(store, 'attic')), ['one']);
  });

  check('erased bodies take no room in a page', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    for (const _ of upTo(15)) await add(store, 'den', { epoch, drafts: [draft('x'.repeat(100_000))] });
    assert.equal((await store.page('den', { limit: ALL })).more, true);
    await add(store, 'den', { epoch, drafts: [draft('erases', { erases: upTo(16) })] });
    assert.deepEqual(seqsOf(await entriesOf(store, 'den')), upTo(17));
  });
}

function ends(check: Check): void {
  check('listeners hear the last entry, then nothing is left', async (store, clock) => {
    const member = draft('joins', {
      sets: [
        ['member/aya', 1],
        ['settings', 1],
      ],
      lease: { key: 'member/aya', node: 'n1' },
      listed: true,
    });
    const { epoch } = await add(store, 'den', { epoch: null, once: 'aya:1', drafts: [member] });
    assert.deepEqual(await listLapsed(store), [{ room: 'den', key: 'member/aya' }]);
    assert.deepEqual(await countsOf(store, 'den', ''), { member: 1 });
    const { heard } = await listen(store, 'den');
    const last = draft('farewell', { ends: true });
    await add(store, 'den', { epoch, drafts: [draft('see you'), last] });

    assert.deepEqual(heard.map(({ ended }) => ended).at(-1), true);
    assert.deepEqual(
      heard.flatMap(({ entries }) => textsOf(entries)),
      ['see you', 'farewell'],
    );
    const facts = await store.read('den', { keys: ['member/aya', 'settings'], seqs: [1, 2], counts: [''] });
    assert.deepEqual(facts, { epoch: null, head: 0, keys: new Map(), entries: new Map(), counts: new Map([['', new Map()]]) });
    assert.deepEqual(await store.page('den', { limit: 5 }), { epoch: null, head: 0, entries: [], more: false });
    assert.deepEqual(await namesOf(store, 'den', 'member'), []);
    assert.deepEqual((await listRooms(store)).rooms, []);
    clock.pass(1_000);
    assert.deepEqual(await listLapsed(store), []);
    assert.equal(await store.hold('den', { name: 'member/aya', seq: 1 }, 'n1'), false);
    await isStale(store, 'den', { epoch });
  });

  check('the name is free for a new life, which has nothing of the one before', async (store) => {
    const lives = new Set<string>();
    for (const life of times(10, String)) {
      const { epoch, entries } = await openRoom(store, 'den', draft(life, { sets: [[`of/${life}`, 1]] }));
      assert.deepEqual(seqsOf(entries), [1]);
      assert.deepEqual(
        (await entriesOf(store, 'den')).map(({ body, prev }) => [body?.text, prev]),
        [[life, null]],
      );
      assert.deepEqual(await namesOf(store, 'den', 'of'), [life]);
      assert.deepEqual(await countsOf(store, 'den', ''), { of: 1 });
      lives.add(epoch);
      await endRoom(store, 'den');
    }
    assert.equal(lives.size, 10);
  });

  check('a lease of the life before is no lease of the key of the same name', async (store) => {
    await openRoom(store, 'den', draft('joins', { sets: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } }));
    assert.equal(await store.hold('den', { name: 'member/aya', seq: 1 }, 'n1'), true);
    await endRoom(store, 'den');
    await openRoom(store, 'den', sets(['member/aya', 1]));
    assert.equal(await store.hold('den', { name: 'member/aya', seq: 1 }, 'n1'), false);
    assert.deepEqual(await listLapsed(store), []);
  });

  check('other rooms go on', async (store) => {
    await openRoom(store, 'den', sets(['a/b', 1]));
    const { epoch } = await openRoom(store, 'attic', sets(['a/b', 1]));
    await endRoom(store, 'den');
    await add(store, 'attic', { epoch, given: [['a/b', 1]], drafts: [draft('still here')] });
    assert.deepEqual(await countsOf(store, 'attic', ''), { a: 1 });
    assert.deepEqual(
      (await listRooms(store)).rooms.map(({ room }) => room),
      ['attic'],
    );
  });

  check('of many that end it at once one does, and what comes behind it is stale', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const last = (): Append => ({ epoch, given: [], drafts: [draft('ends', { ends: true })] });
    const outcomes = (await Promise.all(times(20, () => store.append('den', last())))).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['appended', ...times(19, () => 'stale')]);
  });

  check('a room may open and end in one append', async (store) => {
    const { heard } = await listen(store, 'den');
    await openRoom(store, 'den', draft('brief', { ends: true, sets: [['a/b', 1]] }));
    assert.deepEqual(
      heard.map(({ ended, entries }) => [ended, textsOf(entries)]),
      [[true, ['brief']]],
    );
    assert.equal((await store.read('den', {})).epoch, null);
    await openRoom(store, 'den');
    assert.deepEqual(await countsOf(store, 'den', ''), {});
  });
}

function rooms(check: Check): void {
  check('they are listed with their life, their newest entry and its time', async (store, clock) => {
    const start = clock.now;
    assert.deepEqual(await listRooms(store), { rooms: [], more: false });
    const attic = await openRoom(store, 'attic', draft('one'), draft('two'));
    const den = await openRoom(store, 'den');
    clock.pass(1_000);
    await add(store, 'attic', { epoch: attic.epoch, drafts: [draft('three', { quiet: true })] });
    assert.deepEqual(await listRooms(store), {
      rooms: [
        { room: 'attic', epoch: attic.epoch, head: 3, at: start + 1_000 },
        { room: 'den', epoch: den.epoch, head: 1, at: start },
      ],
      more: false,
    });
  });

  check('they are in the order of their UTF-8 bytes, page by page, each once', async (store) => {
    const names = ['b', 'B', 'aa', 'a', '10', '9', 'é', 'ｱ', '\uffff', '😀', '𠮷', ' '];
    assert.notDeepEqual(byBytes(names), names.toSorted(), 'the order of UTF-16 is another one');
    await Promise.all(names.map((name) => openRoom(store, name)));
    for (const limit of [1, 5, 11, 12, 13]) assert.deepEqual(await walkRooms(store, limit), byBytes(names));
    assert.deepEqual(
      (await listRooms(store, { after: 'ab', limit: 1 })).rooms.map(({ room }) => room),
      ['b'],
    );
    assert.deepEqual(await listRooms(store, { after: '\u{10ffff}' }), { rooms: [], more: false });
  });
}

async function walkRooms(store: Store, limit: number): Promise<string[]> {
  const names: string[] = [];
  for (let more = true; more; ) {
    const page = await listRooms(store, { limit, ...(names.length > 0 && { after: names.at(-1) }) });
    assert.ok(page.rooms.length === limit || !page.more, 'a page with more to come is full');
    assert.ok(page.rooms.length > 0, 'there was more');
    names.push(...page.rooms.map(({ room }) => room));
    more = page.more;
  }
  return names;
}

function subscriptions(check: Check): void {
  check('an append is heard before it resolves, as it will be read', async (store) => {
    const { heard, seqs } = await listen(store, 'den');
    const { epoch } = await openRoom(store, 'den', draft('opens', { listed: true }));
    assert.deepEqual(seqs(), [1]);
    await add(store, 'den', { epoch, drafts: [draft('quiet', { quiet: true }), draft('two')] });
    assert.deepEqual(
      heard.flatMap(({ entries }) => entries),
      await entriesOf(store, 'den'),
    );
    assert.deepEqual([...new Set(heard.map((told) => `${told.epoch} ${told.ended}`))], [`${epoch} false`]);
  });

  check('appends of many at once are heard in order and whole', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const { seqs } = await listen(store, 'den');
    const append = async (): Promise<void> => {
      const { entries } = await add(store, 'den', { epoch, drafts: [draft('one'), draft('two')] });
      assert.ok(seqs().includes(entries[1]?.seq ?? 0), 'heard before it resolves');
    };
    await Promise.all(times(100, append));
    assert.deepEqual(seqs(), upTo(201).slice(1));
  });

  check('only its own room is heard', async (store) => {
    const { seqs } = await listen(store, 'den');
    const similar = ['Den', 'den ', 'de', 'denn', 'den/den', 'den*', '*'];
    for (const room of similar) await openRoom(store, room, draft('elsewhere'));
    assert.deepEqual(seqs(), []);
    await openRoom(store, 'den');
    assert.deepEqual(seqs(), [1]);
  });

  check('who stops listening hears no more, and the others do', async (store) => {
    const first = await listen(store, 'den');
    const second = await listen(store, 'den');
    const { epoch } = await openRoom(store, 'den');
    first.leave();
    first.leave();
    await add(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual([first.seqs(), second.seqs()], [[1], [1, 2]]);
    second.leave();
    const third = await listen(store, 'den');
    await add(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual([first.seqs(), second.seqs(), third.seqs()], [[1], [1, 2], [3]]);
  });

  check('a listener of two subscriptions hears until it has left both', async (store) => {
    const seqs = new Set<number>();
    const listener: Listener = ({ entries }) => {
      for (const { seq } of entries) seqs.add(seq);
    };
    const [leaveFirst, leaveSecond] = [await store.subscribe('den', listener), await store.subscribe('den', listener)];
    const { epoch } = await openRoom(store, 'den');
    leaveFirst();
    await add(store, 'den', { epoch, drafts: [draft('two')] });
    leaveSecond();
    await add(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual([...seqs], [1, 2]);
  });

  check('who leaves while it hears harms nobody', async (store) => {
    const heard: string[] = [];
    const leave = await store.subscribe('den', () => {
      heard.push('once');
      leave();
    });
    await store.subscribe('den', () => heard.push('always'));
    const { epoch } = await openRoom(store, 'den');
    await add(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual(heard.sort(), ['always', 'always', 'once']);
  });

  check('one subscription lasts over the lives of a room', async (store) => {
    const { heard } = await listen(store, 'den');
    const first = await openRoom(store, 'den');
    await endRoom(store, 'den');
    const second = await openRoom(store, 'den');
    assert.deepEqual(
      heard.map(({ epoch, entries, ended }) => [epoch, seqsOf(entries), ended]),
      [
        [first.epoch, [1], false],
        [first.epoch, [2], true],
        [second.epoch, [1], false],
      ],
    );
  });
}

function leases(check: Check): void {
  const key = 'member/aya';
  const joins = (node: string, name = key): Draft => draft('joins', { sets: [[name, 1]], lease: { key: name, node } });
  const hold = (store: Store, node: string, seq = 1): Promise<boolean> => store.hold('den', { name: key, seq }, node);
  /** Lapsed for who lists it and for who would append. */
  const hasLapsed = async (store: Store): Promise<boolean> => {
    const { epoch } = await store.read('den', {});
    const listed = (await listLapsed(store)).some((lease) => lease.room === 'den' && lease.key === key);
    const { outcome } = await store.append('den', { epoch, given: [], lapsed: key, drafts: [draft('has lapsed')] });
    assert.equal(outcome, listed ? 'appended' : 'stale');
    return listed;
  };

  check('it is held while its node beats, and has run out when the node is gone', async (store, clock) => {
    await store.beat('n1', 1_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await hasLapsed(store), false);
    clock.pass(900);
    await store.beat('n1', 1_000);
    clock.pass(900);
    assert.equal(await hasLapsed(store), false);
    clock.pass(101);
    assert.equal(await hasLapsed(store), true);
  });

  check('a node that comes back has what nobody took in the meantime', async (store, clock) => {
    await store.beat('n1', 1_000);
    await openRoom(store, 'den', joins('n1'));
    clock.pass(1_001);
    await store.beat('n2', 1_000);
    assert.equal(await hasLapsed(store), true);
    await store.beat('n1', 1_000);
    assert.equal(await hasLapsed(store), false);
  });

  check('what a node keeps that never beat has run out', async (store) => {
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await hasLapsed(store), true);
    assert.equal(await hold(store, 'n2'), true);
    assert.equal(await hasLapsed(store), true);
    await store.beat('n2', 1_000);
    assert.equal(await hasLapsed(store), false);
  });

  check('an append that names what is held is stale, and passes when it has run out', async (store, clock) => {
    await store.beat('n1', 1_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    const leaves = { epoch, lapsed: key, given: [[key, 1]] satisfies Append['given'], drafts: [sets([key, null])] };
    await isStale(store, 'den', leaves);
    clock.pass(1_001);
    await isStale(store, 'den', { ...leaves, given: [[key, 7]] });
    await add(store, 'den', leaves);
    assert.deepEqual(await listLapsed(store), []);
    await isStale(store, 'den', { ...leaves, given: [] });
  });

  check('an append that names what has no lease is stale', async (store) => {
    const { epoch } = await openRoom(store, 'den', sets(['settings', 1]), joins('n1'));
    assert.equal(await hasLapsed(store), true);
    await isStale(store, 'den', { epoch, lapsed: 'settings' });
    await isStale(store, 'den', { epoch, lapsed: 'member/nobody' });
    await isStale(store, 'nowhere', { epoch: null, lapsed: key });
  });

  check('released it runs out after its time, though the node lives', async (store, clock) => {
    await store.beat('n1', 1_000_000);
    await openRoom(store, 'den', joins('n1'));
    await store.release('den', key, 'n1', 500);
    clock.pass(499);
    assert.equal(await hasLapsed(store), false);
    clock.pass(2);
    assert.equal(await hasLapsed(store), true);
  });

  check('held again it does not run out', async (store, clock) => {
    await store.beat('n1', 1_000_000);
    await openRoom(store, 'den', joins('n1'));
    await store.release('den', key, 'n1', 500);
    assert.equal(await hold(store, 'n1'), true);
    clock.pass(501);
    assert.equal(await hasLapsed(store), false);
    await store.release('den', key, 'n1', 500);
    clock.pass(501);
    assert.equal(await hasLapsed(store), true);
    assert.equal(await hold(store, 'n1'), true);
    assert.equal(await hasLapsed(store), false);
  });

  check('another node takes it over, and what the first does later is nothing', async (store, clock) => {
    await store.beat('n1', 1_000);
    await store.beat('n2', 3_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await hold(store, 'n2'), true);
    await store.release('den', key, 'n1', 0);
    clock.pass(1_001);
    assert.equal(await hasLapsed(store), false);
    await store.release('den', key, 'n2', 0);
    clock.pass(1);
    assert.equal(await hasLapsed(store), true);
  });

  check('it goes with the node that took it over', async (store, clock) => {
    await store.beat('n1', 1_000_000);
    await store.beat('n2', 1_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await hold(store, 'n2'), true);
    clock.pass(1_001);
    assert.equal(await hasLapsed(store), true);
  });

  check('an append leases it anew to whom it says', async (store, clock) => {
    await store.beat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    await store.release('den', key, 'n1', 0);
    await add(store, 'den', { epoch, drafts: [joins('n2')] });
    await store.release('den', key, 'n1', 0);
    clock.pass(1);
    assert.equal(await hasLapsed(store), false);
  });

  check('nobody holds a key of another seq, or one without value or lease', async (store, clock) => {
    await store.beat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'), sets(['settings', 1]));
    await add(store, 'den', { epoch, drafts: [sets([key, 2])] });
    assert.equal(await hold(store, 'n2', 1), false);
    assert.equal(await hold(store, 'n2', 0), false);
    assert.equal(await store.hold('den', { name: 'settings', seq: 2 }, 'n2'), false);
    assert.equal(await store.hold('den', { name: 'member/nobody', seq: 0 }, 'n2'), false);
    assert.equal(await store.hold('nowhere', { name: key, seq: 1 }, 'n2'), false);
    clock.pass(1);
    assert.equal(await hasLapsed(store), true);
    assert.equal(await hold(store, 'n2', 3), true);
    assert.equal(await hasLapsed(store), false);
  });

  check('to release what is not there is nothing', async (store) => {
    await openRoom(store, 'den', sets([key, 1]));
    await store.release('den', key, 'n1', 0);
    await store.release('den', 'member/nobody', 'n1', 0);
    await store.release('nowhere', key, 'n1', 0);
    assert.deepEqual(await listLapsed(store), []);
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1 });
  });

  check('it ends with its key, and a new value leaves it be', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    await add(store, 'den', { epoch, drafts: [sets([key, 'another value'])] });
    assert.deepEqual(await listLapsed(store), [{ room: 'den', key }]);
    await add(store, 'den', { epoch, drafts: [sets([key, null])] });
    assert.deepEqual(await listLapsed(store), []);
    await add(store, 'den', { epoch, drafts: [sets([key, 1])] });
    assert.deepEqual(await listLapsed(store), []);
    assert.equal(await hold(store, 'n1', 4), false);
  });

  check('those that have run out are listed up to the limit, and asking changes nothing', async (store) => {
    const names = times(7, (index) => `member/${index}`);
    for (const room of ['den', 'attic']) await openRoom(store, room, ...names.map((name) => joins('n1', name)));
    await openRoom(store, 'cellar', joins('n2'));
    await store.beat('n2', 1_000);
    const all = (await listLapsed(store)).map(({ room, key: name }) => `${room} ${name}`).sort();
    assert.deepEqual(
      all,
      ['attic', 'den'].flatMap((room) => names.map((name) => `${room} ${name}`)),
    );
    assert.equal((await store.lapsed(5)).length, 5);
    assert.equal((await store.lapsed(14)).length, 14);
    assert.deepEqual((await listLapsed(store)).map(({ room, key: name }) => `${room} ${name}`).sort(), all);
    await store.beat('n1', 1_000);
    assert.deepEqual(await listLapsed(store), []);
  });
}

const oddStrings = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  ' a',
  'a::b',
  'a:b',
  ':',
  '::',
  '{x}',
  '{x',
  '{}',
  '*',
  '?',
  'a*',
  '[a-z]',
  '%',
  '_',
  '%2F',
  '\\',
  '"',
  "'",
  '`',
  '--',
  "'; DROP TABLE rooms; --",
  '\u0000',
  '\u0000\u0000',
  'a\u0000b',
  'a\u0000c',
  '\u0000a',
  '\u0001',
  '\u0001\u0001',
  '\u0001\u0002',
  'a\u0001b',
  '\u0002',
  '\n',
  '\r\n',
  '\u2028',
  '\ufeff',
  '\ufeffa',
  '\uffff',
  'é',
  'e\u0301',
  'ß',
  'ss',
  'İ',
  '😀',
  '👩‍👩‍👧',
  '𠮷',
  '1',
  '01',
  '1.0',
  '1e0',
  '-1',
  'null',
  'undefined',
  'true',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '.',
  '..',
  '$',
  'x'.repeat(10_000),
  `${'x'.repeat(9_999)}y`,
];

function strings(check: Check): void {
  check('any string is a room, and never another one', async (store) => {
    const heard = await Promise.all(
      [...oddStrings, '/', '//', '/a', 'a/', 'a/b'].map(async (name) => ({ name, ...(await listen(store, name)) })),
    );
    for (const { name } of heard) await openRoom(store, name, draft(name, { sets: [['name', name]] }));
    for (const { name, heard: told } of heard) {
      assert.deepEqual(textsOf(await entriesOf(store, name)), [name]);
      assert.equal((await keyOf(store, name, 'name'))?.value, name);
      assert.deepEqual(
        told.flatMap(({ entries }) => textsOf(entries)),
        [name],
      );
    }
    assert.deepEqual(await walkRooms(store, 7), byBytes(heard.map(({ name }) => name)));
  });

  check('any string is a key, and never another one', async (store) => {
    const names = [...oddStrings, '/', '//', '/a', 'a/', 'a/b', 'a//b', '/a/b'];
    const { epoch } = await openRoom(store, 'den', sets(...names.map((name): [string, Json] => [name, name])));
    const { keys: found } = await store.read('den', { keys: names });
    assert.deepEqual(found, new Map(names.map((name) => [name, { value: name, seq: 1 }])));
    for (const name of names)
      await add(store, 'den', { epoch, given: names.map((each) => [each, found.has(each) ? 1 : 0]), drafts: [sets([name, null])] }).then(
        () => found.delete(name),
      );
    assert.equal((await store.read('den', { keys: names })).keys.size, 0);
  });

  check('any string is a name in a family, and a family', async (store) => {
    await openRoom(store, 'den', ...oddStrings.map((name) => sets([`member/${name}`, name], [`${name}/x`, name], [`r/${name}/x`, name])));
    assert.deepEqual(await walkFamily(store, 'den', 'member', 7), byBytes(oddStrings));
    for (const family of oddStrings) {
      const { keys: found } = await store.family('den', family, { limit: ALL });
      assert.deepEqual(
        found.map(([name, { value }]) => [name, value]),
        [['x', family]],
      );
    }
    assert.deepEqual(await countsOf(store, 'den', 'r'), Object.fromEntries(oddStrings.map((name) => [name, 1]).sort()));
  });

  check('any string names an append', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    for (const once of oddStrings) await add(store, 'den', { epoch, once, drafts: [draft(once)] });
    for (const [index, once] of oddStrings.entries())
      assert.deepEqual(seqsOf((await recall(store, 'den', once))?.entries ?? []), [index + 2]);
  });

  check('any string is an id, a kind, and somebody', async (store) => {
    const odd = (name: string): Draft => draft('odd', { id: `${name}!`, by: name, author: name, kind: name });
    await openRoom(store, 'den', ...oddStrings.map(odd));
    const found = (await entriesOf(store, 'den')).map(({ id, by, author, kind }) => [id, by, author, kind]);
    assert.deepEqual(
      found,
      oddStrings.map((name) => [`${name}!`, name, name, name]),
    );
    const prevs = (await entriesOf(store, 'den')).map(({ prev }) => prev);
    assert.deepEqual(prevs, [null, ...oddStrings.slice(0, -1).map((name) => `${name}!`)]);
  });

  check('any string is a leased key and a node', async (store) => {
    const { epoch } = await openRoom(
      store,
      'den',
      ...oddStrings.map((name) => draft('joins', { sets: [[name, 1]], lease: { key: name, node: name } })),
    );
    const left = new Set(oddStrings);
    assert.deepEqual(new Set((await listLapsed(store)).map(({ key }) => key)), left);
    for (const name of oddStrings) {
      await store.beat(name, 1_000);
      left.delete(name);
    }
    assert.deepEqual(await listLapsed(store), []);
    for (const name of oddStrings) await store.release('den', name, name, 0);
    assert.deepEqual(new Set((await listLapsed(store)).map(({ key }) => key)), new Set(oddStrings));
    for (const name of oddStrings) await add(store, 'den', { epoch, lapsed: name, drafts: [sets([name, null])] });
    assert.deepEqual(await listLapsed(store), []);
  });
}

function closing(check: Check): void {
  check('what was asked before is finished', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const asked = times(2_500, () => add(store, 'den', { epoch, drafts: [draft('last words')] }));
    await store.close();
    assert.deepEqual(
      (await Promise.all(asked)).flatMap(({ entries }) => seqsOf(entries)),
      upTo(2_501).slice(1),
    );
  });

  check('what is asked afterwards is refused as closed', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('joins', { sets: [['a', 1]], lease: { key: 'a', node: 'n1' } }));
    assert.equal(store.writable, true);
    await store.close();
    assert.equal(store.writable, false);
    const asked: (() => Promise<unknown>)[] = [
      () => store.read('den', {}),
      () => store.append('den', { epoch, given: [], drafts: [draft('too late')] }),
      () => store.recall('den', 'aya:1'),
      () => store.page('den', { limit: 1 }),
      () => store.family('den', 'a', { limit: 1 }),
      () => store.rooms({ limit: 1 }),
      () => store.subscribe('den', () => {}),
      () => store.beat('n1', 1_000),
      () => store.hold('den', { name: 'a', seq: 1 }, 'n1'),
      () => store.release('den', 'a', 'n1', 0),
      () => store.lapsed(1),
    ];
    for (const ask of asked) await assert.rejects(ask, (error) => error instanceof StoreError && error.reason === 'closed', String(ask));
  });

  check('it may be asked again', async (store) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });
}
