/** Conformance tests of startNewEpoch. */
import assert from 'node:assert/strict';
import {
  appendOk,
  assertNothingAppended,
  assertStale,
  type DefineTest,
  draft,
  findReceipt,
  keyOf,
  listen,
  listRooms,
  NO_LIMIT,
  openRoom,
  receiptOf,
  repeat,
} from './fixtures.ts';

export function newEpochTests(check: DefineTest): void {
  const joins = draft('joins', { keyUpdates: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } });

  check('the log gets a new epoch and is otherwise unchanged', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins, draft('two', { listed: true }), draft('three', { quiet: true }));
    await store.advanceMark('den', 'member/aya', 2);
    const look = async () => ({
      page: await store.readPage('den', { limit: NO_LIMIT }),
      facts: await store.read('den', { keys: ['member/aya'], seqs: [1, 2, 3], counts: [''] }),
      rooms: await listRooms(store),
    });
    const before = await look();
    const forked = await store.startNewEpoch('den', epoch);
    assert.ok(forked !== null && forked !== epoch);
    assert.equal(forked.split('.')[0], epoch.split('.')[0], 'the room is known again');
    assert.deepEqual(await look(), {
      page: { ...before.page, epoch: forked },
      facts: { ...before.facts, epoch: forked },
      rooms: { rooms: before.rooms.rooms.map((room) => ({ ...room, epoch: forked })), hasMore: false },
    });
  });

  check('it happens once: an outdated epoch returns the present one', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const answers = await Promise.all(repeat(20, () => store.startNewEpoch('den', epoch)));
    assert.equal(new Set(answers).size, 1);
    const [forked] = answers;
    assert.ok(forked && forked !== epoch);
    for (const named of [epoch, 'no such epoch', '']) assert.equal(await store.startNewEpoch('den', named), forked);
    const again = await store.startNewEpoch('den', forked);
    assert.ok(again !== null && again !== forked && again !== epoch);
    assert.equal((await store.read('den', {})).epoch, again);
  });

  check('without a room the result is null and no room is created; other rooms keep their epoch', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    assert.equal(await store.startNewEpoch('nowhere', epoch), null);
    assert.deepEqual(await listRooms(store).then(({ rooms }) => rooms.map((room) => [room.room, room.epoch])), [['den', epoch]]);
  });

  check('an append of the former epoch is stale, and one of the new epoch succeeds', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins);
    const forked = await store.startNewEpoch('den', epoch);
    await assertStale(store, 'den', { epoch });
    await assertStale(store, 'den', { epoch: null });
    const next = await appendOk(store, 'den', { epoch: forked, expectedVersions: [['member/aya', 1]], drafts: [draft('two')] });
    assert.deepEqual([next.epoch, next.entries[0]?.seq], [forked, 2]);
    assert.equal((await store.readPage('den', { limit: 1 })).entries[0]?.prev, joins.id);
  });

  check('earlier appends are still repeated, with the new epoch', async (store) => {
    const idempotencyKey = 'aya:1';
    const first = await appendOk(store, 'den', { epoch: null, idempotencyKey, drafts: [draft('one'), draft('two')] });
    const forked = await store.startNewEpoch('den', first.epoch);
    assert.notEqual(forked, first.epoch);
    const now = { ...first, epoch: forked };
    assert.deepEqual(await findReceipt(store, 'den', idempotencyKey), now);
    for (const epoch of [null, first.epoch, forked])
      assert.deepEqual(receiptOf(await assertNothingAppended(store, 'den', 'repeated', { epoch, idempotencyKey })), now);
  });

  check('leases are unchanged', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins);
    const forked = await store.startNewEpoch('den', epoch);
    assert.equal(await store.acquireLease('den', { name: 'member/aya', seq: 1 }, 'n2'), true);
    assert.equal((await keyOf(store, 'den', 'member/aya'))?.lease, 'held');
    await appendOk(store, 'den', { epoch: forked, requiredExpiredLease: 'member/aya', drafts: [draft('no heartbeat')] });
  });

  check('tickets keep the epoch with which they were set', async (store) => {
    const setsTicket = (key: string) => draft('sets a ticket', { tickets: [{ holder: 'aya', key, value: 1 }] });
    const { epoch } = await openRoom(store, 'den', setsTicket('a'));
    const forked = await store.startNewEpoch('den', epoch);
    assert.notEqual(forked, epoch);
    await appendOk(store, 'den', { epoch: forked, drafts: [setsTicket('b')] });
    assert.deepEqual(
      (await store.listTickets('aya', NO_LIMIT)).map((ticket) => [ticket.key, ticket.seq, ticket.epoch]),
      [
        ['a', 1, epoch],
        ['b', 2, forked],
      ],
    );
  });

  check('no listener is notified, and later notices have the new epoch', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const { notices, messages } = await listen(store, 'den');
    const forked = await store.startNewEpoch('den', epoch);
    assert.deepEqual([notices, messages], [[], []]);
    await appendOk(store, 'den', { epoch: forked, drafts: [draft('two')] });
    assert.deepEqual(
      notices.map((notice) => notice.epoch),
      [forked],
    );
  });
}
