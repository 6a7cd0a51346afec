// Tests of `engawa import tutorial` on a real Redis, written with the commands of the tutorial's server.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Entry, openEmbedded } from '@engawa/server';
import { runEngawa, startEngawaServer } from '@engawa/testkit/processes/engawa-command';
import { connect, createTempFolder, requestOk, until } from '@engawa/testkit/processes/server';
import type { RedisServer } from '@engawa/testkit/redis/redis-servers';
import { newRedis } from '@engawa/testkit/redis/test-redis';
import { expect, test } from 'vitest';

/** As the tutorial's `create:room` and `add:member`. */
async function enter(redis: RedisServer, roomId: string, ...usernames: string[]): Promise<void> {
  await redis.runRaw('SADD', 'rooms', roomId);
  for (const username of usernames) await redis.runRaw('SADD', 'members', `${roomId}::${username}`);
}

/** As the tutorial's `create:chat`. */
async function say(redis: RedisServer, roomId: string, ...chats: [username: string, message: string][]): Promise<void> {
  for (let index = 0; index < chats.length; index += 5_000)
    await redis.runRaw(
      'LPUSH',
      `chat::${roomId}`,
      ...chats.slice(index, index + 5_000).map(([username, message]) => `${username}::${message}`),
    );
}

/** Digest of keys, types and values, with the order of lists. DUMP does not work: that of a large set changes with each read. */
const digestOf = (redis: RedisServer): Promise<string> => redis.runCommand('DEBUG', 'DIGEST');

/** Runs the import to its end and returns its output. */
async function imports(code: number, ...args: string[]): Promise<string> {
  const { exit, screen } = runEngawa('import', 'tutorial', ...args);
  expect([await exit(), screen()]).toEqual([code, expect.any(String)]);
  return screen();
}

/** Author and text of each chat of each room, in log order. */
async function chatsIn(folder: string): Promise<Map<string, [by: string, message: unknown][]>> {
  const store = await openEmbedded({ folder });
  const found = new Map<string, [string, unknown][]>();
  for (const { room } of (await store.listRooms({ limit: 1_000 })).rooms) {
    const entries: Entry[] = [];
    for (let hasMore = true; hasMore; ) {
      const page = await store.readPage(room, { after: entries.at(-1)?.seq ?? 0, limit: 10_000 });
      entries.push(...page.entries);
      hasMore = page.hasMore;
    }
    expect(entries[0]?.kind).toBe('create:room');
    expect(entries.slice(1).every(({ kind, listed, quiet }) => kind === 'create:chat' && listed && !quiet)).toBe(true);
    found.set(
      room,
      entries.slice(1).map(({ by, body }) => [by, body?.message]),
    );
  }
  await store.close();
  return found;
}

/** Too many code points, and then too many bytes as JSON. */
const LONG = `${'長'.repeat(4_000)}${'x'.repeat(4_000)}${'\u0007'.repeat(2_666)}\u0007end`;

/** Unusual names and texts, and data that the tutorial's server never writes. */
async function oddDatabase(redis: RedisServer): Promise<void> {
  await enter(redis, 'lobby', 'aya', 'a::b', 'ben', 'ben::x');
  await say(
    redis,
    'lobby',
    ['aya', 'hello'],
    ['aya', 'std::vector, see http://x::1'],
    ['a::b', 'with a divider in my name'],
    ['ben', 'x::by ben::x, or by ben?'],
    ['zed', 'gone::long ago'],
    ['', 'who am I?'],
    ['aya', ''],
    ['aya', LONG],
    ['n'.repeat(200), 'long name'],
    ['\u202eevil\u0007 ', 'odd name'],
    ['undefined', 'undefined'],
    ['aya', '😀 \u0000 \u200b'],
  );
  await redis.runRaw('LPUSH', 'chat::lobby', 'nobody said this');
  await redis.runRaw('EVAL', `redis.call('LPUSH', 'chat::lobby', 'aya::caf\\233 au lait'); redis.call('SADD', 'rooms', 'caf\\233')`, 0);
  await enter(redis, 'a', 'aya');
  await enter(redis, 'a::b', 'c');
  await say(redis, 'a', ['aya', 'in a']);
  await say(redis, 'a::b', ['c', 'in a::b']);
  await enter(redis, ' spaces ', 'aya');
  await say(redis, ' spaces ', ['aya', 'in spaces']);
  await enter(redis, ' a', 'aya');
  await say(redis, ' a', ['aya', 'never in a']);
  await enter(redis, '', 'aya');
  await enter(redis, 'r'.repeat(600));
  await enter(redis, '__proto__');
  await enter(redis, 'empty');
  await enter(redis, 'text');
  await redis.runRaw('SET', 'chat::text', 'not a list');
  await say(redis, 'no such room', ['eve', 'is anyone here?']);
  await redis.runRaw('SADD', 'members', 'nowhere::eve');
}

const LOBBY = [
  ['aya', 'hello'],
  ['aya', 'std::vector, see http://x::1'],
  ['a::b', 'with a divider in my name'],
  ['ben::x', 'by ben::x, or by ben?'],
  ['zed', 'gone::long ago'],
  ['nobody', 'who am I?'],
  ['aya', '長'.repeat(4_000)],
  ['aya', 'x'.repeat(4_000)],
  ['aya', '\u0007'.repeat(2_666)],
  ['aya', '\u0007end'],
  ['n'.repeat(128), 'long name'],
  ['evil', 'odd name'],
  ['undefined', 'undefined'],
  ['aya', '😀 \u0000 \u200b'],
  ['aya', 'caf\ufffd au lait'],
];

test('an import brings all rooms and chats, the oldest first, and leaves the source unchanged', async () => {
  const redis = await newRedis({ users: ['user reader on >secret ~* resetchannels +@read +@connection'] });
  await oddDatabase(redis);
  const before = await digestOf(redis);
  const folder = createTempFolder();
  // A user without write permission.
  const screen = await imports(0, '--from', redis.urlAs('reader', 'secret'), '--to', folder);
  expect(screen).not.toContain('secret');
  expect(screen).toContain(`next  start your server with --data-dir ${folder}`);
  const found = await chatsIn(folder);
  expect(found).toEqual(
    new Map<string, string[][]>([
      ['lobby', LOBBY],
      ['a', [['aya', 'in a']]],
      ['a::b', [['c', 'in a::b']]],
      ['spaces', [['aya', 'in spaces']]],
      ['__proto__', []],
      ['empty', []],
      ['no such room', [['eve', 'is anyone here?']]],
    ]),
  );
  expect(await digestOf(redis)).toBe(before);
});

test('a plain Socket.IO client reads the imported rooms and takes a name that was taken', async () => {
  const redis = await newRedis();
  await oddDatabase(redis);
  const folder = createTempFolder();
  await imports(0, '--from', redis.url, '--to', folder);
  const socket = await connect((await startEngawaServer(folder)).url);
  const { rooms } = await requestOk(socket, 'list:rooms', {});
  expect(rooms.map(({ roomId, members }) => [roomId, members])).toContainEqual(['a::b', 0]);
  await requestOk(socket, 'add:member', { roomId: 'lobby', username: 'aya' });
  const { chats, hasMore } = await requestOk(socket, 'list:chats', { roomId: 'lobby' });
  expect(chats.map(({ username, message }) => [username, message])).toEqual(LOBBY);
  expect(hasMore).toEqual({ before: false, after: false });
  await requestOk(socket, 'create:chat', { roomId: 'lobby', username: 'aya', message: 'so many years' });
  const answer = (await socket.emitWithAck('delete:chat', { roomId: 'lobby', username: 'aya', chatSeq: 2 })) as object;
  expect(answer).toMatchObject({ ok: false, error: { code: 'not_allowed' } });
});

test('invalid names are dropped, and confusable rooms are both imported, but no third one can be created', async () => {
  const redis = await newRedis();
  await enter(redis, 'Lobby');
  await enter(redis, 'lobby');
  await enter(redis, 'hid\u2800den\ue000');
  const names = ['a\u2800ya\ue000', `q${'\u0315'.repeat(60)}`, '\u0301\u0301', 'ay\u200da'];
  await say(redis, 'lobby', ...names.map((name): [string, string] => [name, 'hello']));
  const folder = createTempFolder();
  await imports(0, '--from', redis.url, '--to', folder);
  const found = await chatsIn(folder);
  expect([...found.keys()].sort()).toEqual(['Lobby', 'hidden', 'lobby']);
  expect(found.get('lobby')?.map(([by]) => by)).toEqual(['aya', `q${'\u0315'.repeat(4)}`, 'nobody', 'aya']);
  const socket = await connect((await startEngawaServer(folder)).url);
  for (const roomId of ['LOBBY', 'ｌｏｂｂｙ', 'lоbby', 'Hidden'])
    expect(await socket.emitWithAck('create:room', { roomId, username: 'aya' })).toMatchObject({ error: { code: 'room_confusable' } });
  for (const roomId of ['Lobby', 'lobby', 'hidden']) await requestOk(socket, 'add:member', { roomId, username: 'aya' });
});

test('a dry run prints the plan and writes nothing', async () => {
  const redis = await newRedis();
  await oddDatabase(redis);
  const before = await digestOf(redis);
  const folder = join(createTempFolder(), 'target');
  const screen = await imports(0, '--from', redis.url, '--to', folder, '--dry-run');
  expect(existsSync(folder)).toBe(false);
  expect(await digestOf(redis)).toBe(before);
  expect(screen).toBe(`from  ${redis.url}
to    ${folder} (embedded store)
               found    imported      before    left out
rooms             12           7           0           5
chats             19          16           0           3
members           10  whose names are free: users take them again by joining
left out: rooms whose names are not UTF-8 (1)
  "caf\ufffd"
left out: rooms whose names are not allowed here, nor any similar name (2)
  ""
  "${'r'.repeat(60)}…"
left out: rooms whose names are not allowed here, and the nearest allowed name is taken by another room (1)
  " a"
left out: rooms whose chats are not a Redis list (1)
  "text"
left out: chats without "::" (1)
  "nobody said this"
left out: chats without a text (1)
  "aya::"
changed: names of rooms that are not allowed here (1)
  " spaces "
changed: names of authors that are not allowed here (3)
  "::who am I?"
  "\\u{202e}evil\\u0007 ::odd name"
  "${'n'.repeat(60)}…"
changed: chats with bytes that are not UTF-8, which became \ufffd (1)
  "aya::caf\ufffd au lait"
split: chats longer than 4,000 characters or 16,000 bytes, into several (1)
  "aya::${'長'.repeat(55)}…"
in doubt: chats that several members may have written; the longest name is used (1)
  "ben::x::by ben::x, or by ben?"
in doubt: chats with several "::" and no member's name; the part before the first one is used as the name (1)
  "zed::gone::long ago"
in doubt: members that may belong to several rooms (1)
  "a::b::c"
members of rooms that are not in the set "rooms" (1)
  "nowhere::eve"
rooms that are not in the set "rooms", but have chats, and are imported (1)
  "no such room"

Nothing was written: this was a dry run.
`);
});

test('a second import adds only what is new, whatever was written to the target in the meantime', { timeout: 60_000 }, async () => {
  const redis = await newRedis();
  const folder = createTempFolder();
  const chats = (from: number, count: number) =>
    Array.from({ length: count }, (_, index): [string, string] => ['aya', `chat ${from + index}`]);
  await enter(redis, 'lobby', 'aya');
  await say(redis, 'lobby', ...chats(0, 250));
  expect(await imports(0, '--from', redis.url, '--to', folder)).toMatch(/rooms +1 +1 +0 +0\nchats +250 +250 +0 +0\n/);
  for (const turn of [1, 2])
    expect(await imports(0, '--from', redis.url, '--to', folder), `${turn}`).toMatch(/rooms +1 +0 +1 +0\nchats +250 +0 +250 +0\n/);

  const server = await startEngawaServer(folder);
  const socket = await connect(server.url);
  await requestOk(socket, 'add:member', { roomId: 'lobby', username: 'aya' });
  await requestOk(socket, 'create:chat', { roomId: 'lobby', username: 'aya', message: 'said here' });
  await say(redis, 'lobby', ...chats(250, 130));
  const inUse = await imports(1, '--from', redis.url, '--to', folder);
  expect(inUse).toContain('is in use by another server');
  server.child.kill('SIGTERM');
  await server.exit();
  expect(await imports(0, '--from', redis.url, '--to', folder)).toMatch(/rooms +1 +0 +1 +0\nchats +380 +130 +250 +0\n/);

  const store = await openEmbedded({ folder });
  const { entries } = await store.readPage('lobby', { limit: 500, listed: true });
  expect(entries.map(({ body }) => body?.message)).toEqual([
    ...chats(0, 250).map(([, text]) => text),
    'said here',
    ...chats(250, 130).map(([, text]) => text),
  ]);
  await store.close();
});

test('an import into Redis works, even into the source Redis', async () => {
  const redis = await newRedis();
  await oddDatabase(redis);
  const before = (await redis.runRaw('LRANGE', 'chat::lobby', 0, -1)) as string[];
  const [to, folder] = [`${redis.url}?prefix=house`, createTempFolder()];
  expect(await imports(0, '--from', redis.url, '--to', to)).toMatch(/rooms +12 +7 +0 +5\nchats +19 +16 +0 +3\n/);
  expect(await imports(0, '--from', redis.url, '--to', to)).toMatch(/rooms +12 +0 +7 +5\nchats +19 +0 +18 +1\n/);
  expect(await runEngawa('move', '--from', to, '--to', folder).exit()).toBe(0);
  expect((await chatsIn(folder)).get('lobby')).toEqual(LOBBY);
  expect(await redis.runRaw('LRANGE', 'chat::lobby', 0, -1)).toEqual(before);
});

test('an import that is killed repeatedly ends with every chat once, in order', { timeout: 240_000 }, async () => {
  const redis = await newRedis();
  const chats = Array.from({ length: 40_000 }, (_, index): [string, string] => [`user ${index % 7}`, `${index} `.padEnd(400, 'x')]);
  await enter(redis, 'large', 'user 0');
  await say(redis, 'large', ...chats);
  for (let index = 0; index < 40; index += 1) {
    await enter(redis, `small::${index}`, 'aya');
    await say(redis, `small::${index}`, ['aya', `hello ${index}`]);
  }
  const before = await digestOf(redis);
  const folder = join(createTempFolder(), 'target');
  const size = (): number =>
    existsSync(folder)
      ? readdirSync(folder).reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
      : 0;
  let imported = 0;
  for (const share of [0.05, 0.1, 0.2]) {
    const [{ child, exit }, start] = [runEngawa('import', 'tutorial', '--from', redis.url, '--to', folder), size()];
    await until(() => size() - start > share * 400 * chats.length, 'a part is there', 60_000);
    child.kill('SIGKILL');
    expect(await exit()).toBe(null);
    const now = (await chatsIn(folder)).get('large')?.length ?? 0;
    expect([now > imported, now < chats.length]).toEqual([true, true]);
    imported = now;
  }
  const [robbed, start] = [runEngawa('import', 'tutorial', '--from', redis.url, '--to', folder), size()];
  await until(() => size() - start > 0.1 * 400 * chats.length, 'a part is there', 60_000);
  await redis.kill();
  expect([await robbed.exit(), robbed.screen()]).toEqual([1, expect.stringMatching(/engawa: redis:\S+ cannot be read: .*\n$/)]);
  await redis.start();
  expect(await imports(0, '--from', redis.url, '--to', folder)).toMatch(/chats +40,040 +[1-9]/);
  const found = await chatsIn(folder);
  expect(found.size).toBe(41);
  expect(found.get('large')).toEqual(chats);
  expect(found.get('small::7')).toEqual([['aya', 'hello 7']]);
  expect(await digestOf(redis)).toBe(before);
});

test('existing rooms from another source are left unchanged', async () => {
  const redis = await newRedis();
  const folder = createTempFolder();
  const server = await startEngawaServer(folder);
  const socket = await connect(server.url);
  await requestOk(socket, 'create:room', { roomId: 'lobby', username: 'cho' });
  server.child.kill('SIGTERM');
  await server.exit();
  await enter(redis, 'lobby', 'aya');
  await say(redis, 'lobby', ['aya', 'hello']);
  await enter(redis, 'attic');
  const screen = await imports(0, '--from', redis.url, '--to', folder);
  expect(screen).toMatch(/rooms +2 +1 +0 +1\nchats +1 +0 +0 +1\n/);
  expect(screen).toContain('left out: rooms whose names other rooms have here already (1)\n  "lobby"');
  const store = await openEmbedded({ folder });
  expect((await store.readPage('lobby', { limit: 10 })).entries.map(({ kind }) => kind)).toEqual(['create:room', 'add:member']);
  await store.close();
});

test('unreadable sources are reported in a line or two, and nothing is created', { timeout: 60_000 }, async () => {
  const redis = await newRedis({ users: ['user locked on >secret ~* resetchannels +@connection'] });
  const folder = join(createTempFolder(), 'target');
  const from = (url: string): string[] => ['--from', url, '--to', folder, '--dry-run'];
  const refusals: [args: string[], says: string][] = [
    [['slack'], "Only the tutorial's database can be imported.\nUsage: engawa import tutorial --from REDIS_URL"],
    [['tutorial'], '--from is needed.\nUsage:'],
    [['tutorial', '--form', redis.url], "Unknown option '--form'"],
    [['tutorial', ...from('http://me:secret@localhost/')], "Give the tutorial's database as redis://"],
    [['tutorial', ...from('redis://me:secret@127.0.0.1:1/')], 'redis://127.0.0.1:1/ cannot be read: connect ECONNREFUSED'],
    [['tutorial', ...from(redis.urlAs('locked', 'wrong'))], `redis://${redis.address} cannot be read: WRONGPASS`],
    [['tutorial', ...from(redis.urlAs('locked', 'secret'))], `redis://${redis.address} cannot be read: NOPERM`],
  ];
  for (const [args, says] of refusals) {
    const { exit, screen } = runEngawa('import', ...args);
    expect([await exit(), screen()]).toEqual([1, expect.stringContaining(`engawa: ${says}`)]);
    expect(screen()).not.toMatch(/secret|\n {4}at /);
  }
  expect(await imports(1, ...from(redis.url))).toContain(`There are no rooms of the tutorial's server in ${redis.url}.`);
  await redis.runRaw('SET', 'rooms', 'mine');
  expect(await imports(1, ...from(redis.url))).toContain('is not the database of the tutorial\'s server: "rooms" is a string there.');
  expect(existsSync(folder)).toBe(false);
});
