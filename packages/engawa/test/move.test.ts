// Tests of `engawa move` as an operator runs it: real processes and folders, killed in the middle.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbedded, type RoomChunk, type Store } from '@engawa/server';
import { runEngawa, startEngawaServer } from '@engawa/testkit/processes/engawa-command';
import { connect, createTempFolder, requestOk, until } from '@engawa/testkit/processes/server';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';

const ODD_NAMES = ['a::b', '{x}*?', '😀', "'; DROP TABLE rooms; --", 'a/b', '%2F', '__proto__', ' '];
const ENTRIES = 20_000;

/** Creates a large room and rooms with unusual names. */
async function fill(folder: string): Promise<void> {
  const store = await openEmbedded({ folder });
  const chat = (text: string) => ({
    id: randomUUID(),
    by: 'aya',
    author: 'user:aya',
    kind: 'create:chat',
    body: { message: text },
    listed: true,
  });
  for (const room of ODD_NAMES) {
    const joins = {
      ...chat(room),
      keyUpdates: [[`member/${room}`, room]] as [string, string][],
      lease: { key: `member/${room}`, node: 'n1' },
    };
    await store.append(room, { epoch: null, expectedVersions: [], idempotencyKey: room, drafts: [joins, chat('hello')] });
  }
  const opened = await store.append('large', { epoch: null, expectedVersions: [], drafts: [chat('opens')] });
  const epoch = opened.outcome === 'appended' ? opened.epoch : '';
  for (let index = 1; index < ENTRIES; index += 1_000) {
    const drafts = Array.from({ length: Math.min(1_000, ENTRIES - index) }, (_, offset) => chat(`${index + offset} `.padEnd(500, 'x')));
    await Promise.all(
      drafts.map((draft) => store.append('large', { epoch, expectedVersions: [], idempotencyKey: draft.id, drafts: [draft] })),
    );
  }
  await store.close();
}

/** The whole content of a folder, as export chunks: two stores of one kind export the same chunks. */
async function contentsOf(folder: string): Promise<RoomChunk[]> {
  const store = await openEmbedded({ folder });
  const chunks: RoomChunk[] = [];
  for (const { room } of (await store.listRooms({ limit: 100 })).rooms) chunks.push(...(await partsOf(store, room)));
  await store.close();
  return chunks;
}

async function partsOf(store: Store, room: string): Promise<RoomChunk[]> {
  const parts: RoomChunk[] = [];
  for (let next: string | null = null; parts.length === 0 || next !== null; next = parts.at(-1)?.next ?? null)
    parts.push((await store.exportChunk(room, next))!);
  return parts;
}

const digestOf = (folder: string): string =>
  createHash('sha256')
    .update(readFileSync(join(folder, 'engawa.db')))
    .digest('hex');
const sizeOf = (folder: string): number =>
  existsSync(folder)
    ? readdirSync(folder).reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
    : 0;

test('a move that is killed repeatedly ends with equal stores', { timeout: 240_000 }, async () => {
  const [from, to] = [createTempFolder(), join(createTempFolder(), 'target')];
  await fill(from);
  const [digest, size] = [digestOf(from), sizeOf(from)];
  for (const share of [0.1, 0.5, 0.8]) {
    const before = sizeOf(to);
    const { child, exit } = runEngawa('move', '--from', from, '--to', to);
    await until(() => sizeOf(to) - before > share * size, 'a good part is there', 60_000);
    child.kill('SIGKILL');
    expect(await exit()).toBe(null);
    const store = await openEmbedded({ folder: to });
    const { entries } = (await partsOf(store, 'large')).reduce((sum, part) => ({ entries: sum.entries + part.entries.length }), {
      entries: 0,
    });
    expect([entries > 0, entries < ENTRIES]).toEqual([true, true]);
    await store.close();
  }
  const last = runEngawa('move', '--from', from, '--to', to);
  expect([await last.exit(), last.screen()]).toEqual([0, expect.stringContaining('existed already. Compared and equal: 9 rooms.')]);
  expect(last.screen()).toContain(`next  start your servers with --data-dir ${to}; keep ${from} (embedded store), which was not changed`);
  expect(digestOf(from)).toBe(digest);
  const found = await contentsOf(to);
  expect(found).toEqual(await contentsOf(from));
  expect(found.reduce((sum, { entries }) => sum + entries.length, 0)).toBe(ENTRIES + 2 * ODD_NAMES.length);
});

test('a move to Redis and back that was killed in the middle changes nothing', { timeout: 240_000 }, async () => {
  const [from, back, redis] = [createTempFolder(), createTempFolder(), await newRedis()];
  await fill(from);
  const usedMemory = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await redis.runCommand('INFO', 'memory'))?.[1]);
  const before = await usedMemory();
  const killed = runEngawa('move', '--from', from, '--to', redis.url);
  await until(async () => (await usedMemory()) - before > 0.3 * sizeOf(from), 'a good part is there', 60_000);
  killed.child.kill('SIGKILL');
  expect(await killed.exit()).toBe(null);

  const again = runEngawa('move', '--from', from, '--to', redis.url);
  expect([await again.exit(), again.screen()]).toEqual([0, expect.stringContaining('Compared and equal: 9 rooms.')]);
  expect(again.screen()).toContain(`WARNING: Stop every server that uses ${redis.url}`);
  const home = runEngawa('move', '--from', redis.url, '--to', back);
  expect([await home.exit(), home.screen()]).toEqual([0, expect.stringContaining('Moved 9 rooms with 20,016 entries')]);
  expect(await contentsOf(back)).toEqual(await contentsOf(from));
});

test('a move back includes later chats and deletions', async () => {
  const [home, away] = [createTempFolder(), createTempFolder()];
  const append = async (folder: string, room: string, endsRoom: boolean): Promise<void> => {
    const store = await openEmbedded({ folder });
    const { epoch } = await store.read(room, {});
    await store.append(room, {
      epoch,
      expectedVersions: [],
      drafts: [{ id: randomUUID(), by: 'aya', author: 'aya', kind: 'chat', body: {}, endsRoom }],
    });
    await store.close();
  };
  for (const room of ['veranda', 'attic']) await append(home, room, false);
  expect(await runEngawa('move', '--from', home, '--to', away).exit()).toBe(0);
  await append(away, 'veranda', false);
  await append(away, 'attic', true);
  const back = runEngawa('move', '--from', away, '--to', home);
  expect([await back.exit(), back.screen()]).toEqual([
    0,
    expect.stringContaining('stay  1 room there that the source does not have:\n  "attic"\n'),
  ]);
  expect((await contentsOf(home)).map(({ room, head }) => [room, head.head])).toEqual([
    ['attic', 1],
    ['veranda', 2],
  ]);
});

test('clients find all their data in the new store', async () => {
  const [from, to] = [createTempFolder(), createTempFolder()];
  const first = await startEngawaServer(from);
  const aya = await connect(first.url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya', topic: 'tea' });
  await requestOk(aya, 'create:chat', { roomId: 'veranda', username: 'aya', message: 'hello' });
  const { session } = await requestOk(aya, 'add:member', { roomId: 'veranda', username: 'aya' });
  first.child.kill('SIGTERM');
  expect(await first.exit()).toBe(0);
  expect(await runEngawa('move', '--from', from, '--to', `file://${to}`).exit()).toBe(0);

  const second = await startEngawaServer(to);
  const again = await connect(second.url, { auth: { session } });
  const joined = await requestOk(again, 'add:member', { roomId: 'veranda', username: 'aya' });
  expect(joined).toMatchObject({ role: 'owner', topic: 'tea' });
  expect((await requestOk(again, 'list:chats', { roomId: 'veranda' })).chats).toMatchObject([
    { username: 'aya', message: 'hello', seq: 3 },
  ]);
  await requestOk(again, 'create:chat', { roomId: 'veranda', username: 'aya', message: 'and on' });
});

test('a dry run prints the plan and writes nothing', async () => {
  const [from, to] = [createTempFolder(), join(createTempFolder(), 'target')];
  const server = await startEngawaServer(from);
  await requestOk(await connect(server.url), 'create:room', { roomId: 'veranda', username: 'aya' });
  const inUse = runEngawa('move', '--from', from, '--to', to, '--dry-run');
  expect([await inUse.exit(), inUse.screen()]).toEqual([1, expect.stringContaining(`${from} is in use by another server; stop it first`)]);
  server.child.kill('SIGTERM');
  await server.exit();
  const digest = digestOf(from);
  const dry = runEngawa('move', '--from', from, '--to', to, '--dry-run');
  expect([await dry.exit(), dry.screen()]).toEqual([
    0,
    `from  ${from} (embedded store): 1 room, 2 entries\nto    ${to} (embedded store): none of them exists there yet\nNothing was written: this was a dry run.\n`,
  ]);
  expect([existsSync(to), digestOf(from)]).toEqual([false, digest]);
});

test('a different room of the same name is refused, and nothing is written', async () => {
  const [from, to] = [createTempFolder(), createTempFolder()];
  const room = { drafts: [{ id: 'x', by: 'aya', author: 'aya', kind: 'chat', body: {} }], epoch: null, expectedVersions: [] };
  for (const folder of [from, to]) {
    const store = await openEmbedded({ folder });
    await store.append('veranda', room);
    if (folder === from) await store.append('attic', room);
    await store.close();
  }
  const before = await contentsOf(to);
  const { exit, screen } = runEngawa('move', '--from', from, '--to', to);
  expect(await exit()).toBe(1);
  expect(screen()).toContain('Nothing was written. Cannot be moved: 1 room\n  "veranda" exists already, as another room of that name');
  expect(await contentsOf(to)).toEqual(before);
});

test('impossible moves are reported in a line or two, and nothing is created', { timeout: 60_000 }, async () => {
  const [from, to] = [createTempFolder(), join(createTempFolder(), 'target')];
  const refusals: [args: string[], says: string][] = [
    [[], 'Both --from and --to are needed.\nUsage: engawa move --from URL --to URL'],
    [['--from', from, '--too', to], "Unknown option '--too'"],
    [['--from', from, '--to', to], `There is no store in ${from}.`],
    [['--from', to, '--to', from], `There is no store in ${to}.`],
    [['--from', from, '--to', `file:${from}/.`], 'Both URLs name the same store.'],
    [['--from', 'postgres://me:secret@localhost/engawa', '--to', to], 'postgres: URLs are not supported'],
    [['--from', 'file://elsewhere/data', '--to', to], 'file://elsewhere/data is not a folder'],
  ];
  for (const [args, says] of refusals) {
    const { exit, screen } = runEngawa('move', ...args);
    expect([await exit(), screen()]).toEqual([1, expect.stringContaining(`engawa: ${says}`)]);
    expect(screen()).not.toMatch(/secret|\n {4}at /);
  }
  expect([existsSync(to), readdirSync(from)]).toEqual([false, []]);
});

test('a store without rooms is refused as a probable mistake', async () => {
  const folder = createTempFolder();
  await (await openEmbedded({ folder })).close();
  const { exit, screen } = runEngawa('move', '--from', folder, '--to', createTempFolder());
  expect([await exit(), screen()]).toEqual([1, `There are no rooms in ${folder} (embedded store).\n`]);
});
