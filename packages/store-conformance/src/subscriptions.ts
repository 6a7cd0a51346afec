/** Conformance tests of subscribe and publish. */
import assert from 'node:assert/strict';
import type { Json, Listener } from '@engawa/server';
import {
  appendOk,
  type DefineTest,
  draft,
  endRoom,
  entriesOf,
  listen,
  listRooms,
  NO_LIMIT,
  openRoom,
  repeat,
  seqsOf,
  upTo,
} from './fixtures.ts';

export function subscriptionTests(check: DefineTest): void {
  check('an append is heard before it resolves, as it will be read', async (store) => {
    const { heard, seqs } = await listen(store, 'den');
    const { epoch } = await openRoom(store, 'den', draft('opens', { listed: true }));
    assert.deepEqual(seqs(), [1]);
    await appendOk(store, 'den', { epoch, drafts: [draft('quiet', { quiet: true }), draft('two')] });
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
      const { entries } = await appendOk(store, 'den', { epoch, drafts: [draft('one'), draft('two')] });
      assert.ok(seqs().includes(entries[1]?.seq ?? 0), 'heard before it resolves');
    };
    await Promise.all(repeat(100, append));
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
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual([first.seqs(), second.seqs()], [[1], [1, 2]]);
    second.leave();
    const third = await listen(store, 'den');
    await appendOk(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual([first.seqs(), second.seqs(), third.seqs()], [[1], [1, 2], [3]]);
  });

  check('a listener of two subscriptions hears until it has left both', async (store) => {
    const seqs = new Set<number>();
    const listener: Listener = {
      onAppend({ entries }) {
        for (const { seq } of entries) seqs.add(seq);
      },
      onPublish() {},
      onGap() {},
    };
    const [leaveFirst, leaveSecond] = [await store.subscribe('den', listener), await store.subscribe('den', listener)];
    const { epoch } = await openRoom(store, 'den');
    leaveFirst();
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    leaveSecond();
    await appendOk(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual([...seqs], [1, 2]);
  });

  check('who leaves while it hears harms nobody', async (store) => {
    const heard: string[] = [];
    const once = (): void => {
      heard.push('once');
      leave();
    };
    const leave = await store.subscribe('den', { onAppend: once, onPublish() {}, onGap() {} });
    await store.subscribe('den', { onAppend: () => heard.push('always'), onPublish() {}, onGap() {} });
    const { epoch } = await openRoom(store, 'den');
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
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

export function publishTests(check: DefineTest): void {
  check('all who listen to the room have heard it once it resolves, and nobody else', async (store) => {
    const [first, second] = [await listen(store, 'den'), await listen(store, 'den')];
    const similar = ['Den', 'den ', 'de', 'denn', 'den/den', 'den*', '*'];
    const others = await Promise.all(similar.map((room) => listen(store, room)));
    await store.publish('den', { typing: 'aya' });
    assert.deepEqual([first.signals, second.signals], [[{ typing: 'aya' }], [{ typing: 'aya' }]]);
    assert.deepEqual(
      others.flatMap(({ signals }) => signals),
      [],
    );
  });

  check('nothing of it is kept, and it is no entry', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const { heard, signals } = await listen(store, 'den');
    const before = { page: await store.readPage('den', { limit: NO_LIMIT }), rooms: await listRooms(store) };
    await store.publish('den', 'one');
    await store.publish('nowhere', 'two');
    assert.deepEqual({ page: await store.readPage('den', { limit: NO_LIMIT }), rooms: await listRooms(store) }, before);
    const late = await listen(store, 'den');
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual([signals, late.signals, seqsOf(heard.flatMap(({ entries }) => entries))], [['one'], [], [2]]);
  });

  check('a room needs not be, and its listeners last over its lives', async (store) => {
    const { signals } = await listen(store, 'den');
    await store.publish('den', 'before');
    await openRoom(store, 'den');
    await store.publish('den', 'meanwhile');
    await endRoom(store, 'den');
    await store.publish('den', 'afterwards');
    assert.deepEqual(signals, ['before', 'meanwhile', 'afterwards']);
  });

  check('who stops listening hears no more, and the others do', async (store) => {
    const [first, second] = [await listen(store, 'den'), await listen(store, 'den')];
    await store.publish('den', 1);
    first.leave();
    await store.publish('den', 2);
    assert.deepEqual([first.signals, second.signals], [[1], [1, 2]]);
  });

  check('it is whatever JSON can say', async (store) => {
    const { signals } = await listen(store, 'den');
    const all = JSON.parse(
      '[null, false, 0, "", [], {}, "\\u0000 \\u2028", {"__proto__": {"deep": [[1e21]]}, "constructor": null}]',
    ) as Json[];
    for (const signal of all) await store.publish('den', signal);
    assert.equal(JSON.stringify(signals), JSON.stringify(all));
    assert.equal(signals.length, 8);
  });
}
