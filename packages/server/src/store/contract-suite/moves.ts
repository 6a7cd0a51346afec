import assert from 'node:assert/strict';
import { type Draft, type Json, PARCEL_BYTES, PARCEL_ITEMS, type Parcel, type Store } from '../store.ts';
import {
  ALL,
  add,
  type Check,
  type Clock,
  countsOf,
  draft,
  endRoom,
  entriesOf,
  isStale,
  keptOf,
  keyOf,
  listen,
  listLapsed,
  listRooms,
  openRoom,
  packAll,
  recall,
  seqsOf,
  sets,
  textsOf,
  times,
  trim,
  upTo,
  walkFamily,
} from './arrange.ts';
import { oddStrings } from './strings.ts';
import { growAll } from './ticks.ts';

export function moves(check: Check): void {
  check('what was packed in one store is the same in another one', async (store, clock, openAnother) => {
    await fill(store, clock);
    const another = await openAnother();
    await move(store, another);
    assert.deepEqual(await picture(another), await picture(store));
    assert.deepEqual(
      (await listRooms(another)).rooms.map(({ room }) => room),
      ['den'],
    );
  });

  check('appends go on there as they would have', async (store, clock, openAnother) => {
    await fill(store, clock);
    const another = await openAnother();
    await move(store, another);
    clock.pass(-60_000);
    const { epoch, head, tail } = await store.page('den', { limit: 1 });
    const before = await listRooms(store);
    const kept = await recall(store, 'den', 'aya:1');
    assert.ok(epoch && kept && head > 5);

    await isStale(another, 'den', { epoch: null });
    await isStale(another, 'den', { epoch, given: [['settings', 1]] });
    await isStale(another, 'den', { epoch, entries: [[2, 'another id']] });
    assert.deepEqual(keptOf(await another.append('den', { epoch, once: 'aya:1', given: [], drafts: [draft('again')] })), kept);
    const settings = await keyOf(store, 'den', 'settings');
    const entries: [number, string][] = (await entriesOf(store, 'den')).map(({ seq, id }) => [seq, id]);
    const next = await add(another, 'den', { epoch, given: [['settings', Number(settings?.seq)]], entries, drafts: [draft('next')] });
    assert.deepEqual(
      next.entries.map(({ seq, at }) => [seq, at]),
      [[head + 1, before.rooms[0]?.at]],
    );
    assert.equal((await entriesOf(another, 'den')).at(-1)?.prev, tail);
    assert.equal((await store.read('den', {})).head, head);
  });

  check('the same again changes nothing, part by part and as a whole', async (store, clock, openAnother) => {
    await fill(store, clock);
    const another = await openAnother();
    const parcels = await packAll(store, 'den');
    for (const parcel of parcels) for (const _ of [1, 2]) await another.unpack(parcel);
    const once = await picture(another);
    assert.deepEqual(once, await picture(store));
    for (const parcel of parcels) await another.unpack(parcel);
    assert.deepEqual(await picture(another), once);
  });

  check('a log that is trimmed arrives trimmed, and goes on where it was', async (store, _, openAnother) => {
    const another = await openAnother();
    const drafts = times(9, (index) => draft(String(index + 1), { listed: index % 2 === 0, quiet: index === 8 }));
    for (const below of [2, 5, 9, 10]) {
      const room = `trimmed below ${below}`;
      const { epoch } = await openRoom(store, room, ...drafts);
      await trim(store, room, below);
      await move(store, another, room);
      const edges = await store.page(room, { limit: ALL });
      assert.deepEqual([edges.head, edges.oldest, seqsOf(edges.entries)], [9, below, upTo(9).slice(below - 1)]);
      assert.deepEqual(await another.page(room, { limit: ALL }), edges);
      assert.equal((await another.read(room, { seqs: upTo(9) })).entries.size, 10 - below);
      const { entries } = await add(another, room, { epoch, drafts: [draft('next', { quiet: true }), draft('one more')] });
      assert.deepEqual(seqsOf(entries), [10, 11]);
      assert.deepEqual(
        (await entriesOf(another, room)).slice(-2).map(({ prev }) => prev),
        times(2, () => drafts[7]?.id),
      );
      await trim(another, room, 11);
      assert.deepEqual(seqsOf(await entriesOf(another, room)), [11]);
    }
  });

  check('a room of many parts is whole, and its parts are of bounded size', async (store, _, openAnother) => {
    const many = 2 * PARCEL_ITEMS + 1;
    const { epoch } = await openRoom(store, 'den');
    await store.beat('n1', 1_000_000);
    const said = (index: number): Draft => draft(`${index}`, { tickets: [{ holder: `holder ${index}`, key: 'member/aya', value: index }] });
    const set = (index: number): Draft => sets([`member/${index}`, index], [`chat/${index % 7}/${index}`, true]);
    await Promise.all(times(many, (index) => add(store, 'den', { epoch, once: `once ${index}`, drafts: [said(index), set(index)] })));

    const parcels = await packAll(store, 'den');
    for (const parcel of parcels) assert.ok(itemsOf(parcel).length <= PARCEL_ITEMS && sizeOf(parcel) <= PARCEL_BYTES);
    const all = parcels.flatMap(itemsOf);
    assert.equal(all.length, 1 + 2 * many + 2 * many + many + many);
    assert.equal(new Set(all.map((item) => JSON.stringify(item))).size, all.length, 'each once');
    assert.deepEqual(
      parcels.flatMap(({ entries }) => seqsOf(entries)),
      upTo(2 * many + 1),
    );

    const another = await openAnother();
    for (const parcel of parcels) await another.unpack(parcel);
    for (const from of [0, PARCEL_ITEMS, 2 * PARCEL_ITEMS, 3 * PARCEL_ITEMS, 4 * PARCEL_ITEMS])
      assert.deepEqual(
        await another.page('den', { after: from, limit: PARCEL_ITEMS }),
        await store.page('den', { after: from, limit: PARCEL_ITEMS }),
      );
    assert.deepEqual(await walkFamily(another, 'den', 'member', PARCEL_ITEMS), await walkFamily(store, 'den', 'member', PARCEL_ITEMS));
    assert.deepEqual(await countsOf(another, 'den', ''), { member: many });
    assert.deepEqual(await countsOf(another, 'den', 'chat'), await countsOf(store, 'den', 'chat'));
    for (const index of [0, 1, PARCEL_ITEMS, many - 1]) {
      assert.deepEqual(await recall(another, 'den', `once ${index}`), await recall(store, 'den', `once ${index}`));
      assert.equal((await another.tickets(`holder ${index}`, ALL))[0]?.value, index);
    }
    assert.deepEqual((await packAll(another, 'den')).flatMap(itemsOf).map(stringify).sort(), all.map(stringify).sort());
  });

  check('large bodies and values make more parts, each with something in it', async (store, _, openAnother) => {
    const large = (bytes: number): Draft => draft('x'.repeat(bytes), { sets: [[`large/${bytes}`, 'x'.repeat(bytes)]] });
    await openRoom(store, 'den', ...times(12, (index) => large(200_000 + index)), large(2 * PARCEL_BYTES), large(1));
    const parcels = await packAll(store, 'den');
    assert.ok(parcels.length > 6);
    for (const parcel of parcels) assert.ok(itemsOf(parcel).length === 1 || (itemsOf(parcel).length > 1 && sizeOf(parcel) <= PARCEL_BYTES));
    const another = await openAnother();
    for (const parcel of parcels) await another.unpack(parcel);
    const keys = [200_000, 200_011, 2 * PARCEL_BYTES, 1].map((bytes) => `large/${bytes}`);
    const ask = { seqs: upTo(14), keys, counts: [''] };
    assert.deepEqual(await another.read('den', ask), await store.read('den', ask));
  });

  check('a lease has run out there, says what it was, and may be held again', async (store, clock, openAnother) => {
    const joins = (name: string, node: string): Draft => draft('joins', { sets: [[name, 1]], lease: { key: name, node } });
    for (const node of ['n1', 'n2']) await store.beat(node, 1_000_000);
    await openRoom(
      store,
      'den',
      joins('member/aya', 'n1'),
      joins('member/ben', 'n1'),
      sets(['member/cho', 1]),
      joins('dai', 'n2'),
      joins('eve', 'n3'),
    );
    await store.release('den', 'member/ben', 'n1', 500_000);
    assert.equal(await store.setAside('den', 'eve', 500_000), true);
    assert.deepEqual(await listLapsed(store), []);

    const another = await openAnother();
    for (const node of ['n1', 'n2']) await another.beat(node, 1_000_000);
    await move(store, another);
    const keys = ['member/aya', 'member/ben', 'member/cho', 'dai', 'eve'];
    const leases = async () => [...(await another.read('den', { keys })).keys.values()].map(({ lease }) => lease);
    assert.deepEqual(await leases(), ['held', 'released', undefined, 'held', 'lapsed']);
    assert.deepEqual((await listLapsed(another)).map(({ key }) => key).sort(), ['dai', 'eve', 'member/aya', 'member/ben']);
    assert.deepEqual(await listLapsed(store), [], 'the source keeps its own');

    const { epoch } = await another.read('den', {});
    await another.release('den', 'member/aya', 'n1', 500_000);
    assert.equal(await another.hold('den', { name: 'member/ben', seq: 2 }, 'n2'), true);
    assert.deepEqual((await listLapsed(another)).map(({ key }) => key).sort(), ['dai', 'eve', 'member/aya']);
    assert.deepEqual(await leases(), ['held', 'held', undefined, 'held', 'lapsed']);
    await add(another, 'den', { epoch, lapsed: 'member/aya', drafts: [sets(['member/aya', null])] });
    await isStale(another, 'den', { epoch, lapsed: 'member/ben' });
    clock.pass(1_000_001);
    assert.deepEqual((await listLapsed(another)).map(({ key }) => key).sort(), ['dai', 'eve', 'member/ben']);
  });

  check('tickets run out there when they would have, and keep the life that they were left in', async (store, clock, openAnother) => {
    const leaves = (key: string, ttl?: number): Draft =>
      draft('leaves', { tickets: [{ holder: 'aya', key, value: { key }, ...(ttl !== undefined && { ttl }) }] });
    const { epoch } = await openRoom(store, 'den', leaves('a'), leaves('b', 1_000), leaves('c', 2_000));
    const forked = await store.fork('den', epoch);
    await add(store, 'den', { epoch: forked, drafts: [leaves('d')] });
    clock.pass(500);
    const another = await openAnother();
    await move(store, another);
    assert.deepEqual(await another.tickets('aya', ALL), await store.tickets('aya', ALL));
    assert.deepEqual(
      (await another.tickets('aya', ALL)).map((ticket) => ticket.epoch),
      [epoch, epoch, epoch, forked],
    );
    clock.pass(501);
    assert.deepEqual(
      (await another.tickets('aya', ALL)).map(({ key }) => key),
      ['a', 'c', 'd'],
    );
    clock.pass(1_000);
    assert.deepEqual(
      (await another.tickets('aya', ALL)).map(({ key }) => key),
      ['a', 'd'],
    );
  });

  check('ticks grow on there, whatever the clock says', async (store, clock, openAnother) => {
    const another = await openAnother();
    clock.pass(3_600_000);
    const { epoch } = await openRoom(store, 'den', draft('one'), draft('two'));
    clock.pass(-7_200_000);
    await move(store, another);
    await add(another, 'den', { epoch, drafts: [draft('three'), draft('four')] });
    await endRoom(another, 'den');
    const { epoch: later } = await openRoom(another, 'den', draft('five'));
    assert.notEqual(later, epoch);
    const told = [...(await entriesOf(store, 'den')), ...(await entriesOf(another, 'den'))].map(({ tick }) => tick);
    assert.equal(told.length, 3);
    growAll(told);
  });

  check('nobody is told, neither here nor there, and other rooms keep what they have', async (store, clock, openAnother) => {
    await fill(store, clock);
    const another = await openAnother();
    await openRoom(another, 'attic', sets(['member/aya', 1]));
    const before = await another.page('attic', { limit: ALL });
    const listeners = [await listen(store, 'den'), await listen(another, 'den'), await listen(another, 'attic')];
    await move(store, another);
    for (const { heard, signals } of listeners) assert.deepEqual([heard, signals], [[], []]);
    assert.deepEqual(await another.page('attic', { limit: ALL }), before);
    assert.deepEqual(await countsOf(another, 'attic', ''), { member: 1 });
    const { epoch } = await another.read('den', {});
    const { entries } = await add(another, 'den', { epoch, drafts: [draft('next')] });
    assert.deepEqual(listeners[1]?.seqs(), seqsOf(entries));
  });

  check('where there is no room there is nothing to pack, and packing makes none', async (store) => {
    assert.equal(await store.pack('nowhere', null), null);
    await openRoom(store, 'den');
    await endRoom(store, 'den');
    assert.equal(await store.pack('den', null), null);
    assert.deepEqual(await listRooms(store), { rooms: [], more: false });
  });

  check('a room that has moved ends as any other, and nothing of it is left', async (store, clock, openAnother) => {
    await fill(store, clock);
    const another = await openAnother();
    await move(store, another);
    await endRoom(another, 'den');
    assert.deepEqual([await listLapsed(another), await another.tickets('aya', ALL)], [[], []]);
    const { epoch } = await openRoom(another, 'den', sets(['member/aya', 1]));
    assert.deepEqual(textsOf(await entriesOf(another, 'den')), ['sets']);
    assert.deepEqual(await countsOf(another, 'den', ''), { member: 1 });
    assert.deepEqual(await keyOf(another, 'den', 'member/aya'), { value: 1, seq: 1 });
    await add(another, 'den', { epoch, once: 'aya:1', drafts: [draft('a new life')] });
  });

  check('a part of a room can be ended, and all of it be put anew', async (store, _, openAnother) => {
    const member = draft('joins', { sets: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } });
    const { epoch } = await openRoom(store, 'den', member, ...times(PARCEL_ITEMS + 1, () => draft('x', { listed: true })));
    const [first, ...others] = await packAll(store, 'den');
    const another = await openAnother();
    await another.unpack(first as Parcel);
    assert.deepEqual(await listRooms(another), await listRooms(store), 'its head is that of the whole');
    const { entries } = await another.page('den', { limit: 1 });
    assert.deepEqual([others.length > 0, entries[0]?.seq], [true, first?.entries.at(-1)?.seq]);
    await endRoom(another, 'den');
    assert.deepEqual(await listLapsed(another), []);
    await move(store, another);
    assert.deepEqual(await another.page('den', { limit: ALL }), await store.page('den', { limit: ALL }));
    assert.deepEqual(await countsOf(another, 'den', ''), { member: 1 });
    await add(another, 'den', { epoch, given: [['member/aya', 1]], drafts: [draft('next')] });
  });

  check('any name arrives as it is, and never as another one', async (store, _, openAnother) => {
    const another = await openAnother();
    const odd = (name: string): Draft =>
      draft(name, { id: `${name}!`, by: name, author: name, kind: name, sets: [[name, name]], lease: { key: name, node: name } });
    const leaves = (name: string): Draft =>
      draft(name, { sets: [[`in/${name}/${name}`, name]], tickets: [{ holder: name, key: name, value: name }] });
    for (const room of [...oddStrings, 'a/b', '/'])
      await openRoom(store, room, draft(room, { tickets: [{ holder: room, key: room, value: 1 }] }));
    const { epoch } = await openRoom(store, 'den', ...oddStrings.map(odd));
    for (const name of oddStrings) await add(store, 'den', { epoch, once: name, drafts: [leaves(name)] });
    const rooms = (await listRooms(store)).rooms.map(({ room }) => room);
    for (const room of rooms) await move(store, another, room);

    assert.deepEqual(await listRooms(another), await listRooms(store));
    for (const room of rooms) assert.deepEqual(await another.page(room, { limit: ALL }), await store.page(room, { limit: ALL }));
    const ask = { keys: oddStrings.flatMap((name) => [name, `in/${name}/${name}`]), counts: ['', 'in', ...oddStrings] };
    assert.deepEqual(await another.read('den', ask), await store.read('den', ask));
    for (const name of oddStrings) {
      assert.deepEqual(await recall(another, 'den', name), await recall(store, 'den', name));
      assert.deepEqual(await another.tickets(name, ALL), await store.tickets(name, ALL));
    }
    assert.deepEqual(new Set((await listLapsed(another)).map(({ key }) => key)), new Set(oddStrings));
  });
}

const stringify = (item: unknown): string =>
  JSON.stringify(item, (_, value: unknown) => (isObject(value) ? Object.fromEntries(Object.entries(value).sort()) : value));
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
const itemsOf = ({ entries, keys, tickets, onces }: Parcel): unknown[] => [...entries, ...keys, ...tickets, ...onces];
const sizeOf = (parcel: Parcel): number => itemsOf(parcel).reduce<number>((sum, item) => sum + Buffer.byteLength(JSON.stringify(item)), 0);

async function move(from: Store, to: Store, room = 'den'): Promise<void> {
  for (const parcel of await packAll(from, room)) await to.unpack(parcel);
}

/** A room in which everything is that a room may have. */
async function fill(store: Store, clock: Clock): Promise<void> {
  const joins = (name: string, node: string, more: Partial<Draft> = {}): Draft =>
    draft(`${name} joins`, {
      by: name,
      author: `user:${name}`,
      kind: 'joins',
      sets: [[`member/${name}`, { username: name, odd: [null, 1.5, '\u0000', { '': false }] }]],
      lease: { key: `member/${name}`, node },
      tickets: [{ holder: name, key: `member/${name}`, value: { username: name } }],
      ...more,
    });
  for (const node of ['n1', 'n2']) await store.beat(node, 1_000_000);
  const { epoch } = await openRoom(
    store,
    'den',
    sets(['settings', { owner: 'aya' }]),
    joins('aya', 'n1'),
    joins('ben', 'n2', { quiet: true }),
  );
  clock.pass(1_000);
  await add(store, 'den', {
    epoch,
    once: 'aya:1',
    drafts: [draft('hello', { listed: true }), draft('second', { listed: true, quiet: true })],
  });
  await add(store, 'den', { epoch, once: 'aya:2', drafts: [draft('to be erased', { listed: true })] });
  const reactions = times(3, (index): [string, Json] => [`reaction/4/${index % 2}/${index}`, true]);
  await add(store, 'den', { epoch, drafts: [draft('erases', { erases: [2, 6], sets: [['chat/6', { deleted: true }], ...reactions] })] });
  await add(store, 'den', {
    epoch,
    drafts: [sets(['settings', { owner: 'aya', topic: 'tea' }], ['reaction/4/0/2', null]), joins('cho', 'n1')],
  });
  const leaves = draft('ben leaves', {
    sets: [['member/ben', null]],
    tickets: [{ holder: 'ben', key: 'member/ben', value: 'gone', ttl: 600_000 }],
  });
  await add(store, 'den', { epoch, once: 'ben:1', drafts: [leaves] });
  await store.release('den', 'member/cho', 'n1', 30_000);
  for (const [key, seq] of [
    ['member/aya', 7],
    ['settings', 3],
  ] as const)
    await store.mark('den', key, seq);
}

/** All that can be read of it. What is lapsed is another matter: the nodes stay behind. */
async function picture(store: Store) {
  const page = await store.page('den', { limit: ALL });
  const names = ['settings', 'member/aya', 'member/ben', 'member/cho', 'chat/6', 'reaction/4/0/0', 'reaction/4/0/2', 'reaction/4/1/1'];
  const found = {
    page,
    listed: await store.page('den', { listed: true, limit: ALL }),
    facts: await store.read('den', { keys: names, seqs: upTo(page.head + 1), counts: ['', 'reaction', 'reaction/4', 'member'] }),
    families: await Promise.all(
      ['member', 'chat', 'reaction/4/0', 'reaction/4/1'].map((family) => store.family('den', family, { limit: ALL })),
    ),
    onces: await Promise.all(['aya:1', 'aya:2', 'ben:1', 'never'].map((once) => recall(store, 'den', once))),
    tickets: await Promise.all(['aya', 'ben', 'cho', 'dai'].map((holder) => store.tickets(holder, ALL))),
    rooms: await listRooms(store),
  };
  assert.equal(found.facts.keys.size, 6);
  assert.deepEqual(
    found.page.entries.map(({ body }) => body === null),
    times(10, (index) => [1, 5].includes(index)),
  );
  assert.deepEqual(
    found.onces.map((kept) => kept?.entries.length),
    [2, 1, 1, undefined],
  );
  assert.deepEqual(
    found.tickets.map(({ length }) => length),
    [1, 1, 1, 0],
  );
  return found;
}
