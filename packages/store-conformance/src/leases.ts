/** Conformance tests of leases and heartbeats. */
import assert from 'node:assert/strict';
import type { AppendRequest, Draft, Store } from '@engawa/server';
import { appendOk, assertStale, type DefineTest, draft, keyDraft, keyOf, listExpired, openRoom, repeat } from './fixtures.ts';

const leaseOf = async (store: Store, key: string) => (await keyOf(store, 'den', key))?.lease;

export function leaseTests(check: DefineTest): void {
  const key = 'member/aya';
  const joins = (node: string, name = key): Draft => draft('joins', { keyUpdates: [[name, 1]], lease: { key: name, node } });
  const acquire = (store: Store, node: string, seq = 1): Promise<boolean> => store.acquireLease('den', { name: key, seq }, node);
  /** Whether the lease is expired, both in the list and for a conditional append. */
  const hasExpired = async (store: Store): Promise<boolean> => {
    const { epoch } = await store.read('den', {});
    const listed = (await listExpired(store)).some((lease) => lease.room === 'den' && lease.key === key);
    const { outcome } = await store.append('den', {
      epoch,
      expectedVersions: [],
      requiredExpiredLease: key,
      drafts: [draft('is expired')],
    });
    assert.equal(outcome, listed ? 'appended' : 'stale');
    return listed;
  };

  check('a lease is held while its node sends heartbeats, and expires when the node is gone', async (store, clock) => {
    await store.heartbeat('n1', 1_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await hasExpired(store), false);
    clock.advance(900);
    await store.heartbeat('n1', 1_000);
    clock.advance(900);
    assert.equal(await hasExpired(store), false);
    clock.advance(101);
    assert.equal(await hasExpired(store), true);
  });

  check('a node that returns has the leases that no other node has acquired', async (store, clock) => {
    await store.heartbeat('n1', 1_000);
    await openRoom(store, 'den', joins('n1'));
    clock.advance(1_001);
    await store.heartbeat('n2', 1_000);
    assert.equal(await hasExpired(store), true);
    await store.heartbeat('n1', 1_000);
    assert.equal(await hasExpired(store), false);
  });

  check('the lease of a node without a heartbeat is expired', async (store) => {
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await hasExpired(store), true);
    assert.equal(await acquire(store, 'n2'), true);
    assert.equal(await hasExpired(store), true);
    await store.heartbeat('n2', 1_000);
    assert.equal(await hasExpired(store), false);
  });

  check('an append that requires an expired lease is stale while it is held, and succeeds once it has expired', async (store, clock) => {
    await store.heartbeat('n1', 1_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    const leaves = {
      epoch,
      requiredExpiredLease: key,
      expectedVersions: [[key, 1]] satisfies AppendRequest['expectedVersions'],
      drafts: [keyDraft([key, null])],
    };
    await assertStale(store, 'den', leaves);
    clock.advance(1_001);
    await assertStale(store, 'den', { ...leaves, expectedVersions: [[key, 7]] });
    await appendOk(store, 'den', leaves);
    assert.deepEqual(await listExpired(store), []);
    await assertStale(store, 'den', { ...leaves, expectedVersions: [] });
  });

  check('an append that requires an expired lease is stale if the key has no lease', async (store) => {
    const { epoch } = await openRoom(store, 'den', keyDraft(['settings', 1]), joins('n1'));
    assert.equal(await hasExpired(store), true);
    await assertStale(store, 'den', { epoch, requiredExpiredLease: 'settings' });
    await assertStale(store, 'den', { epoch, requiredExpiredLease: 'member/nobody' });
    await assertStale(store, 'nowhere', { epoch: null, requiredExpiredLease: key });
  });

  check('a released lease expires after its delay, though its node is alive', async (store, clock) => {
    await store.heartbeat('n1', 1_000_000);
    await openRoom(store, 'den', joins('n1'));
    await store.releaseLease('den', key, 'n1', 500);
    clock.advance(499);
    assert.equal(await hasExpired(store), false);
    clock.advance(2);
    assert.equal(await hasExpired(store), true);
  });

  check('a lease that is acquired again does not expire', async (store, clock) => {
    await store.heartbeat('n1', 1_000_000);
    await openRoom(store, 'den', joins('n1'));
    await store.releaseLease('den', key, 'n1', 500);
    assert.equal(await acquire(store, 'n1'), true);
    clock.advance(501);
    assert.equal(await hasExpired(store), false);
    await store.releaseLease('den', key, 'n1', 500);
    clock.advance(501);
    assert.equal(await hasExpired(store), true);
    assert.equal(await acquire(store, 'n1'), true);
    assert.equal(await hasExpired(store), false);
  });

  check('another node can acquire it, and the first one then has no effect on it', async (store, clock) => {
    await store.heartbeat('n1', 1_000);
    await store.heartbeat('n2', 3_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await acquire(store, 'n2'), true);
    await store.releaseLease('den', key, 'n1', 0);
    clock.advance(1_001);
    assert.equal(await hasExpired(store), false);
    await store.releaseLease('den', key, 'n2', 0);
    clock.advance(1);
    assert.equal(await hasExpired(store), true);
  });

  check('it expires with the node that acquired it last', async (store, clock) => {
    await store.heartbeat('n1', 1_000_000);
    await store.heartbeat('n2', 1_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await acquire(store, 'n2'), true);
    clock.advance(1_001);
    assert.equal(await hasExpired(store), true);
  });

  check('an append can give it to another node', async (store, clock) => {
    await store.heartbeat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    await store.releaseLease('den', key, 'n1', 0);
    await appendOk(store, 'den', { epoch, drafts: [joins('n2')] });
    await store.releaseLease('den', key, 'n1', 0);
    clock.advance(1);
    assert.equal(await hasExpired(store), false);
  });

  check('a key of another seq, without a value or without a lease cannot be acquired', async (store, clock) => {
    await store.heartbeat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'), keyDraft(['settings', 1]));
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 2])] });
    assert.equal(await acquire(store, 'n2', 1), false);
    assert.equal(await acquire(store, 'n2', 0), false);
    assert.equal(await store.acquireLease('den', { name: 'settings', seq: 2 }, 'n2'), false);
    assert.equal(await store.acquireLease('den', { name: 'member/nobody', seq: 0 }, 'n2'), false);
    assert.equal(await store.acquireLease('nowhere', { name: key, seq: 1 }, 'n2'), false);
    clock.advance(1);
    assert.equal(await hasExpired(store), true);
    assert.equal(await acquire(store, 'n2', 3), true);
    assert.equal(await hasExpired(store), false);
  });

  check('releasing a lease that does not exist does nothing', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1]));
    await store.releaseLease('den', key, 'n1', 0);
    await store.releaseLease('den', 'member/nobody', 'n1', 0);
    await store.releaseLease('nowhere', key, 'n1', 0);
    assert.deepEqual(await listExpired(store), []);
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 1 });
  });

  check('it is removed with its key, and unchanged by a new value', async (store) => {
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 'another value'])] });
    assert.deepEqual(await listExpired(store), [{ room: 'den', key }]);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, null])] });
    assert.deepEqual(await listExpired(store), []);
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 1])] });
    assert.deepEqual(await listExpired(store), []);
    assert.equal(await acquire(store, 'n1', 4), false);
  });

  check('its key shows whether it is held or released, when read alone and in its family', async (store, clock) => {
    await store.heartbeat('n1', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'), keyDraft(['member/ben', 1]));
    const says = async (lease: 'held' | 'released'): Promise<void> => {
      const [aya, ben] = (await store.listKeys('den', 'member', { limit: 5 })).keys.map(([, each]) => each);
      assert.deepEqual([aya?.lease, await leaseOf(store, key)], [lease, lease]);
      assert.deepEqual(
        [ben, await keyOf(store, 'den', 'member/ben')],
        repeat(2, () => ({ value: 1, seq: 2 })),
      );
    };
    await says('held');
    await store.releaseLease('den', key, 'n2', 0);
    await says('held');
    await store.releaseLease('den', key, 'n1', 500);
    await says('released');
    clock.advance(501);
    await says('released');
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 2])] });
    await says('released');
    assert.equal(await acquire(store, 'n2', 3), true);
    await says('held');
    await store.releaseLease('den', key, 'n2', 500);
    await appendOk(store, 'den', { epoch, drafts: [joins('n1')] });
    await says('held');
  });

  check('expireLease takes a released lease from its node, and hides it for some time', async (store, clock) => {
    await store.heartbeat('n1', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.expireLease('den', key, 500), false);
    await store.releaseLease('den', key, 'n1', 500);
    clock.advance(499);
    assert.equal(await store.expireLease('den', key, 500), false);
    assert.equal(await leaseOf(store, key), 'released');
    clock.advance(2);
    assert.equal(await hasExpired(store), true);
    assert.equal(await store.expireLease('den', key, 500), true);
    assert.deepEqual(await listExpired(store), []);
    assert.equal(await leaseOf(store, key), 'expired');
    assert.equal(await store.expireLease('den', key, 500), false);
    await appendOk(store, 'den', { epoch, requiredExpiredLease: key, drafts: [draft('passes all the while')] });
    clock.advance(501);
    assert.equal(await hasExpired(store), true);
    assert.equal(await leaseOf(store, key), 'expired');
    assert.equal(await store.expireLease('den', key, 500), true);
    assert.deepEqual(await listExpired(store), []);
  });

  check('expireLease takes the lease of a node that is gone, too', async (store, clock) => {
    await store.heartbeat('n1', 1_000);
    await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.expireLease('den', key, 500), false);
    clock.advance(1_001);
    assert.equal(await store.expireLease('den', key, 500), true);
    assert.deepEqual(await listExpired(store), []);
    // The node was removed as gone, and returns too late.
    await store.heartbeat('n1', 1_000);
    await store.releaseLease('den', key, 'n1', 0);
    assert.equal(await leaseOf(store, key), 'expired');
    clock.advance(501);
    assert.equal(await hasExpired(store), true);
  });

  check('a lease that was expired can be acquired again', async (store, clock) => {
    await store.heartbeat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.expireLease('den', key, 500), true);
    assert.equal(await acquire(store, 'n2'), true);
    assert.equal(await leaseOf(store, key), 'held');
    clock.advance(501);
    assert.equal(await hasExpired(store), false);
    await assertStale(store, 'den', { epoch, requiredExpiredLease: key });
    await store.releaseLease('den', key, 'n2', 0);
    clock.advance(1);
    assert.equal(await hasExpired(store), true);
  });

  check('an append can remove an expired lease and give the key to another node', async (store, clock) => {
    await store.heartbeat('n2', 1_000_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    assert.equal(await store.expireLease('den', key, 500), true);
    await appendOk(store, 'den', {
      epoch,
      requiredExpiredLease: key,
      expectedVersions: [[key, 1]],
      drafts: [keyDraft([key, null]), joins('n2')],
    });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 3, lease: 'held' });
    clock.advance(501);
    assert.equal(await hasExpired(store), false);
  });

  check('expireLease does nothing without a key or a lease', async (store) => {
    await openRoom(store, 'den', keyDraft([key, 1]));
    assert.equal(await store.expireLease('den', key, 500), false);
    assert.equal(await store.expireLease('den', 'member/nobody', 500), false);
    assert.equal(await store.expireLease('nowhere', key, 500), false);
  });

  check('its key shows held though its node is gone, and nothing once the lease is removed', async (store, clock) => {
    await store.heartbeat('n1', 1_000);
    const { epoch } = await openRoom(store, 'den', joins('n1'));
    clock.advance(1_001);
    assert.equal(await hasExpired(store), true);
    assert.equal(await leaseOf(store, key), 'held');
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, null])] });
    await appendOk(store, 'den', { epoch, drafts: [keyDraft([key, 1])] });
    assert.deepEqual(await keyOf(store, 'den', key), { value: 1, seq: 4 });
  });

  check('expired leases are listed up to the limit, and listing changes nothing', async (store) => {
    const names = repeat(7, (index) => `member/${index}`);
    for (const room of ['den', 'attic']) await openRoom(store, room, ...names.map((name) => joins('n1', name)));
    await openRoom(store, 'cellar', joins('n2'));
    await store.heartbeat('n2', 1_000);
    const all = (await listExpired(store)).map(({ room, key }) => `${room} ${key}`).sort();
    assert.deepEqual(
      all,
      ['attic', 'den'].flatMap((room) => names.map((name) => `${room} ${name}`)),
    );
    assert.equal((await store.listExpiredLeases(5)).length, 5);
    assert.equal((await store.listExpiredLeases(14)).length, 14);
    assert.deepEqual((await listExpired(store)).map(({ room, key }) => `${room} ${key}`).sort(), all);
    await store.heartbeat('n1', 1_000);
    assert.deepEqual(await listExpired(store), []);
  });
}
