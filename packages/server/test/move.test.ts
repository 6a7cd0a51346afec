/** Migration between stores: the result, refusals, interruptions and concurrent writers. */
import { randomUUID } from 'node:crypto';
import { type Draft, openEmbedded, openMemory, type RoomChunk, type Store } from '@engawa/server';
import { createTempFolder, withOverrides } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { compareRooms, migrateRooms, planMigration } from '#store/migrate.js';

const draft = (text: string, more: Partial<Draft> = {}): Draft => ({
  id: randomUUID(),
  by: 'aya',
  author: 'user:aya',
  kind: 'chat',
  body: { text },
  ...more,
});
const quiet = (): void => {};

async function openRoom(store: Store, room: string, ...drafts: Draft[]): Promise<string> {
  const opened = await store.append(room, {
    epoch: null,
    expectedVersions: [],
    idempotencyKey: 'opens',
    drafts: [draft('opens'), ...drafts],
  });
  if (opened.outcome !== 'appended') throw new Error('The room was there already.');
  return opened.epoch;
}

async function say(store: Store, room: string, ...drafts: Draft[]): Promise<void> {
  const { epoch } = await store.read(room, {});
  const { outcome } = await store.append(room, { epoch, expectedVersions: [], idempotencyKey: randomUUID(), drafts });
  expect(outcome).toBe('appended');
}

const member = (name: string): Draft =>
  draft(`${name} joins`, {
    quiet: true,
    keyUpdates: [[`member/${name}`, { name }]],
    lease: { key: `member/${name}`, node: 'n1' },
    tickets: [{ holder: name, key: `member/${name}`, value: name }],
  });

/** Rooms of every kind: small, in many chunks, trimmed, erased, with a new epoch, with unusual names. */
async function fill(store: Store): Promise<void> {
  for (const room of ['den', 'a::b', '{x}*', '😀', "'; DROP TABLE rooms; --", '\u0001', 'trimmed', 'forked']) {
    const epoch = await openRoom(store, room, member('aya'), member('a/b'), draft('hello', { listed: true }));
    await say(
      store,
      room,
      draft('erases', {
        eraseSeqs: [4],
        keyUpdates: [
          ['chat/4', { deleted: true }],
          ['member/aya', null],
        ],
      }),
    );
    await store.advanceMark(room, 'member/a/b', 3);
    if (room === 'trimmed') await store.trim(room, { epoch, below: 6 });
    if (room === 'forked') await store.startNewEpoch(room, epoch);
  }
  const many = Array.from({ length: 2_500 }, (_, index) => draft(`${index}`, { listed: true, keyUpdates: [[`chat/${index}`, index]] }));
  await openRoom(store, 'large', ...many);
}

/** The complete content of the store, as exported, with leases. */
async function contentsOf(store: Store): Promise<unknown> {
  const found = new Map<string, unknown>();
  for (const { room } of (await store.listRooms({ limit: 1_000 })).rooms) {
    const parts: RoomChunk[] = [];
    for (let next: string | null = null; parts.length === 0 || next !== null; next = parts.at(-1)?.next ?? null)
      parts.push((await store.exportChunk(room, next))!);
    const all = <Item>(items: (part: RoomChunk) => Item[]): string[] =>
      parts
        .flatMap(items)
        .map((item) => JSON.stringify(item, sorted))
        .sort();
    found.set(room, [
      parts[0]?.head,
      all((part) => part.entries),
      all((part) => part.keys),
      all((part) => part.tickets),
      all((part) => part.idempotencyKeys),
    ]);
  }
  return found;
}
const sorted = (_: string, value: unknown): unknown =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

const engines: [name: string, open: () => Promise<Store>][] = [
  ['embedded', () => openEmbedded({ folder: createTempFolder() })],
  ['memory', async () => openMemory()],
];
const pairs = engines.flatMap(([from, openSource]) => engines.map(([to, openTarget]) => ({ from, to, openSource, openTarget })));

test.each(pairs)('from $from to $to everything is copied, and the source is unchanged', async ({ openSource, openTarget }) => {
  const ways = { source: await openSource(), target: await openTarget() };
  await fill(ways.source);
  await openRoom(ways.target, 'of another house');
  const before = await contentsOf(ways.source);

  expect(await planMigration(ways)).toEqual({
    rooms: 9,
    entries: 8 * 5 + 2_501,
    alreadyInTarget: 0,
    onlyInTarget: { count: 1, samples: ['of another house'] },
    conflicts: { count: 0, samples: [] },
  });
  const said: number[] = [];
  expect(await migrateRooms(ways, ({ entries }) => said.push(entries))).toEqual({ moved: 9, skipped: 0, entries: 7 * 5 + 2_501 });
  expect(said.length).toBeGreaterThan(9);
  expect(await compareRooms(ways, quiet)).toMatchObject({ equal: 9, differences: { count: 0 } });

  expect(await contentsOf(ways.source)).toEqual(before);
  const { epoch } = await ways.target.read('of another house', {});
  await ways.target.append('of another house', { epoch, expectedVersions: [], drafts: [draft('ends', { endsRoom: true })] });
  expect(await contentsOf(ways.target)).toEqual(before);
  await Promise.all([ways.source.close(), ways.target.close()]);
});

test('repeated after a failure, it continues, and skips complete rooms', async () => {
  const [source, target] = [openMemory(), openMemory()];
  await fill(source);
  let unpacked = 0;
  const failing = withOverrides(target, {
    importChunk: async (chunk) => {
      if (chunk.room === 'large' && chunk.next !== null && chunk.entries[0]?.seq !== 1) throw new Error('The power is gone.');
      unpacked += 1;
      return target.importChunk(chunk);
    },
  });
  await expect(migrateRooms({ source, target: failing }, quiet)).rejects.toThrow('The power is gone.');
  const { entries } = await target.readPage('large', { after: 0, limit: 10_000 });
  expect([unpacked > 1, entries.length > 0, entries.length < 2_501]).toEqual([true, true, true]);

  const ways = { source, target };
  const found = await planMigration(ways);
  expect([found.alreadyInTarget > 1, found.conflicts.count]).toEqual([true, 0]);
  const { moved, skipped } = await migrateRooms(ways, quiet);
  expect([moved + skipped, skipped > 0, moved > 0]).toEqual([9, true, true]);
  expect(await compareRooms(ways, quiet)).toMatchObject({ equal: 9, differences: { count: 0 } });
  expect(await contentsOf(target)).toEqual(await contentsOf(source));
});

test('a room that changed since it was moved is moved anew, without what it no longer has', async () => {
  const ways = { source: openMemory(), target: openMemory() };
  await fill(ways.source);
  await migrateRooms(ways, quiet);
  await say(
    ways.source,
    'den',
    draft('leaves', { keyUpdates: [['member/a/b', null]], tickets: [{ holder: 'a/b', key: 'member/a/b', value: null }] }),
  );
  await ways.source.trim('large', { epoch: String((await ways.source.read('large', {})).epoch), below: 2_000 });
  expect(await planMigration(ways)).toMatchObject({ alreadyInTarget: 9, conflicts: { count: 0 } });
  expect(await compareRooms(ways, quiet)).toMatchObject({ equal: 7, differences: { count: 2 } });
  expect(await migrateRooms(ways, quiet)).toMatchObject({ moved: 2, skipped: 7 });
  expect(await contentsOf(ways.target)).toEqual(await contentsOf(ways.source));
});

test('rooms of the same id that are different, or changed in the target, are obstacles', async () => {
  const ways = { source: openMemory(), target: openMemory() };
  await fill(ways.source);
  await openRoom(ways.target, 'den');
  expect((await planMigration(ways)).conflicts).toEqual({ count: 1, samples: [{ room: 'den', reason: 'different epoch' }] });

  const moved = openMemory();
  await migrateRooms({ source: ways.source, target: moved }, quiet);
  await say(moved, 'a::b', draft('went on'));
  for (const store of [ways.source, moved]) await say(store, '😀', draft('each its own'));
  await ways.source.append('😀', { epoch: (await ways.source.read('😀', {})).epoch, expectedVersions: [], drafts: [draft('one more')] });
  await say(ways.source, 'den', draft('went on here alone'));
  expect((await planMigration({ source: ways.source, target: moved })).conflicts).toEqual({
    count: 2,
    samples: [
      { room: 'a::b', reason: 'diverged' },
      { room: '😀', reason: 'diverged' },
    ],
  });
});

test('of very many obstacles the first are reported', async () => {
  const ways = { source: openMemory(), target: openMemory() };
  for (const store of [ways.source, ways.target]) for (let index = 0; index < 50; index += 1) await openRoom(store, `room ${index}`);
  const { conflicts } = await planMigration(ways);
  expect([conflicts.count, conflicts.samples.length]).toEqual([50, 20]);
});

test('a concurrent write to the source is detected, and nothing of an ended room is left', async () => {
  const ways = { source: openMemory(), target: openMemory() };
  await fill(ways.source);
  await openRoom(ways.source, 'ends', ...Array.from({ length: 1_500 }, () => draft('x')));
  let packed = 0;
  const busy = withOverrides(ways.source, {
    exportChunk: async (room, next) => {
      const chunk = await ways.source.exportChunk(room, next);
      if (room === 'large' && packed++ === 0) await say(ways.source, 'large', draft('meanwhile', { eraseSeqs: [1] }));
      if (room === 'ends' && next === null) await say(ways.source, 'ends', draft('ends', { endsRoom: true }));
      return chunk;
    },
  });
  await migrateRooms({ source: busy, target: ways.target }, quiet);
  expect(packed).toBeGreaterThan(1);
  const { differences, equal } = await compareRooms(ways, quiet);
  expect([equal, differences]).toEqual([8, { count: 1, samples: [{ room: 'large', sections: ['entries'] }] }]);
  expect((await ways.target.read('ends', {})).epoch).toBe(null);

  expect(await migrateRooms(ways, quiet)).toMatchObject({ moved: 1, skipped: 8 });
  expect(await contentsOf(ways.target)).toEqual(await contentsOf(ways.source));
});

const alterations: [what: string, alter: (chunk: RoomChunk) => void, differs: string[]][] = [
  ['a text', ({ entries }) => (entries[3]!.body = { text: 'another' }), ['entries']],
  ['a time', ({ entries }) => (entries[3]!.at += 1), ['entries']],
  ['a missing entry', ({ entries }) => entries.pop(), ['entries', 'idempotency keys']],
  [
    'two entries that changed places',
    ({ entries }) => ([entries[3]!.body, entries[4]!.body] = [entries[4]!.body, entries[3]!.body]),
    ['entries'],
  ],
  ['a value', ({ keys }) => (keys[0]![1].value = 'another'), ['keys']],
  ['a mark', ({ keys }) => (keys[0]![1].mark = 4), ['keys']],
  ['a lease', ({ keys }) => (keys[0]![1].lease = 'released'), ['keys']],
  ['a missing key', ({ keys }) => keys.pop(), ['keys']],
  ['a ticket', ({ tickets }) => (tickets[0]!.seq = 1), ['tickets']],
  ['the name of an append', ({ idempotencyKeys }) => (idempotencyKeys[0]![0] = 'another'), ['idempotency keys']],
  ['how many a named append has', ({ idempotencyKeys }) => (idempotencyKeys[0]![2] = 1), ['idempotency keys']],
  ['the head', ({ head }) => (head.at += 1), ['head']],
  ['the tail', ({ head }) => (head.lastBroadcastId = 'another'), ['head']],
];

test.each(alterations)('the comparison finds %s', async (_, alter, differs) => {
  const ways = { source: openMemory(), target: openMemory() };
  await openRoom(ways.source, 'den', member('aya'), member('ben'), draft('hello'), draft('tea?'));
  const chunk = (await ways.source.exportChunk('den', null))!;
  alter(chunk);
  await ways.target.importChunk(chunk);
  expect((await compareRooms(ways, quiet)).differences).toEqual({ count: 1, samples: [{ room: 'den', sections: differs }] });
});
