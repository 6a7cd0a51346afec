/** Conformance tests of listRooms, of ending a room, and of close. */
import assert from 'node:assert/strict';
import { type AppendRequest, type RoomChunk, StoreError } from '@engawa/server';
import {
  appendOk,
  assertStale,
  countsOf,
  type DefineTest,
  draft,
  endRoom,
  entriesOf,
  exportAll,
  keyDraft,
  listExpired,
  listen,
  listRooms,
  namesOf,
  openRoom,
  repeat,
  seqsOf,
  sortByUtf8,
  textsOf,
  upTo,
  walkRooms,
} from './fixtures.ts';

export function roomListTests(check: DefineTest): void {
  check('rooms are listed with their epoch, their newest entry and its time', async (store, clock) => {
    const start = clock.now;
    assert.deepEqual(await listRooms(store), { rooms: [], hasMore: false });
    const attic = await openRoom(store, 'attic', draft('one'), draft('two'));
    const den = await openRoom(store, 'den');
    clock.advance(1_000);
    await appendOk(store, 'attic', { epoch: attic.epoch, drafts: [draft('three', { quiet: true })] });
    assert.deepEqual(await listRooms(store), {
      rooms: [
        { room: 'attic', epoch: attic.epoch, head: 3, at: start + 1_000 },
        { room: 'den', epoch: den.epoch, head: 1, at: start },
      ],
      hasMore: false,
    });
  });

  check('rooms are in the order of their UTF-8 bytes, and page by page each is listed once', async (store) => {
    const names = ['b', 'B', 'aa', 'a', '10', '9', 'é', 'ｱ', '\uffff', '😀', '𠮷', ' '];
    assert.notDeepEqual(sortByUtf8(names), names.toSorted(), 'the order of UTF-16 is another one');
    await Promise.all(names.map((name) => openRoom(store, name)));
    for (const limit of [1, 5, 11, 12, 13]) assert.deepEqual(await walkRooms(store, limit), sortByUtf8(names));
    assert.deepEqual(
      (await listRooms(store, { after: 'ab', limit: 1 })).rooms.map(({ room }) => room),
      ['b'],
    );
    assert.deepEqual(await listRooms(store, { after: '\u{10ffff}' }), { rooms: [], hasMore: false });
  });

  check('each room has the requested facts, equal to those of a read', async (store) => {
    const ask = { keys: ['settings', 'member/aya', 'none', 'a/b/c'], counts: ['', 'a', 'entry/1/reaction', 'none'] };
    const joins = draft('joins', { keyUpdates: [['member/aya', { is: 'here' }]], lease: { key: 'member/aya', node: 'n1' } });
    await openRoom(
      store,
      'attic',
      keyDraft(['settings', 'of the attic'], ['a/b/c', 1], ['a/b/d', 2], ['entry/1/reaction/x/aya', true]),
      joins,
    );
    await openRoom(store, 'bare');
    await openRoom(store, 'den', keyDraft(['settings', 'of the den'], ['member/ben', 1]), joins);
    await store.advanceMark('den', 'member/aya', 2);
    await store.releaseLease('den', 'member/aya', 'n1', 1_000);
    await openRoom(store, 'ended', joins);
    await endRoom(store, 'ended');

    const { rooms: listed, hasMore } = await store.listRooms({ limit: 3, ...ask });
    assert.equal(hasMore, false);
    assert.deepEqual(
      listed.map(({ room }) => room),
      ['attic', 'bare', 'den'],
    );
    for (const { room, epoch, head, keys, counts } of listed) {
      const facts = await store.read(room, ask);
      assert.deepEqual({ epoch, head, keys, counts }, { epoch: facts.epoch, head: facts.head, keys: facts.keys, counts: facts.counts });
    }
    assert.deepEqual([...(listed[2]?.keys.keys() ?? [])], ['settings', 'member/aya']);

    const page = await store.listRooms({ after: 'attic', limit: 1, ...ask });
    assert.deepEqual([page.rooms.map(({ room }) => room), page.hasMore], [['bare'], true]);
    assert.deepEqual(page.rooms[0]?.counts, new Map(ask.counts.map((parent) => [parent, new Map()])));
    const plain = await store.listRooms({ limit: 1 });
    assert.deepEqual([plain.rooms[0]?.keys, plain.rooms[0]?.counts], [new Map(), new Map()]);
  });
}

export function roomEndTests(check: DefineTest): void {
  check('listeners are notified of the last entry, then nothing remains', async (store, clock) => {
    const member = draft('joins', {
      keyUpdates: [
        ['member/aya', 1],
        ['settings', 1],
      ],
      lease: { key: 'member/aya', node: 'n1' },
      listed: true,
    });
    const { epoch } = await appendOk(store, 'den', { epoch: null, idempotencyKey: 'aya:1', drafts: [member] });
    assert.deepEqual(await listExpired(store), [{ room: 'den', key: 'member/aya' }]);
    assert.deepEqual(await countsOf(store, 'den', ''), { member: 1 });
    const { notices } = await listen(store, 'den');
    const last = draft('farewell', { endsRoom: true });
    await appendOk(store, 'den', { epoch, drafts: [draft('see you'), last] });

    assert.deepEqual(notices.map(({ ended }) => ended).at(-1), true);
    assert.deepEqual(
      notices.flatMap(({ entries }) => textsOf(entries)),
      ['see you', 'farewell'],
    );
    const facts = await store.read('den', { keys: ['member/aya', 'settings'], seqs: [1, 2], counts: [''] });
    assert.deepEqual(facts, { epoch: null, head: 0, bytes: 0, keys: new Map(), entries: new Map(), counts: new Map([['', new Map()]]) });
    assert.deepEqual(await store.readPage('den', { limit: 5 }), {
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
    assert.deepEqual(await namesOf(store, 'den', 'member'), []);
    assert.deepEqual((await listRooms(store)).rooms, []);
    clock.advance(1_000);
    assert.deepEqual(await listExpired(store), []);
    assert.equal(await store.acquireLease('den', { name: 'member/aya', seq: 1 }, 'n1'), false);
    await assertStale(store, 'den', { epoch });
  });

  check('the name is free for a new epoch, which has nothing of the former one', async (store) => {
    const lives = new Set<string>();
    for (const turn of repeat(10, String)) {
      const { epoch, entries } = await openRoom(store, 'den', draft(turn, { keyUpdates: [[`of/${turn}`, 1]] }));
      assert.deepEqual(seqsOf(entries), [1]);
      assert.deepEqual(
        (await entriesOf(store, 'den')).map(({ body, prev }) => [body?.text, prev]),
        [[turn, null]],
      );
      assert.deepEqual(await namesOf(store, 'den', 'of'), [turn]);
      assert.deepEqual(await countsOf(store, 'den', ''), { of: 1 });
      lives.add(epoch);
      await endRoom(store, 'den');
    }
    assert.equal(lives.size, 10);
  });

  check('a lease of the former epoch is no lease of the same key in the next one', async (store) => {
    await openRoom(store, 'den', draft('joins', { keyUpdates: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } }));
    assert.equal(await store.acquireLease('den', { name: 'member/aya', seq: 1 }, 'n1'), true);
    await endRoom(store, 'den');
    await openRoom(store, 'den', keyDraft(['member/aya', 1]));
    assert.equal(await store.acquireLease('den', { name: 'member/aya', seq: 1 }, 'n1'), false);
    assert.deepEqual(await listExpired(store), []);
  });

  check('other rooms are unchanged', async (store) => {
    await openRoom(store, 'den', keyDraft(['a/b', 1]));
    const { epoch } = await openRoom(store, 'attic', keyDraft(['a/b', 1]));
    await endRoom(store, 'den');
    await appendOk(store, 'attic', { epoch, expectedVersions: [['a/b', 1]], drafts: [draft('still here')] });
    assert.deepEqual(await countsOf(store, 'attic', ''), { a: 1 });
    assert.deepEqual(
      (await listRooms(store)).rooms.map(({ room }) => room),
      ['attic'],
    );
  });

  check('of many concurrent appends that end the room one succeeds, and the others are stale', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const last = (): AppendRequest => ({ epoch, expectedVersions: [], drafts: [draft('ends', { endsRoom: true })] });
    const outcomes = (await Promise.all(repeat(20, () => store.append('den', last())))).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ['appended', ...repeat(19, () => 'stale')]);
  });

  check('a room can be created and ended in one append', async (store) => {
    const { notices } = await listen(store, 'den');
    await openRoom(store, 'den', draft('brief', { endsRoom: true, keyUpdates: [['a/b', 1]] }));
    assert.deepEqual(
      notices.map(({ ended, entries }) => [ended, textsOf(entries)]),
      [[true, ['brief']]],
    );
    assert.equal((await store.read('den', {})).epoch, null);
    await openRoom(store, 'den');
    assert.deepEqual(await countsOf(store, 'den', ''), {});
  });
}

export function closeTests(check: DefineTest): void {
  check('pending operations are completed', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const operations = repeat(2_500, () => appendOk(store, 'den', { epoch, drafts: [draft('last words')] }));
    await store.close();
    assert.deepEqual(
      (await Promise.all(operations)).flatMap(({ entries }) => seqsOf(entries)),
      upTo(2_501).slice(1),
    );
  });

  check('later operations are refused as closed', async (store) => {
    const { epoch } = await openRoom(store, 'den', draft('joins', { keyUpdates: [['a', 1]], lease: { key: 'a', node: 'n1' } }));
    const [chunk] = await exportAll(store, 'den');
    assert.equal(store.isWritable, true);
    await store.close();
    assert.equal(store.isWritable, false);
    const operations: (() => Promise<unknown>)[] = [
      () => store.read('den', {}),
      () => store.append('den', { epoch, expectedVersions: [], drafts: [draft('too late')] }),
      () => store.findByIdempotencyKey('den', 'aya:1'),
      () => store.readPage('den', { limit: 1 }),
      () => store.listKeys('den', 'a', { limit: 1 }),
      () => store.listRooms({ limit: 1 }),
      () => store.usage(),
      () => store.subscribe('den', { onAppend: () => {}, onPublish: () => {}, onGap: () => {} }),
      () => store.publish('den', 'too late'),
      () => store.advanceMark('den', 'a', 1),
      () => store.startNewEpoch('den', epoch),
      () => store.trim('den', { epoch, below: 1 }),
      () => store.listTickets('aya', 1),
      () => store.heartbeat('n1', 1_000),
      () => store.acquireLease('den', { name: 'a', seq: 1 }, 'n1'),
      () => store.releaseLease('den', 'a', 'n1', 0),
      () => store.listExpiredLeases(1),
      () => store.exportChunk('den', null),
      () => store.importChunk(chunk as RoomChunk),
    ];
    for (const operation of operations)
      await assert.rejects(operation, (error) => error instanceof StoreError && error.reason === 'closed', String(operation));
  });

  check('close may be called twice', async (store) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });
}
