/** Conformance tests that any string is safe as a name. */
import assert from 'node:assert/strict';
import type { Draft, Json } from '@engawa/server';
import {
  appendOk,
  countsOf,
  type DefineTest,
  draft,
  entriesOf,
  findReceipt,
  keyDraft,
  keyOf,
  listExpired,
  listen,
  NO_LIMIT,
  openRoom,
  seqsOf,
  sortByUtf8,
  textsOf,
  walkFamily,
  walkRooms,
} from './fixtures.ts';

export const oddStrings = [
  ' ',
  'a',
  'A',
  'a ',
  ' a',
  'a::b',
  'a:b',
  ':',
  '::',
  '{x}',
  '{x',
  '{}',
  '*',
  '?',
  'a*',
  '[a-z]',
  '%',
  '_',
  '%2F',
  '\\',
  '"',
  "'",
  '`',
  '--',
  "'; DROP TABLE rooms; --",
  '\u0001',
  '\u0001\u0001',
  '\u0001\u0002',
  'a\u0001b',
  '\u0002',
  '\n',
  '\r\n',
  '\u2028',
  '\ufeff',
  '\ufeffa',
  '\uffff',
  'é',
  'e\u0301',
  'ß',
  'ss',
  'İ',
  '😀',
  '👩‍👩‍👧',
  '𠮷',
  '1',
  '01',
  '1.0',
  '1e0',
  '-1',
  'null',
  'undefined',
  'true',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '.',
  '..',
  '$',
  'x'.repeat(10_000),
  `${'x'.repeat(9_999)}y`,
];

export function stringSafetyTests(check: DefineTest): void {
  check('any name can be a room, and is never confused with another one', async (store) => {
    const notices = await Promise.all(
      [...oddStrings, '/', '//', '/a', 'a/', 'a/b'].map(async (name) => ({ name, ...(await listen(store, name)) })),
    );
    for (const { name } of notices) await openRoom(store, name, draft(name, { keyUpdates: [['name', name]] }));
    for (const { name, notices: published } of notices) {
      assert.deepEqual(textsOf(await entriesOf(store, name)), [name]);
      assert.equal((await keyOf(store, name, 'name'))?.value, name);
      assert.deepEqual(
        published.flatMap(({ entries }) => textsOf(entries)),
        [name],
      );
    }
    assert.deepEqual(await walkRooms(store, 7), sortByUtf8(notices.map(({ name }) => name)));
  });

  check('any name can be a key, and is never confused with another one', async (store) => {
    const names = [...oddStrings, 'a/b', 'a/b/c', 'b/a'];
    const { epoch } = await openRoom(store, 'den', keyDraft(...names.map((name): [string, Json] => [name, name])));
    const { keys: found } = await store.read('den', { keys: names });
    assert.deepEqual(found, new Map(names.map((name) => [name, { value: name, seq: 1 }])));
    for (const name of names)
      await appendOk(store, 'den', {
        epoch,
        expectedVersions: names.map((each) => [each, found.has(each) ? 1 : 0]),
        drafts: [keyDraft([name, null])],
      }).then(() => found.delete(name));
    assert.equal((await store.read('den', { keys: names })).keys.size, 0);
  });

  check('any name can be a name in a family, and a family', async (store) => {
    await openRoom(
      store,
      'den',
      ...oddStrings.map((name) => keyDraft([`member/${name}`, name], [`${name}/x`, name], [`r/${name}/x`, name])),
    );
    assert.deepEqual(await walkFamily(store, 'den', 'member', 7), sortByUtf8(oddStrings));
    for (const family of oddStrings) {
      const { keys: found } = await store.listKeys('den', family, { limit: NO_LIMIT });
      assert.deepEqual(
        found.map(([name, { value }]) => [name, value]),
        [['x', family]],
      );
    }
    assert.deepEqual(await countsOf(store, 'den', 'r'), Object.fromEntries(oddStrings.map((name) => [name, 1]).sort()));
  });

  check('any name can be an idempotency key', async (store) => {
    const { epoch } = await openRoom(store, 'den');
    for (const idempotencyKey of oddStrings) await appendOk(store, 'den', { epoch, idempotencyKey, drafts: [draft(idempotencyKey)] });
    for (const [index, once] of oddStrings.entries())
      assert.deepEqual(seqsOf((await findReceipt(store, 'den', once))?.entries ?? []), [index + 2]);
  });

  check('any name can be an id, a kind, and an author', async (store) => {
    const odd = (name: string): Draft => draft('odd', { id: `${name}!`, by: name, author: name, kind: name });
    await openRoom(store, 'den', ...oddStrings.map(odd));
    const found = (await entriesOf(store, 'den')).map(({ id, by, author, kind }) => [id, by, author, kind]);
    assert.deepEqual(
      found,
      oddStrings.map((name) => [`${name}!`, name, name, name]),
    );
    const prevs = (await entriesOf(store, 'den')).map(({ prev }) => prev);
    assert.deepEqual(prevs, [null, ...oddStrings.slice(0, -1).map((name) => `${name}!`)]);
  });

  check('any name can be a leased key and a node', async (store) => {
    const { epoch } = await openRoom(
      store,
      'den',
      ...oddStrings.map((key) => draft('joins', { keyUpdates: [[key, 1]], lease: { key, node: key } })),
    );
    const left = new Set(oddStrings);
    assert.deepEqual(new Set((await listExpired(store)).map(({ key }) => key)), left);
    for (const name of oddStrings) {
      await store.heartbeat(name, 1_000);
      left.delete(name);
    }
    assert.deepEqual(await listExpired(store), []);
    for (const name of oddStrings) await store.releaseLease('den', name, name, 0);
    assert.deepEqual(new Set((await listExpired(store)).map(({ key }) => key)), new Set(oddStrings));
    for (const name of oddStrings) await appendOk(store, 'den', { epoch, requiredExpiredLease: name, drafts: [keyDraft([name, null])] });
    assert.deepEqual(await listExpired(store), []);
  });

  check('any name can be a holder of tickets, a key and a room of one', async (store) => {
    for (const room of oddStrings) await openRoom(store, room);
    const leaves = (key: string): Draft => draft('leaves', { tickets: [{ holder: key, key, value: key }] });
    await openRoom(store, 'den', ...oddStrings.map(leaves));
    for (const room of oddStrings) {
      const { epoch } = await store.read(room, {});
      await appendOk(store, room, { epoch, drafts: [draft('leaves', { tickets: [{ holder: 'everywhere', key: room, value: room }] })] });
    }
    for (const name of oddStrings) {
      const found = await store.listTickets(name, NO_LIMIT);
      assert.deepEqual(
        found.map(({ room, key, value }) => [room, key, value]),
        [['den', name, name]],
      );
    }
    const everywhere = (await store.listTickets('everywhere', NO_LIMIT)).map(({ room, key, value }) => [room, key, value]);
    assert.deepEqual(
      everywhere,
      sortByUtf8(oddStrings).map((name) => [name, name, name]),
    );
  });

  check('any name can be a room to publish to, and is never confused with another one', async (store) => {
    const notices = await Promise.all(oddStrings.map(async (name) => ({ name, ...(await listen(store, name)) })));
    for (const { name } of notices) await store.publish(name, name);
    for (const { name, messages } of notices) assert.deepEqual(messages, [name]);
  });

  check('any name can be a key with a mark', async (store) => {
    await openRoom(store, 'den', keyDraft(...oddStrings.map((name): [string, Json] => [name, name])));
    for (const [index, name] of oddStrings.entries()) assert.equal(await store.advanceMark('den', name, index + 1), index + 1);
    for (const [index, name] of oddStrings.entries())
      assert.deepEqual(await keyOf(store, 'den', name), { value: name, seq: 1, mark: index + 1 });
  });
}
