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
  check('an append is notified before it resolves, as it will be read', async (store) => {
    const { notices, seqs } = await listen(store, 'den');
    const { epoch } = await openRoom(store, 'den', draft('opens', { listed: true }));
    assert.deepEqual(seqs(), [1]);
    await appendOk(store, 'den', { epoch, drafts: [draft('quiet', { quiet: true }), draft('two')] });
    assert.deepEqual(
      notices.flatMap(({ entries }) => entries),
      await entriesOf(store, 'den'),
    );
    assert.deepEqual([...new Set(notices.map((published) => `${published.epoch} ${published.ended}`))], [`${epoch} false`]);
  });

  check('many concurrent appends are notified completely and in order', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const { seqs } = await listen(store, 'den');
    const append = async (): Promise<void> => {
      const { entries } = await appendOk(store, 'den', { epoch, drafts: [draft('one'), draft('two')] });
      assert.ok(seqs().includes(entries[1]?.seq ?? 0), 'notified before it resolves');
    };
    await Promise.all(repeat(100, append));
    assert.deepEqual(seqs(), upTo(201).slice(1));
  });

  check('a listener is notified of its own room only', async (store) => {
    const { seqs } = await listen(store, 'den');
    const similar = ['Den', 'den ', 'de', 'denn', 'den/den', 'den*', '*'];
    for (const room of similar) await openRoom(store, room, draft('elsewhere'));
    assert.deepEqual(seqs(), []);
    await openRoom(store, 'den');
    assert.deepEqual(seqs(), [1]);
  });

  check('a listener that unsubscribed is not notified any more, and the others are', async (store) => {
    const first = await listen(store, 'den');
    const second = await listen(store, 'den');
    const { epoch } = await openRoom(store, 'den');
    first.unsubscribe();
    first.unsubscribe();
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual([first.seqs(), second.seqs()], [[1], [1, 2]]);
    second.unsubscribe();
    const third = await listen(store, 'den');
    await appendOk(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual([first.seqs(), second.seqs(), third.seqs()], [[1], [1, 2], [3]]);
  });

  check('a listener with two subscriptions is notified until it has ended both', async (store) => {
    const seqs = new Set<number>();
    const listener: Listener = {
      onAppend({ entries }) {
        for (const { seq } of entries) seqs.add(seq);
      },
      onPublish() {},
      onGap() {},
    };
    const [endFirst, endSecond] = [await store.subscribe('den', listener), await store.subscribe('den', listener)];
    const { epoch } = await openRoom(store, 'den');
    endFirst();
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    endSecond();
    await appendOk(store, 'den', { epoch, drafts: [draft('three')] });
    assert.deepEqual([...seqs], [1, 2]);
  });

  check('unsubscribing inside a callback is harmless', async (store) => {
    const notices: string[] = [];
    const once = (): void => {
      notices.push('once');
      unsubscribe();
    };
    const unsubscribe = await store.subscribe('den', { onAppend: once, onPublish() {}, onGap() {} });
    await store.subscribe('den', { onAppend: () => notices.push('always'), onPublish() {}, onGap() {} });
    const { epoch } = await openRoom(store, 'den');
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual(notices.sort(), ['always', 'always', 'once']);
  });

  check('a subscription lasts over the epochs of a room', async (store) => {
    const { notices } = await listen(store, 'den');
    const first = await openRoom(store, 'den');
    await endRoom(store, 'den');
    const second = await openRoom(store, 'den');
    assert.deepEqual(
      notices.map(({ epoch, entries, ended }) => [epoch, seqsOf(entries), ended]),
      [
        [first.epoch, [1], false],
        [first.epoch, [2], true],
        [second.epoch, [1], false],
      ],
    );
  });
}

export function publishTests(check: DefineTest): void {
  check('all listeners of the room, and no others, are notified before publish resolves', async (store) => {
    const [first, second] = [await listen(store, 'den'), await listen(store, 'den')];
    const similar = ['Den', 'den ', 'de', 'denn', 'den/den', 'den*', '*'];
    const others = await Promise.all(similar.map((room) => listen(store, room)));
    await store.publish('den', { typing: 'aya' });
    assert.deepEqual([first.messages, second.messages], [[{ typing: 'aya' }], [{ typing: 'aya' }]]);
    assert.deepEqual(
      others.flatMap(({ messages }) => messages),
      [],
    );
  });

  check('a message is not stored, and is no entry', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    const { notices, messages } = await listen(store, 'den');
    const before = { page: await store.readPage('den', { limit: NO_LIMIT }), rooms: await listRooms(store) };
    await store.publish('den', 'one');
    await store.publish('nowhere', 'two');
    assert.deepEqual({ page: await store.readPage('den', { limit: NO_LIMIT }), rooms: await listRooms(store) }, before);
    const late = await listen(store, 'den');
    await appendOk(store, 'den', { epoch, drafts: [draft('two')] });
    assert.deepEqual([messages, late.messages, seqsOf(notices.flatMap(({ entries }) => entries))], [['one'], [], [2]]);
  });

  check('the room need not exist, and its listeners last over its epochs', async (store) => {
    const { messages } = await listen(store, 'den');
    await store.publish('den', 'before');
    await openRoom(store, 'den');
    await store.publish('den', 'meanwhile');
    await endRoom(store, 'den');
    await store.publish('den', 'afterwards');
    assert.deepEqual(messages, ['before', 'meanwhile', 'afterwards']);
  });

  check('a listener that unsubscribed gets no more messages, and the others do', async (store) => {
    const [first, second] = [await listen(store, 'den'), await listen(store, 'den')];
    await store.publish('den', 1);
    first.unsubscribe();
    await store.publish('den', 2);
    assert.deepEqual([first.messages, second.messages], [[1], [1, 2]]);
  });

  check('a message can be any JSON value', async (store) => {
    const { messages } = await listen(store, 'den');
    const all = JSON.parse(
      '[null, false, 0, "", [], {}, "\\u0000 \\u2028", {"__proto__": {"deep": [[1e21]]}, "constructor": null}]',
    ) as Json[];
    for (const signal of all) await store.publish('den', signal);
    assert.equal(JSON.stringify(messages), JSON.stringify(all));
    assert.equal(messages.length, 8);
  });
}
