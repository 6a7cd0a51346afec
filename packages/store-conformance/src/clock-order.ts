/** Conformance tests of the order of hybrid logical clock values. */
import assert from 'node:assert/strict';
import type { AppendNotice } from '@engawa/server';
import { appendOk, type DefineTest, draft, endRoom, entriesOf, openRoom, repeat } from './fixtures.ts';

export function clockOrderTests(check: DefineTest): void {
  check('values grow inside a room, also in one append, and if the clock stops or goes back', async (store, clock) => {
    const { epoch } = await openRoom(store, 'den', draft('one'), draft('two', { quiet: true }));
    await appendOk(store, 'den', { epoch, drafts: repeat(5, () => draft('at once')) });
    clock.advance(-60_000);
    await appendOk(store, 'den', { epoch, drafts: [draft('back'), draft('and on')] });
    clock.advance(120_000);
    await appendOk(store, 'den', { epoch, drafts: [draft('forward')] });
    const found = (await entriesOf(store, 'den')).map(({ hlc }) => hlc);
    assert.equal(found.length, 10);
    assertIncreasing(found);
  });

  check('of entries of any rooms the one that is published later has the larger value', async (store, clock) => {
    const rooms = repeat(5, (index) => `room ${index}`);
    const hlcs: number[] = [];
    for (const room of rooms) await store.subscribe(room, { onAppend: (each) => hlcs.push(...hlcsOf(each)), onPublish() {}, onGap() {} });
    const opened = await Promise.all(rooms.map((room) => openRoom(store, room)));
    for (const turn of repeat(6, (index) => index)) {
      clock.advance(turn % 2 === 0 ? 1_000 : -3_000);
      const drafts = () => repeat(2, () => draft(String(turn)));
      await Promise.all(rooms.map((room, index) => appendOk(store, room, { epoch: String(opened[index]?.epoch), drafts: drafts() })));
    }
    assert.equal(hlcs.length, 65);
    assertIncreasing(hlcs, store.maxClockSkewUs);
  });

  check('values grow over the epochs of a room', async (store, clock) => {
    const hlcs: number[] = [];
    await store.subscribe('den', { onAppend: (each) => hlcs.push(...hlcsOf(each)), onPublish() {}, onGap() {} });
    for (const _ of [1, 2, 3]) {
      await openRoom(store, 'den');
      await endRoom(store, 'den');
      clock.advance(-1_000);
    }
    assert.equal(hlcs.length, 6);
    assertIncreasing(hlcs);
  });

  check('an entry is published with the value that is read back', async (store) => {
    const hlcs: number[] = [];
    await store.subscribe('den', { onAppend: (each) => hlcs.push(...hlcsOf(each)), onPublish() {}, onGap() {} });
    const { epoch } = await openRoom(store, 'den', draft('one', { quiet: true }), draft('two', { listed: true }));
    await appendOk(store, 'den', { epoch, drafts: [draft('three', { eraseSeqs: [1] })] });
    assert.equal(hlcs.length, 3);
    assert.deepEqual(
      (await entriesOf(store, 'den')).map(({ hlc }) => hlc),
      hlcs,
    );
    const { entries } = await store.read('den', { seqs: [1, 2, 3] });
    assert.deepEqual(
      [1, 2, 3].map((seq) => entries.get(seq)?.hlc),
      hlcs,
    );
    assert.deepEqual((await store.readPage('den', { listed: true, limit: 1 })).entries[0]?.hlc, hlcs[1]);
  });
}

const hlcsOf = ({ entries }: AppendNotice): number[] => entries.map(({ hlc }) => hlc);

export function assertIncreasing(found: number[], skew = 0): void {
  for (const [index, hlc] of found.entries()) {
    assert.ok(Number.isSafeInteger(hlc), `${hlc} is a whole number`);
    assert.ok(index === 0 || hlc > Number(found[index - 1]) - skew, `${hlc} is larger than ${found[index - 1]}`);
  }
}
