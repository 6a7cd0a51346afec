import assert from 'node:assert/strict';
import { type Append, type Parcel, StoreError } from '../store.ts';
import {
  add,
  byBytes,
  type Check,
  countsOf,
  draft,
  endRoom,
  entriesOf,
  isStale,
  listen,
  listLapsed,
  listRooms,
  namesOf,
  openRoom,
  packAll,
  seqsOf,
  sets,
  textsOf,
  times,
  upTo,
  walkRooms,
} from './arrange.ts';

export function rooms(check: Check): void {
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

  check('each comes with what is asked of it, as it is read by itself', async (store) => {
    const ask = { keys: ['settings', 'member/aya', 'none', 'a/b/c'], counts: ['', 'a', 'entry/1/reaction', 'none'] };
    const joins = draft('joins', { sets: [['member/aya', { is: 'here' }]], lease: { key: 'member/aya', node: 'n1' } });
    await openRoom(store, 'attic', sets(['settings', 'of the attic'], ['a/b/c', 1], ['a/b/d', 2], ['entry/1/reaction/x/aya', true]), joins);
    await openRoom(store, 'bare');
    await openRoom(store, 'den', sets(['settings', 'of the den'], ['member/ben', 1]), joins);
    await store.mark('den', 'member/aya', 2);
    await store.release('den', 'member/aya', 'n1', 1_000);
    await openRoom(store, 'ended', joins);
    await endRoom(store, 'ended');

    const { rooms: listed, more } = await store.rooms({ limit: 3, ...ask });
    assert.equal(more, false);
    assert.deepEqual(
      listed.map(({ room }) => room),
      ['attic', 'bare', 'den'],
    );
    for (const { room, epoch, head, keys, counts } of listed) {
      const facts = await store.read(room, ask);
      assert.deepEqual({ epoch, head, keys, counts }, { epoch: facts.epoch, head: facts.head, keys: facts.keys, counts: facts.counts });
    }
    assert.deepEqual([...(listed[2]?.keys.keys() ?? [])], ['settings', 'member/aya']);

    const page = await store.rooms({ after: 'attic', limit: 1, ...ask });
    assert.deepEqual([page.rooms.map(({ room }) => room), page.more], [['bare'], true]);
    assert.deepEqual(page.rooms[0]?.counts, new Map(ask.counts.map((parent) => [parent, new Map()])));
    const plain = await store.rooms({ limit: 1 });
    assert.deepEqual([plain.rooms[0]?.keys, plain.rooms[0]?.counts], [new Map(), new Map()]);
  });
}

export function ends(check: Check): void {
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
    assert.deepEqual(facts, { epoch: null, head: 0, bytes: 0, keys: new Map(), entries: new Map(), counts: new Map([['', new Map()]]) });
    assert.deepEqual(await store.page('den', { limit: 5 }), {
      epoch: null,
      head: 0,
      tail: null,
      tick: 0,
      oldest: 0,
      bytes: 0,
      now: clock.now,
      entries: [],
      more: false,
    });
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

export function closing(check: Check): void {
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
    const [parcel] = await packAll(store, 'den');
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
      () => store.usage(),
      () => store.subscribe('den', { appended: () => {}, announced: () => {}, missed: () => {} }),
      () => store.announce('den', 'too late'),
      () => store.mark('den', 'a', 1),
      () => store.fork('den', epoch),
      () => store.trim('den', { epoch, below: 1 }),
      () => store.tickets('aya', 1),
      () => store.beat('n1', 1_000),
      () => store.hold('den', { name: 'a', seq: 1 }, 'n1'),
      () => store.release('den', 'a', 'n1', 0),
      () => store.lapsed(1),
      () => store.pack('den', null),
      () => store.unpack(parcel as Parcel),
    ];
    for (const ask of asked) await assert.rejects(ask, (error) => error instanceof StoreError && error.reason === 'closed', String(ask));
  });

  check('it may be asked again', async (store) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });
}
