import assert from 'node:assert/strict';
import type { Append, Draft, Store } from '../store.ts';
import { add, type Check, draft, isStale, keyOf, listLapsed, openRoom, sets, times } from './arrange.ts';

const leaseOf = async (store: Store, key: string) => (await keyOf(store, 'den', key))?.lease;

export function leases(check: Check): void {
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

  check('its key says so while it is held or released, alone and in its family', async (store, clock) => {
    await store.beat('n1', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'), sets(['member/ben', 1]));
    const says = async (lease: 'held' | 'released'): Promise<void> => {
      const [aya, ben] = (await store.family('den', 'member', { limit: 5 })).keys.map(([, each]) => each);
      assert.deepEqual([aya?.lease, await leaseOf(store, key)], [lease, lease]);
      assert.deepEqual(
        [ben, await keyOf(store, 'den', 'member/ben')],
        times(2, () => ({ value: 1, seq: 2 })),
      );
    };
    await says('held');
    await store.release('den', key, 'n2', 0);
    await says('held');
    await store.release('den', key, 'n1', 500);
    await says('released');
    clock.pass(501);
    await says('released');
    await add(store, 'den', { epoch, drafts: [sets([key, 2])] });
    await says('released');
    assert.equal(await hold(store, 'n2', 3), true);
    await says('held');
    await store.release('den', key, 'n2', 500);
    await add(store, 'den', { epoch, drafts: [joins('n1')] });
    await says('held');
  });

  check('set aside it is nobody’s, and is listed only after its time', async (store, clock) => {
    await store.beat('n1', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.setAside('den', key, 500), false);
    await store.release('den', key, 'n1', 500);
    clock.pass(499);
    assert.equal(await store.setAside('den', key, 500), false);
    assert.equal(await leaseOf(store, key), 'released');
    clock.pass(2);
    assert.equal(await hasLapsed(store), true);
    assert.equal(await store.setAside('den', key, 500), true);
    assert.deepEqual(await listLapsed(store), []);
    assert.equal(await leaseOf(store, key), 'lapsed');
    assert.equal(await store.setAside('den', key, 500), false);
    await add(store, 'den', { epoch, lapsed: key, drafts: [draft('passes all the while')] });
    clock.pass(501);
    assert.equal(await hasLapsed(store), true);
    assert.equal(await leaseOf(store, key), 'lapsed');
    assert.equal(await store.setAside('den', key, 500), true);
    assert.deepEqual(await listLapsed(store), []);
  });

  check('so is what a node had that is gone', async (store, clock) => {
    await store.beat('n1', 1_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.setAside('den', key, 500), false);
    clock.pass(1_001);
    assert.equal(await store.setAside('den', key, 500), true);
    assert.deepEqual(await listLapsed(store), []);
    // It was forgotten, and comes back too late.
    await store.beat('n1', 1_000);
    await store.release('den', key, 'n1', 0);
    assert.equal(await leaseOf(store, key), 'lapsed');
    clock.pass(501);
    assert.equal(await hasLapsed(store), true);
  });

  check('who holds it again has it as before', async (store, clock) => {
    await store.beat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.setAside('den', key, 500), true);
    assert.equal(await hold(store, 'n2'), true);
    assert.equal(await leaseOf(store, key), 'held');
    clock.pass(501);
    assert.equal(await hasLapsed(store), false);
    await isStale(store, 'den', { epoch, lapsed: key });
    await store.release('den', key, 'n2', 0);
    clock.pass(1);
    assert.equal(await hasLapsed(store), true);
  });

  check('one append takes what was set aside away, and leases it to another', async (store, clock) => {
    await store.beat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.setAside('den', key, 500), true);
    await add(store, 'den', { epoch, lapsed: key, given: [[key, 1]], drafts: [sets([key, null]), joins('n2')] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 3, lease: 'held' });
    clock.pass(501);
    assert.equal(await hasLapsed(store), false);
  });

  check('nothing is set aside that is not there, or has no lease', async (store) => {
    await openRoom(store, 'den', sets([key, 1]));
    assert.equal(await store.setAside('den', key, 500), false);
    assert.equal(await store.setAside('den', 'member/nobody', 500), false);
    assert.equal(await store.setAside('nowhere', key, 500), false);
  });

  check('its key says that it is held though its node is gone, and nothing once the lease has ended', async (store, clock) => {
    await store.beat('n1', 1_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    clock.pass(1_001);
    assert.equal(await hasLapsed(store), true);
    assert.equal(await leaseOf(store, key), 'held');
    await add(store, 'den', { epoch, drafts: [sets([key, null])] });
    await add(store, 'den', { epoch, drafts: [sets([key, 1])] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 4 });
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
