/** Conformance tests of tickets. */
import assert from 'node:assert/strict';
import type { Draft, DraftTicket, Json } from '@engawa/server';
import {
  appendOk,
  assertNothingAppended,
  assertStale,
  type DefineTest,
  draft,
  endRoom,
  keyDraft,
  NO_LIMIT,
  openRoom,
  ticketsOf,
  trim,
} from './fixtures.ts';

export function ticketTests(check: DefineTest): void {
  const key = 'member/aya';
  const leaves = (...tickets: Partial<DraftTicket>[]): Draft =>
    draft('leaves', { tickets: (tickets.length > 0 ? tickets : [{}]).map((ticket) => ({ holder: 'aya', key, value: 'here', ...ticket })) });

  check('a draft sets a ticket with its value, room, key and entry', async (store) => {
    const value: Json = { epoch: 'e', seqs: [1, null], '': '\u0000' };
    const { epoch } = await openRoom(store, 'den', draft('one'), leaves({ value }), draft('three'));
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), [{ room: 'den', key, value, seq: 2, epoch }]);
  });

  check('a later ticket of the same key replaces it, also in one append', async (store) => {
    const { epoch } = await openRoom(store, 'den', leaves({ value: 1 }), leaves({ value: 2 }));
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), [{ room: 'den', key, value: 2, seq: 2, epoch }]);
    await appendOk(store, 'den', { epoch, drafts: [leaves({ value: false })] });
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), [{ room: 'den', key, value: false, seq: 3, epoch }]);
  });

  check(
    'one draft can set several tickets of one or many holders; of the same holder and key the later one counts',
    async (store, clock) => {
      const { epoch } = await openRoom(
        store,
        'den',
        leaves({ value: 1 }, { key: 'a', ttl: 500 }, { holder: 'ben', value: 2 }, { value: 3 }),
      );
      assert.deepEqual(await ticketsOf(store, 'aya'), ['den a', 'den member/aya']);
      assert.deepEqual((await store.listTickets('aya', NO_LIMIT))[1], { room: 'den', key, value: 3, seq: 1, epoch });
      assert.deepEqual(await store.listTickets('ben', NO_LIMIT), [{ room: 'den', key, value: 2, seq: 1, epoch }]);
      clock.advance(501);
      await appendOk(store, 'den', { epoch, drafts: [leaves({ value: null }, { key: 'b' }), { ...leaves(), tickets: [] }] });
      assert.deepEqual([await ticketsOf(store, 'aya'), await ticketsOf(store, 'ben')], [['den b'], ['den member/aya']]);
      await endRoom(store, 'den');
      assert.deepEqual([await ticketsOf(store, 'aya'), await ticketsOf(store, 'ben')], [[], []]);
    },
  );

  check('null removes it, also in one append, and does nothing if there is none', async (store) => {
    const { epoch } = await openRoom(store, 'den', leaves());
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
    for (const _ of [1, 2]) {
      await appendOk(store, 'den', { epoch, drafts: [leaves({ value: null })] });
      assert.deepEqual(await store.listTickets('aya', NO_LIMIT), []);
    }
    await appendOk(store, 'den', { epoch, drafts: [leaves(), leaves({ value: null })] });
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), []);
    await appendOk(store, 'den', { epoch, drafts: [leaves({ value: null }), leaves()] });
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
  });

  check('it expires after its ttl, and does not without one', async (store, clock) => {
    await openRoom(
      store,
      'den',
      leaves({ key: 'a', ttl: 500 }),
      leaves({ key: 'b', ttl: 1_000 }),
      leaves({ key: 'c' }),
      leaves({ key: 'd', ttl: 0 }),
    );
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den a', 'den b', 'den c']);
    clock.advance(499);
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den a', 'den b', 'den c']);
    clock.advance(2);
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den b', 'den c']);
    clock.advance(100 * 365 * 24 * 60 * 60 * 1_000);
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den c']);
  });

  check('set again it has its new ttl', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den', leaves({ ttl: 500 }));
    clock.advance(400);
    await appendOk(store, 'den', { epoch, drafts: [leaves({ ttl: 500 })] });
    clock.advance(400);
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
    await appendOk(store, 'den', { epoch, drafts: [leaves()] });
    clock.advance(101);
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
    await appendOk(store, 'den', { epoch, drafts: [leaves({ ttl: 500 })] });
    clock.advance(501);
    assert.deepEqual(await ticketsOf(store, 'aya'), []);
    await appendOk(store, 'den', { epoch, drafts: [leaves()] });
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
  });

  check('it lasts while the engine is idle, whatever other clocks show', async (store, clock) => {
    clock.advance(-10 * 365 * 24 * 60 * 60 * 1_000);
    const { epoch } = await openRoom(store, 'den', leaves({ ttl: 1_000 }));
    await new Promise((resolve) => setTimeout(resolve, 600));
    await appendOk(store, 'den', { epoch, drafts: [draft('something else')] });
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
  });

  check('each holder has their own ticket, also for the same key', async (store) => {
    const { epoch } = await openRoom(store, 'den', leaves({ value: 1 }), leaves({ holder: 'ben', value: 2 }));
    assert.deepEqual(await store.listTickets('ben', NO_LIMIT), [{ room: 'den', key, value: 2, seq: 2, epoch }]);
    await appendOk(store, 'den', { epoch, drafts: [leaves({ value: null })] });
    assert.deepEqual([await ticketsOf(store, 'aya'), await ticketsOf(store, 'ben')], [[], ['den member/aya']]);
    for (const other of ['nobody', 'be', 'ben ', 'Ben', '*', '']) assert.deepEqual(await store.listTickets(other, NO_LIMIT), []);
  });

  check('each room has its own, and other rooms do not affect it', async (store) => {
    const den = await openRoom(store, 'den', leaves({ value: 'den' }));
    const attic = await openRoom(store, 'attic', draft('one'), leaves({ value: 'attic' }));
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), [
      { room: 'attic', key, value: 'attic', seq: 2, epoch: attic.epoch },
      { room: 'den', key, value: 'den', seq: 1, epoch: den.epoch },
    ]);
    await appendOk(store, 'attic', { epoch: attic.epoch, drafts: [leaves({ value: null })] });
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya']);
  });

  check('tickets are in the order of the UTF-8 bytes of rooms, then of keys, up to the limit', async (store) => {
    // Keys are sorted as single names here: the slash is a byte like any other.
    const ordered = ['!', 'a', 'a!x', 'a/b', 'a/b/c', 'a/z', 'b', 'ｱ', '😀'];
    const shuffled = ordered.toSorted().reverse();
    assert.notDeepEqual(shuffled.toReversed(), ordered, 'the order of UTF-16 is another one');
    for (const room of ['😀', 'a/b', 'ｱ', 'a!']) await openRoom(store, room, ...shuffled.map((each) => leaves({ key: each })));
    const all = ['a!', 'a/b', 'ｱ', '😀'].flatMap((room) => ordered.map((each) => `${room} ${each}`));
    assert.deepEqual(await ticketsOf(store, 'aya'), all);
    for (const limit of [1, 8, 10, 36, 37])
      assert.deepEqual(
        (await store.listTickets('aya', limit)).map(({ room, key: each }) => `${room} ${each}`),
        all.slice(0, limit),
      );
  });

  check('expired tickets do not count for the limit', async (store, clock) => {
    await openRoom(store, 'den', leaves({ key: 'a', ttl: 500 }), leaves({ key: 'b' }));
    clock.advance(501);
    assert.deepEqual(
      (await store.listTickets('aya', 1)).map(({ key: each }) => each),
      ['b'],
    );
  });

  check('it is removed with its room, and a room that is created again has none', async (store) => {
    await openRoom(store, 'den', leaves());
    await openRoom(store, 'attic', leaves());
    assert.deepEqual(await ticketsOf(store, 'aya'), ['attic member/aya', 'den member/aya']);
    await endRoom(store, 'den');
    assert.deepEqual(await ticketsOf(store, 'aya'), ['attic member/aya']);
    const { epoch } = await openRoom(store, 'den');
    assert.deepEqual(await ticketsOf(store, 'aya'), ['attic member/aya']);
    await appendOk(store, 'den', { epoch, drafts: [{ ...leaves(), endsRoom: true }] });
    assert.deepEqual(await ticketsOf(store, 'aya'), ['attic member/aya']);
  });

  check('it needs no key of its name, and outlives it', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft([key, 1]));
    await appendOk(store, 'den', { epoch, drafts: [{ ...leaves(), keyUpdates: [[key, null]] }, leaves({ key: 'never/set' })] });
    assert.deepEqual(await ticketsOf(store, 'aya'), ['den member/aya', 'den never/set']);
    assert.equal((await store.read('den', { keys: [key, 'never/set'] })).keys.size, 0);
  });

  check('it outlives the entry that set it', async (store) => {
    const { epoch } = await openRoom(store, 'den', leaves());
    await trim(store, 'den', 2);
    assert.equal((await store.readPage('den', { limit: 1 })).entries.length, 0);
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), [{ room: 'den', key, value: 'here', seq: 1, epoch }]);
  });

  check('a stale or repeated append sets and removes none', async (store) => {
    const idempotencyKey = 'aya:1';
    const { epoch } = await appendOk(store, 'den', { epoch: null, idempotencyKey, drafts: [leaves({ value: 1 })] });
    const drafts = [leaves({ key: 'another' }), leaves({ value: null })];
    await assertStale(store, 'den', { epoch, expectedVersions: [['a', 1]], drafts });
    await assertNothingAppended(store, 'den', 'repeated', { epoch, idempotencyKey, drafts });
    assert.deepEqual(await store.listTickets('aya', NO_LIMIT), [{ room: 'den', key, value: 1, seq: 1, epoch }]);
  });
}
