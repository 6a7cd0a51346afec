import assert from 'node:assert/strict';
import {
  ALL,
  add,
  appendsNothing,
  type Check,
  draft,
  isStale,
  keptOf,
  keyOf,
  listen,
  listRooms,
  openRoom,
  recall,
  times,
} from './arrange.ts';

export function forks(check: Check): void {
  const joins = draft('joins', { sets: [['member/aya', 1]], lease: { key: 'member/aya', node: 'n1' } });

  check('it begins another life, in which everything is as it was', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins, draft('two', { listed: true }), draft('three', { quiet: true }));
    await store.mark('den', 'member/aya', 2);
    const look = async () => ({
      page: await store.page('den', { limit: ALL }),
      facts: await store.read('den', { keys: ['member/aya'], seqs: [1, 2, 3], counts: [''] }),
      rooms: await listRooms(store),
    });
    const before = await look();
    const forked = await store.fork('den', epoch);
    assert.ok(forked !== null && forked !== epoch);
    assert.equal(forked.split('.')[0], epoch.split('.')[0], 'the room is known again');
    assert.deepEqual(await look(), {
      page: { ...before.page, epoch: forked },
      facts: { ...before.facts, epoch: forked },
      rooms: { rooms: before.rooms.rooms.map((room) => ({ ...room, epoch: forked })), more: false },
    });
  });

  check('it happens once: who names a life that is over gets the one in force', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const answers = await Promise.all(times(20, () => store.fork('den', epoch)));
    assert.equal(new Set(answers).size, 1);
    const [forked] = answers;
    assert.ok(forked && forked !== epoch);
    for (const named of [epoch, 'no such life', '']) assert.equal(await store.fork('den', named), forked);
    const again = await store.fork('den', forked);
    assert.ok(again !== null && again !== forked && again !== epoch);
    assert.equal((await store.read('den', {})).epoch, again);
  });

  check('without a room it is null, and makes none; other rooms keep their life', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    assert.equal(await store.fork('nowhere', epoch), null);
    assert.deepEqual(await listRooms(store).then(({ rooms }) => rooms.map((room) => [room.room, room.epoch])), [['den', epoch]]);
  });

  check('an append that was decided on the life before is stale, and one on the new life goes on', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins);
    const forked = await store.fork('den', epoch);
    await isStale(store, 'den', { epoch });
    await isStale(store, 'den', { epoch: null });
    const next = await add(store, 'den', { epoch: forked, given: [['member/aya', 1]], drafts: [draft('two')] });
    assert.deepEqual([next.epoch, next.entries[0]?.seq], [forked, 2]);
    assert.equal((await store.page('den', { limit: 1 })).entries[0]?.prev, joins.id);
  });

  check('what was kept before is still repeated, as of the life in which it stands now', async (store) => {
    const once = 'aya:1';
    const first = await add(store, 'den', { epoch: null, once, drafts: [draft('one'), draft('two')] });
    const forked = await store.fork('den', first.epoch);
    assert.notEqual(forked, first.epoch);
    const now = { ...first, epoch: forked };
    assert.deepEqual(await recall(store, 'den', once), now);
    for (const epoch of [null, first.epoch, forked])
      assert.deepEqual(keptOf(await appendsNothing(store, 'den', 'repeated', { epoch, once })), now);
  });

  check('leases go on', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins);
    const forked = await store.fork('den', epoch);
    assert.equal(await store.hold('den', { name: 'member/aya', seq: 1 }, 'n2'), true);
    assert.equal((await keyOf(store, 'den', 'member/aya'))?.lease, 'held');
    await add(store, 'den', { epoch: forked, lapsed: 'member/aya', drafts: [draft('nobody beats')] });
  });

  check('tickets keep the life that they were left in', async (store) => {
    const leaves = (key: string) => draft('leaves', { tickets: [{ holder: 'aya', key, value: 1 }] });
    const { epoch } = await openRoom(store, 'den', leaves('a'));
    const forked = await store.fork('den', epoch);
    assert.notEqual(forked, epoch);
    await add(store, 'den', { epoch: forked, drafts: [leaves('b')] });
    assert.deepEqual(
      (await store.tickets('aya', ALL)).map((ticket) => [ticket.key, ticket.seq, ticket.epoch]),
      [
        ['a', 1, epoch],
        ['b', 2, forked],
      ],
    );
  });

  check('nobody is told, and what follows is told as of the new life', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const { heard, signals } = await listen(store, 'den');
    const forked = await store.fork('den', epoch);
    assert.deepEqual([heard, signals], [[], []]);
    await add(store, 'den', { epoch: forked, drafts: [draft('two')] });
    assert.deepEqual(
      heard.map((told) => told.epoch),
      [forked],
    );
  });
}
