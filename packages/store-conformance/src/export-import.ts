/** Conformance tests of exporting and importing rooms. */
import assert from 'node:assert/strict';
import { type Draft, type Json, MAX_CHUNK_BYTES, MAX_CHUNK_ITEMS, type RoomChunk, type Store } from '@engawa/server';
import { assertIncreasing } from './clock-order.ts';
import {
  appendOk,
  assertStale,
  countsOf,
  type DefineTest,
  draft,
  endRoom,
  entriesOf,
  exportAll,
  findReceipt,
  keyDraft,
  keyOf,
  listExpired,
  listen,
  listRooms,
  type ManualClock,
  NO_LIMIT,
  openRoom,
  receiptOf,
  repeat,
  seqsOf,
  textsOf,
  trim,
  upTo,
  walkFamily,
} from './fixtures.ts';
import { oddStrings } from './string-safety.ts';

export function exportImportTests(check: DefineTest): void {
  check('an imported room equals the exported one', async (store, clock, openAnother) => {
    await fillRoom(store, clock);
    const another = await openAnother();
    await copyRoom(store, another);
    assert.deepEqual(await snapshot(another), await snapshot(store));
    assert.deepEqual(
      (await listRooms(another)).rooms.map(({ room }) => room),
      ['den'],
    );
  });

  check('appends continue in the target as they would in the source', async (store, clock, openAnother) => {
    await fillRoom(store, clock);
    const another = await openAnother();
    await copyRoom(store, another);
    clock.advance(-60_000);
    const { epoch, head, lastBroadcastId } = await store.readPage('den', { limit: 1 });
    const before = await listRooms(store);
    const receipt = await findReceipt(store, 'den', 'aya:1');
    assert.ok(epoch && receipt && head > 5);

    await assertStale(another, 'den', { epoch: null });
    await assertStale(another, 'den', { epoch, expectedVersions: [['settings', 1]] });
    await assertStale(another, 'den', { epoch, expectedEntries: [[2, 'another id']] });
    assert.deepEqual(
      receiptOf(await another.append('den', { epoch, idempotencyKey: 'aya:1', expectedVersions: [], drafts: [draft('again')] })),
      receipt,
    );
    const settings = await keyOf(store, 'den', 'settings');
    const expectedEntries: [number, string][] = (await entriesOf(store, 'den')).map(({ seq, id }) => [seq, id]);
    const next = await appendOk(another, 'den', {
      epoch,
      expectedVersions: [['settings', Number(settings?.seq)]],
      expectedEntries,
      drafts: [draft('next')],
    });
    assert.deepEqual(
      next.entries.map(({ seq, at }) => [seq, at]),
      [[head + 1, before.rooms[0]?.at]],
    );
    assert.equal((await entriesOf(another, 'den')).at(-1)?.prev, lastBroadcastId);
    assert.equal((await store.read('den', {})).head, head);
  });

  check('importing a chunk or a whole room twice changes nothing', async (store, clock, openAnother) => {
    await fillRoom(store, clock);
    const another = await openAnother();
    const chunks = await exportAll(store, 'den');
    for (const chunk of chunks) for (const _ of [1, 2]) await another.importChunk(chunk);
    const once = await snapshot(another);
    assert.deepEqual(once, await snapshot(store));
    for (const chunk of chunks) await another.importChunk(chunk);
    assert.deepEqual(await snapshot(another), once);
  });

  check('a trimmed log is trimmed in the target, and continues there', async (store, _, openAnother) => {
    const another = await openAnother();
    const drafts = repeat(9, (index) => draft(String(index + 1), { listed: index % 2 === 0, quiet: index === 8 }));
    for (const below of [2, 5, 9, 10]) {
      const room = `trimmed below ${below}`;
      const { epoch } = await openRoom(store, room, ...drafts);
      await trim(store, room, below);
      await copyRoom(store, another, room);
      const edges = await store.readPage(room, { limit: NO_LIMIT });
      assert.deepEqual([edges.head, edges.oldest, seqsOf(edges.entries)], [9, below, upTo(9).slice(below - 1)]);
      assert.deepEqual(await another.readPage(room, { limit: NO_LIMIT }), edges);
      assert.equal((await another.read(room, { seqs: upTo(9) })).entries.size, 10 - below);
      const { entries } = await appendOk(another, room, { epoch, drafts: [draft('next', { quiet: true }), draft('one more')] });
      assert.deepEqual(seqsOf(entries), [10, 11]);
      assert.deepEqual(
        (await entriesOf(another, room)).slice(-2).map(({ prev }) => prev),
        repeat(2, () => drafts[7]?.id),
      );
      await trim(another, room, 11);
      assert.deepEqual(seqsOf(await entriesOf(another, room)), [11]);
    }
  });

  check('a large room is complete, and its chunks are of bounded size', async (store, _, openAnother) => {
    const many = 2 * MAX_CHUNK_ITEMS + 1;
    const { epoch } = await openRoom(store, 'den');
    await store.heartbeat('n1', 1_000_000);
    const said = (index: number): Draft => draft(`${index}`, { tickets: [{ holder: `holder ${index}`, key: 'member/aya', value: index }] });
    const set = (index: number): Draft => keyDraft([`member/${index}`, index], [`chat/${index % 7}/${index}`, true]);
    await Promise.all(
      repeat(many, (index) => appendOk(store, 'den', { epoch, idempotencyKey: `once ${index}`, drafts: [said(index), set(index)] })),
    );

    const chunks = await exportAll(store, 'den');
    for (const chunk of chunks) assert.ok(itemsOf(chunk).length <= MAX_CHUNK_ITEMS && sizeOf(chunk) <= MAX_CHUNK_BYTES);
    const all = chunks.flatMap(itemsOf);
    assert.equal(all.length, 1 + 2 * many + 2 * many + many + many);
    assert.equal(new Set(all.map((item) => JSON.stringify(item))).size, all.length, 'each once');
    assert.deepEqual(
      chunks.flatMap(({ entries }) => seqsOf(entries)),
      upTo(2 * many + 1),
    );

    const another = await openAnother();
    for (const chunk of chunks) await another.importChunk(chunk);
    for (const from of [0, MAX_CHUNK_ITEMS, 2 * MAX_CHUNK_ITEMS, 3 * MAX_CHUNK_ITEMS, 4 * MAX_CHUNK_ITEMS])
      assert.deepEqual(
        await another.readPage('den', { after: from, limit: MAX_CHUNK_ITEMS }),
        await store.readPage('den', { after: from, limit: MAX_CHUNK_ITEMS }),
      );
    assert.deepEqual(
      await walkFamily(another, 'den', 'member', MAX_CHUNK_ITEMS),
      await walkFamily(store, 'den', 'member', MAX_CHUNK_ITEMS),
    );
    assert.deepEqual(await countsOf(another, 'den', ''), { member: many });
    assert.deepEqual(await countsOf(another, 'den', 'chat'), await countsOf(store, 'den', 'chat'));
    for (const index of [0, 1, MAX_CHUNK_ITEMS, many - 1]) {
      assert.deepEqual(await findReceipt(another, 'den', `once ${index}`), await findReceipt(store, 'den', `once ${index}`));
      assert.equal((await another.listTickets(`holder ${index}`, NO_LIMIT))[0]?.value, index);
    }
    assert.deepEqual((await exportAll(another, 'den')).flatMap(itemsOf).map(stringify).sort(), all.map(stringify).sort());
  });

  check('large bodies and values need more chunks, each with at least one item', async (store, _, openAnother) => {
    const large = (bytes: number): Draft => draft('x'.repeat(bytes), { keyUpdates: [[`large/${bytes}`, 'x'.repeat(bytes)]] });
    await openRoom(store, 'den', ...repeat(12, (index) => large(200_000 + index)), large(2 * MAX_CHUNK_BYTES), large(1));
    const chunks = await exportAll(store, 'den');
    assert.ok(chunks.length > 6);
    for (const chunk of chunks) assert.ok(itemsOf(chunk).length === 1 || (itemsOf(chunk).length > 1 && sizeOf(chunk) <= MAX_CHUNK_BYTES));
    const another = await openAnother();
    for (const chunk of chunks) await another.importChunk(chunk);
    const keys = [200_000, 200_011, 2 * MAX_CHUNK_BYTES, 1].map((bytes) => `large/${bytes}`);
    const ask = { seqs: upTo(14), keys, counts: [''] };
    assert.deepEqual(await another.read('den', ask), await store.read('den', ask));
  });

  check('a lease is expired in the target, has its former state, and can be acquired again', async (store, clock, openAnother) => {
    const joins = (key: string, node: string): Draft => draft('joins', { keyUpdates: [[key, 1]], lease: { key, node } });
    for (const node of ['n1', 'n2']) await store.heartbeat(node, 1_000_000);
    await openRoom(
      store,
      'den',
      joins('member/aya', 'n1'),
      joins('member/ben', 'n1'),
      keyDraft(['member/cho', 1]),
      joins('dai', 'n2'),
      joins('eve', 'n3'),
    );
    await store.releaseLease('den', 'member/ben', 'n1', 500_000);
    assert.equal(await store.expireLease('den', 'eve', 500_000), true);
    assert.deepEqual(await listExpired(store), []);

    const another = await openAnother();
    for (const node of ['n1', 'n2']) await another.heartbeat(node, 1_000_000);
    await copyRoom(store, another);
    const keys = ['member/aya', 'member/ben', 'member/cho', 'dai', 'eve'];
    const leases = async () => [...(await another.read('den', { keys })).keys.values()].map(({ lease }) => lease);
    assert.deepEqual(await leases(), ['held', 'released', undefined, 'held', 'expired']);
    assert.deepEqual((await listExpired(another)).map(({ key }) => key).sort(), ['dai', 'eve', 'member/aya', 'member/ben']);
    assert.deepEqual(await listExpired(store), [], 'the source keeps its own');

    const { epoch } = await another.read('den', {});
    await another.releaseLease('den', 'member/aya', 'n1', 500_000);
    assert.equal(await another.acquireLease('den', { name: 'member/ben', seq: 2 }, 'n2'), true);
    assert.deepEqual((await listExpired(another)).map(({ key }) => key).sort(), ['dai', 'eve', 'member/aya']);
    assert.deepEqual(await leases(), ['held', 'held', undefined, 'held', 'expired']);
    await appendOk(another, 'den', { epoch, requiredExpiredLease: 'member/aya', drafts: [keyDraft(['member/aya', null])] });
    await assertStale(another, 'den', { epoch, requiredExpiredLease: 'member/ben' });
    clock.advance(1_000_001);
    assert.deepEqual((await listExpired(another)).map(({ key }) => key).sort(), ['dai', 'eve', 'member/ben']);
  });

  check('tickets expire in the target at the same time, and keep the epoch with which they were set', async (store, clock, openAnother) => {
    const leaves = (key: string, ttl?: number): Draft =>
      draft('leaves', { tickets: [{ holder: 'aya', key, value: { key }, ...(ttl !== undefined && { ttl }) }] });
    const { epoch } = await openRoom(store, 'den', leaves('a'), leaves('b', 1_000), leaves('c', 2_000));
    const forked = await store.startNewEpoch('den', epoch);
    await appendOk(store, 'den', { epoch: forked, drafts: [leaves('d')] });
    clock.advance(500);
    const another = await openAnother();
    await copyRoom(store, another);
    assert.deepEqual(await another.listTickets('aya', NO_LIMIT), await store.listTickets('aya', NO_LIMIT));
    assert.deepEqual(
      (await another.listTickets('aya', NO_LIMIT)).map((ticket) => ticket.epoch),
      [epoch, epoch, epoch, forked],
    );
    clock.advance(501);
    assert.deepEqual(
      (await another.listTickets('aya', NO_LIMIT)).map(({ key }) => key),
      ['a', 'c', 'd'],
    );
    clock.advance(1_000);
    assert.deepEqual(
      (await another.listTickets('aya', NO_LIMIT)).map(({ key }) => key),
      ['a', 'd'],
    );
  });

  check('HLC values grow in the target, whatever the clock is', async (store, clock, openAnother) => {
    const another = await openAnother();
    clock.advance(3_600_000);
    const { epoch } = await openRoom(store, 'den', draft('one'), draft('two'));
    clock.advance(-7_200_000);
    await copyRoom(store, another);
    await appendOk(another, 'den', { epoch, drafts: [draft('three'), draft('four')] });
    await endRoom(another, 'den');
    const { epoch: later } = await openRoom(another, 'den', draft('five'));
    assert.notEqual(later, epoch);
    const published = [...(await entriesOf(store, 'den')), ...(await entriesOf(another, 'den'))].map(({ hlc }) => hlc);
    assert.equal(published.length, 3);
    assertIncreasing(published);
  });

  check('no listener is notified in either store, and other rooms are unchanged', async (store, clock, openAnother) => {
    await fillRoom(store, clock);
    const another = await openAnother();
    await openRoom(another, 'attic', keyDraft(['member/aya', 1]));
    const before = await another.readPage('attic', { limit: NO_LIMIT });
    const listeners = [await listen(store, 'den'), await listen(another, 'den'), await listen(another, 'attic')];
    await copyRoom(store, another);
    for (const { notices, messages } of listeners) assert.deepEqual([notices, messages], [[], []]);
    assert.deepEqual(await another.readPage('attic', { limit: NO_LIMIT }), before);
    assert.deepEqual(await countsOf(another, 'attic', ''), { member: 1 });
    const { epoch } = await another.read('den', {});
    const { entries } = await appendOk(another, 'den', { epoch, drafts: [draft('next')] });
    assert.deepEqual(listeners[1]?.seqs(), seqsOf(entries));
  });

  check('without a room the export is null, and creates no room', async (store) => {
    assert.equal(await store.exportChunk('nowhere', null), null);
    await openRoom(store, 'den');
    await endRoom(store, 'den');
    assert.equal(await store.exportChunk('den', null), null);
    assert.deepEqual(await listRooms(store), { rooms: [], hasMore: false });
  });

  check('an imported room can be ended, and nothing of it remains', async (store, clock, openAnother) => {
    await fillRoom(store, clock);
    const another = await openAnother();
    await copyRoom(store, another);
    await endRoom(another, 'den');
    assert.deepEqual([await listExpired(another), await another.listTickets('aya', NO_LIMIT)], [[], []]);
    const { epoch } = await openRoom(another, 'den', keyDraft(['member/aya', 1]));
    assert.deepEqual(textsOf(await entriesOf(another, 'den')), ['sets']);
    assert.deepEqual(await countsOf(another, 'den', ''), { member: 1 });
    assert.deepEqual(await keyOf(another, 'den', 'member/aya'), { value: 1, seq: 1 });
    await appendOk(another, 'den', { epoch, idempotencyKey: 'aya:1', drafts: [draft('a new life')] });
  });

  check('a partly imported room can be ended, and then imported again', async (store, _, openAnother) => {
    const member = draft('joins', { keyUpdates: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } });
    const { epoch } = await openRoom(store, 'den', member, ...repeat(MAX_CHUNK_ITEMS + 1, () => draft('x', { listed: true })));
    const [first, ...others] = await exportAll(store, 'den');
    const another = await openAnother();
    await another.importChunk(first as RoomChunk);
    assert.deepEqual(await listRooms(another), await listRooms(store), 'its head is that of the whole');
    const { entries } = await another.readPage('den', { limit: 1 });
    assert.deepEqual([others.length > 0, entries[0]?.seq], [true, first?.entries.at(-1)?.seq]);
    await endRoom(another, 'den');
    assert.deepEqual(await listExpired(another), []);
    await copyRoom(store, another);
    assert.deepEqual(await another.readPage('den', { limit: NO_LIMIT }), await store.readPage('den', { limit: NO_LIMIT }));
    assert.deepEqual(await countsOf(another, 'den', ''), { member: 1 });
    await appendOk(another, 'den', { epoch, expectedVersions: [['member/aya', 1]], drafts: [draft('next')] });
  });

  check('any name is imported unchanged, and never confused with another one', async (store, _, openAnother) => {
    const another = await openAnother();
    const odd = (key: string): Draft =>
      draft(key, { id: `${key}!`, by: key, author: key, kind: key, keyUpdates: [[key, key]], lease: { key, node: key } });
    const leaves = (key: string): Draft =>
      draft(key, { keyUpdates: [[`in/${key}/${key}`, key]], tickets: [{ holder: key, key, value: key }] });
    for (const room of [...oddStrings, 'a/b', '/'])
      await openRoom(store, room, draft(room, { tickets: [{ holder: room, key: room, value: 1 }] }));
    const { epoch } = await openRoom(store, 'den', ...oddStrings.map(odd));
    for (const name of oddStrings) await appendOk(store, 'den', { epoch, idempotencyKey: name, drafts: [leaves(name)] });
    const rooms = (await listRooms(store)).rooms.map(({ room }) => room);
    for (const room of rooms) await copyRoom(store, another, room);

    assert.deepEqual(await listRooms(another), await listRooms(store));
    for (const room of rooms)
      assert.deepEqual(await another.readPage(room, { limit: NO_LIMIT }), await store.readPage(room, { limit: NO_LIMIT }));
    const ask = { keys: oddStrings.flatMap((name) => [name, `in/${name}/${name}`]), counts: ['', 'in', ...oddStrings] };
    assert.deepEqual(await another.read('den', ask), await store.read('den', ask));
    for (const name of oddStrings) {
      assert.deepEqual(await findReceipt(another, 'den', name), await findReceipt(store, 'den', name));
      assert.deepEqual(await another.listTickets(name, NO_LIMIT), await store.listTickets(name, NO_LIMIT));
    }
    assert.deepEqual(new Set((await listExpired(another)).map(({ key }) => key)), new Set(oddStrings));
  });
}

const stringify = (item: unknown): string =>
  JSON.stringify(item, (_, value: unknown) => (isObject(value) ? Object.fromEntries(Object.entries(value).sort()) : value));
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
const itemsOf = ({ entries, keys, tickets, idempotencyKeys }: RoomChunk): unknown[] => [
  ...entries,
  ...keys,
  ...tickets,
  ...idempotencyKeys,
];
const sizeOf = (chunk: RoomChunk): number => itemsOf(chunk).reduce<number>((sum, item) => sum + Buffer.byteLength(JSON.stringify(item)), 0);

async function copyRoom(from: Store, to: Store, room = 'den'): Promise<void> {
  for (const chunk of await exportAll(from, room)) await to.importChunk(chunk);
}

/** Fills a room with everything that a room can have. */
async function fillRoom(store: Store, clock: ManualClock): Promise<void> {
  const joins = (name: string, node: string, more: Partial<Draft> = {}): Draft =>
    draft(`${name} joins`, {
      by: name,
      author: `user:${name}`,
      kind: 'joins',
      keyUpdates: [[`member/${name}`, { username: name, odd: [null, 1.5, '\u0000', { '': false }] }]],
      lease: { key: `member/${name}`, node },
      tickets: [{ holder: name, key: `member/${name}`, value: { username: name } }],
      ...more,
    });
  for (const node of ['n1', 'n2']) await store.heartbeat(node, 1_000_000);
  const { epoch } = await openRoom(
    store,
    'den',
    keyDraft(['settings', { owner: 'aya' }]),
    joins('aya', 'n1'),
    joins('ben', 'n2', { quiet: true }),
  );
  clock.advance(1_000);
  await appendOk(store, 'den', {
    epoch,
    idempotencyKey: 'aya:1',
    drafts: [draft('hello', { listed: true }), draft('second', { listed: true, quiet: true })],
  });
  await appendOk(store, 'den', { epoch, idempotencyKey: 'aya:2', drafts: [draft('to be erased', { listed: true })] });
  const reactions = repeat(3, (index): [string, Json] => [`reaction/4/${index % 2}/${index}`, true]);
  await appendOk(store, 'den', {
    epoch,
    drafts: [draft('erases', { eraseSeqs: [2, 6], keyUpdates: [['chat/6', { deleted: true }], ...reactions] })],
  });
  await appendOk(store, 'den', {
    epoch,
    drafts: [keyDraft(['settings', { owner: 'aya', topic: 'tea' }], ['reaction/4/0/2', null]), joins('cho', 'n1')],
  });
  const leaves = draft('ben leaves', {
    keyUpdates: [['member/ben', null]],
    tickets: [{ holder: 'ben', key: 'member/ben', value: 'gone', ttl: 600_000 }],
  });
  await appendOk(store, 'den', { epoch, idempotencyKey: 'ben:1', drafts: [leaves] });
  await store.releaseLease('den', 'member/cho', 'n1', 30_000);
  for (const [key, seq] of [
    ['member/aya', 7],
    ['settings', 3],
  ] as const)
    await store.advanceMark('den', key, seq);
}

/** All readable data of the store, except expired leases: nodes are not exported. */
async function snapshot(store: Store) {
  const page = await store.readPage('den', { limit: NO_LIMIT });
  const names = ['settings', 'member/aya', 'member/ben', 'member/cho', 'chat/6', 'reaction/4/0/0', 'reaction/4/0/2', 'reaction/4/1/1'];
  const found = {
    page,
    listed: await store.readPage('den', { listed: true, limit: NO_LIMIT }),
    facts: await store.read('den', { keys: names, seqs: upTo(page.head + 1), counts: ['', 'reaction', 'reaction/4', 'member'] }),
    families: await Promise.all(
      ['member', 'chat', 'reaction/4/0', 'reaction/4/1'].map((family) => store.listKeys('den', family, { limit: NO_LIMIT })),
    ),
    receipts: await Promise.all(['aya:1', 'aya:2', 'ben:1', 'never'].map((once) => findReceipt(store, 'den', once))),
    tickets: await Promise.all(['aya', 'ben', 'cho', 'dai'].map((holder) => store.listTickets(holder, NO_LIMIT))),
    rooms: await listRooms(store),
  };
  assert.equal(found.facts.keys.size, 6);
  assert.deepEqual(
    found.page.entries.map(({ body }) => body === null),
    repeat(10, (index) => [1, 5].includes(index)),
  );
  assert.deepEqual(
    found.receipts.map((receipt) => receipt?.entries.length),
    [2, 1, 1, undefined],
  );
  assert.deepEqual(
    found.tickets.map(({ length }) => length),
    [1, 1, 1, 0],
  );
  return found;
}
