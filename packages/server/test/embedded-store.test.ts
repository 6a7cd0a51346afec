/** The embedded store: its data directory, formats, full and broken disks, erased data, and batches. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { testStore } from '@engawa/store-conformance';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type AppendNotice, type AppendReceipt, type AppendResult, type Draft, type Store, StoreError } from '#store/contract.js';
import { openEmbedded } from '#store/embedded/embedded-store.js';
import { openDatabase } from '#store/embedded/sqlite-driver.js';

testStore({ open: (options) => open(newFolder(), options), test });

describe('a data directory belongs to one server', () => {
  test('a second store in this process is refused, and the first continues', async () => {
    const folder = newFolder();
    const first = await open(folder);
    await add(first, 'den', null, draft('one'));
    await isRefused(folder, 'failed', /in use by another server/);
    await add(first, 'den', await epochOf(first), draft('two'));
    expect(await textsOf(first)).toEqual(['one', 'two']);
  });

  test('a second store under another path of the directory is refused', async () => {
    const folder = newFolder();
    await open(folder);
    const link = join(newFolder(), 'link');
    symlinkSync(folder, link);
    await isRefused(link, 'failed', /in use by another server/);
  });

  test('another process is refused, and the first continues', async () => {
    const folder = newFolder();
    const first = await open(folder);
    const { lines } = startProcess(folder, 'hold');
    expect(await nextLine(lines)).toMatch(/^StoreError failed .* in use by another server/);
    await add(first, 'den', null, draft('one'));
  });

  test('a process with the lock is not disturbed; once killed, it leaves the directory free with all that it answered', async () => {
    const folder = newFolder();
    const { child, lines } = startProcess(folder, 'write');
    const said: string[] = [];
    while (said.length < 500) said.push(await nextLine(lines));
    await isRefused(folder, 'failed', /in use by another server/);
    child.kill('SIGKILL');
    for await (const [line] of remaining(lines)) said.push(line);

    const store = await open(folder);
    for (const line of said) await isStored(store, line);
    const entries = await entriesOf(store);
    expect(entries.length % 2, 'the two drafts of an append are both there or neither').toBe(1);
    await add(store, 'den', await epochOf(store), draft('goes on'));
  });

  test('a closed store can be opened again at once', async () => {
    const folder = newFolder();
    for (const turn of [1, 2, 3]) {
      const store = await open(folder);
      await add(store, `room ${turn}`, null, draft('one'));
      await store.close();
    }
    expect((await (await open(folder)).listRooms({ limit: 10 })).rooms).toHaveLength(3);
  });
});

/** What the writing process printed about an append: its idempotency key and the seqs of the answer. */
async function isStored(store: Store, line: string): Promise<void> {
  const [name, ...seqs] = line.split(' ');
  const stored = await store.findByIdempotencyKey('den', String(name));
  expect(stored?.entries.map(({ seq }) => String(seq))).toEqual(seqs);
}

describe('a directory that cannot be used is refused, and left unchanged', () => {
  test('missing directories are created', async () => {
    const folder = join(newFolder(), 'a', 'b');
    await add(await open(folder), 'den', null, draft('one'));
    expect(existsSync(join(folder, 'engawa.db'))).toBe(true);
  });

  test('a file', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, 'mine');
    await isRefused(file, 'failed', /cannot be created/);
    await isRefused(join(file, 'below'), 'failed', /cannot be created/);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  test('a directory in place of the file', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'engawa.db'));
    await isRefused(folder, 'failed', /cannot be written to/);
  });

  const unknownClients: [what: string, bytes: () => Buffer][] = [
    ['a short text', () => Buffer.from('mine')],
    ['a long text', () => Buffer.from('mine '.repeat(10_000))],
    ['noise', () => randomBytes(100_000)],
  ];
  test.each(unknownClients)('a file that is not a database: %s', async (_, bytes) => {
    const folder = newFolder();
    writeFileSync(join(folder, 'engawa.db'), bytes());
    await isRefusedUnchanged(folder, /damaged or not a database of Engawa/);
  });

  test('a database of another program', async () => {
    const folder = newFolder();
    alter(folder, 'CREATE TABLE notes (note TEXT); INSERT INTO notes VALUES (1)');
    await isRefusedUnchanged(folder, /another program/);
  });

  test('an empty database that another program claimed', async () => {
    const folder = newFolder();
    alter(folder, 'PRAGMA application_id = 7; PRAGMA user_version = 3');
    await isRefusedUnchanged(folder, /another program/);
  });

  test('a database of a newer version, or without a version', async () => {
    const folder = newFolder();
    await write(folder, 'den', draft('one'));
    for (const format of [formatOf(folder) + 1, 1000, 0]) {
      alter(folder, `PRAGMA user_version = ${format}`);
      await isRefusedUnchanged(folder, new RegExp(`has format ${format},`));
    }
  });

  test('a refused directory can be opened as soon as the cause is removed', async () => {
    const folder = newFolder();
    await write(folder, 'den', draft('one'));
    const format = formatOf(folder);
    alter(folder, 'PRAGMA user_version = 1000');
    await isRefused(folder, 'failed', /has format 1000/);
    alter(folder, `PRAGMA user_version = ${format}`);
    expect(await textsOf(await open(folder))).toEqual(['one']);
  });
});

describe('a directory of format 1', () => {
  test('is migrated with all its rooms, which continue', async () => {
    const folder = folderOfFormatOne();
    const clock = () => 1_700_000_000_000;
    const store = await open(folder, { clock });
    expect(formatOf(folder)).toBeGreaterThan(1);
    expect((await store.listRooms({ limit: 10 })).rooms).toMatchObject([
      { room: 'attic', epoch: 'e2', head: 1, at: 1_600_000_000_000 },
      { room: 'den', epoch: 'e1', head: 3, at: 1_600_000_002_000 },
    ]);
    const { head, lastBroadcastId, hlc, oldest, bytes, entries } = await store.readPage('den', { limit: 10 });
    expect({ head, tail: lastBroadcastId, tick: hlc, oldest, bytes }).toEqual({
      head: 3,
      tail: 'b',
      tick: 0,
      oldest: 1,
      bytes: '{"text":"one"}{"text":"three"}'.length,
    });
    const entry = { by: 'aya', author: 'user:aya', kind: 'chat', hlc: 0, quiet: false, listed: false };
    expect(entries).toEqual([
      { ...entry, seq: 1, id: 'a', prev: null, at: 1_600_000_000_000, body: { text: 'one' }, listed: true },
      { ...entry, seq: 2, id: 'b', prev: 'a', at: 1_600_000_001_000, body: null },
      { ...entry, seq: 3, id: 'c', prev: 'b', at: 1_600_000_002_000, body: { text: 'three' }, quiet: true },
    ]);
    expect(await store.listKeys('den', 'member', { limit: 10 })).toEqual({
      keys: [
        ['aya', { value: { role: 'owner' }, seq: 1, lease: 'held' }],
        ['ben', { value: 1, seq: 2, lease: 'released' }],
        ['cho', { value: 1, seq: 3 }],
      ],
      hasMore: false,
    });
    expect((await store.read('den', { counts: [''] })).counts).toEqual(new Map([['', new Map([['member', 3]])]]));
    expect(await store.findByIdempotencyKey('den', 'aya:1')).toEqual({
      epoch: 'e1',
      entries: [{ seq: 3, id: 'c', at: 1_600_000_002_000 }],
    });
    expect(await store.listExpiredLeases(10)).toEqual([{ room: 'den', key: 'member/ben' }]);

    const ticket = { holder: 'aya', key: 'member/aya', value: 1 };
    await store.append('den', { epoch: 'e1', expectedVersions: [['member/aya', 1]], drafts: [draft('four', { tickets: [ticket] })] });
    expect(await store.advanceMark('den', 'member/aya', 4)).toBe(4);
    await trim(store, 'den', 2);
    const [second, , fourth] = (await store.readPage('den', { after: 0, limit: 10 })).entries;
    expect([second?.seq, fourth?.prev, Number(fourth?.hlc) > 0]).toEqual([2, 'b', true]);
    expect(await store.listTickets('aya', 10)).toEqual([{ room: 'den', key: 'member/aya', value: 1, seq: 4, epoch: 'e1' }]);
    await store.close();
    expect((await (await open(folder)).readPage('den', { limit: 10 })).oldest).toBe(2);
  });

  test('loses the rooms that had ended', async () => {
    const folder = folderOfFormatOne();
    expect(bytesOf(folder).includes('farewell')).toBe(true);
    const store = await open(folder);
    await until(() => !bytesOf(folder).includes('farewell'));
    expect((await store.listRooms({ limit: 10 })).rooms).toHaveLength(2);
  });
});

describe('a directory of format 2', () => {
  test('is migrated: trimmed entries are absent, bodies are counted, and keys of chats belong to their entries', async () => {
    const folder = folderOfFormatTwo();
    expect(bytesOf(folder).includes('trimmed secret')).toBe(true);
    const store = await open(folder);
    expect(formatOf(folder)).toBeGreaterThan(2);
    const { epoch, hlc, oldest, bytes, entries } = await store.readPage('den', { after: 0, limit: 10 });
    expect([hlc, oldest, entries.map(({ seq }) => seq)]).toEqual([30, 2, [2, 3]]);
    expect(bytes).toBe(Buffer.byteLength('{"text":"部屋"}'));
    expect((await store.readPage('attic', { limit: 1 })).bytes).toBe('{}'.length);
    const look = () => store.read('den', { keys: ['entry/2/chat', 'entry/3/chat'], counts: ['', 'entry', 'entry/2/reaction'] });
    const before = await look();
    expect(Object.fromEntries(before.keys)).toEqual({
      'entry/2/chat': { value: { deleted: true }, seq: 3 },
      'entry/3/chat': { value: { message: 'chat/3' }, seq: 3, mark: 1 },
    });
    expect(Object.fromEntries(before.counts)).toEqual({
      '': new Map([['member', 3]]),
      entry: new Map([
        ['2', 1],
        ['3', 1],
      ]),
      'entry/2/reaction': new Map([
        ['%2F', 2],
        ['あ', 1],
      ]),
    });
    expect((await store.listKeys('den', 'entry/2/reaction/%2F', { limit: 10 })).keys.map(([name]) => name)).toEqual(['aya', 'ben']);
    await until(() => !bytesOf(folder).includes('trimmed secret'));

    await store.trim('den', { epoch: String(epoch), below: 3 });
    const after = await look();
    expect([...after.keys.keys()]).toEqual(['entry/3/chat']);
    expect(Object.fromEntries(after.counts)).toEqual({
      '': new Map([['member', 3]]),
      entry: new Map([['3', 1]]),
      'entry/2/reaction': new Map(),
    });
  });
});

/** As the second version wrote it: the first entry was trimmed, and not yet removed. */
function folderOfFormatTwo(): string {
  const folder = folderOfFormatOne();
  alter(
    folder,
    `BEGIN;
ALTER TABLE rooms ADD COLUMN oldest INTEGER NOT NULL DEFAULT 1;
ALTER TABLE rooms ADD COLUMN trimmed INTEGER;
CREATE INDEX trimmed_rooms ON rooms (trimmed) WHERE trimmed IS NOT NULL;
CREATE TABLE ticks (newest INTEGER NOT NULL) STRICT;
INSERT INTO ticks VALUES (0);
ALTER TABLE entries ADD COLUMN tick INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN mark INTEGER;
CREATE TABLE tickets (
  holder TEXT NOT NULL, room INTEGER NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, epoch TEXT NOT NULL,
  seq INTEGER NOT NULL, until INTEGER, PRIMARY KEY (holder, room, family, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_of_rooms ON tickets (room);
CREATE INDEX ending_tickets ON tickets (until) WHERE until IS NOT NULL;
PRAGMA user_version = 2;
UPDATE entries SET tick = 10 * seq;
UPDATE ticks SET newest = 40;
UPDATE rooms SET oldest = 2, trimmed = 1 WHERE name = 'den';
UPDATE entries SET body = '{"text":"trimmed secret"}' WHERE id = 'a';
UPDATE entries SET body = '{"text":"部屋"}' WHERE id = 'c';
INSERT INTO keys VALUES (1, 'chat/', '2', '{"deleted":true}', 3, NULL), (1, 'chat/', '3', '{"message":"chat/3"}', 3, 1),
  (1, 'reaction/2/%2F/', 'aya', 'true', 3, NULL), (1, 'reaction/2/%2F/', 'ben', 'true', 3, NULL), (1, 'reaction/2/あ/', 'ben', 'true', 3, NULL);
INSERT INTO counts VALUES (1, '', 'chat', 2), (1, 'reaction/2/', '%2F', 2), (1, 'reaction/2/', 'あ', 1);
COMMIT;`,
  );
  return folder;
}

/** As the first version wrote it, whose code no longer exists. */
function folderOfFormatOne(folder = newFolder()): string {
  alter(
    folder,
    `PRAGMA journal_mode = WAL; BEGIN;
CREATE TABLE rooms (
  room INTEGER PRIMARY KEY, name TEXT UNIQUE, epoch TEXT NOT NULL, head INTEGER NOT NULL, tail TEXT, at INTEGER NOT NULL
) STRICT;
CREATE TABLE entries (
  room INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, prev TEXT, at INTEGER NOT NULL, by TEXT NOT NULL,
  author TEXT NOT NULL, kind TEXT NOT NULL, body TEXT, quiet INTEGER NOT NULL, listed INTEGER NOT NULL, once TEXT,
  PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_entries ON entries (room, seq) WHERE listed = 1;
CREATE INDEX named_appends ON entries (room, once) WHERE once IS NOT NULL;
CREATE TABLE keys (
  room INTEGER NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (room, family, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE counts (
  room INTEGER NOT NULL, parent TEXT NOT NULL, family TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (room, parent, family)
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
  room INTEGER NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, node TEXT NOT NULL, until INTEGER,
  PRIMARY KEY (room, family, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX released_leases ON leases (until) WHERE until IS NOT NULL;
CREATE INDEX held_leases ON leases (node) WHERE until IS NULL;
CREATE TABLE nodes (node TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = ${0x456e6761}; PRAGMA user_version = 1;
INSERT INTO rooms VALUES
  (1, 'den', 'e1', 3, 'b', 1600000002000), (2, 'attic', 'e2', 1, 'd', 1600000000000), (3, NULL, 'e3', 1, 'e', 1600000000000);
INSERT INTO entries VALUES
  (1, 1, 'a', NULL, 1600000000000, 'aya', 'user:aya', 'chat', '{"text":"one"}', 0, 1, NULL),
  (1, 2, 'b', 'a', 1600000001000, 'aya', 'user:aya', 'chat', NULL, 0, 0, NULL),
  (1, 3, 'c', 'b', 1600000002000, 'aya', 'user:aya', 'chat', '{"text":"three"}', 1, 0, 'aya:1'),
  (2, 1, 'd', NULL, 1600000000000, 'aya', 'user:aya', 'chat', '{}', 0, 0, NULL),
  (3, 1, 'e', NULL, 1600000000000, 'aya', 'user:aya', 'chat', '{"text":"farewell"}', 0, 0, NULL);
INSERT INTO keys VALUES (1, 'member/', 'aya', '{"role":"owner"}', 1), (1, 'member/', 'ben', '1', 2), (1, 'member/', 'cho', '1', 3);
INSERT INTO counts VALUES (1, '', 'member', 3);
INSERT INTO leases VALUES (1, 'member/', 'aya', 'n1', NULL), (1, 'member/', 'ben', 'n1', 1600000000000);
INSERT INTO nodes VALUES ('n1', 1800000000000);
COMMIT;`,
  );
  return folder;
}

describe('a damaged database', () => {
  const LARGE = 3_000;
  const secrets = (name: string): Draft[] => times(40, (index) => draft(`${name}${index} `.padEnd(LARGE, name), { listed: true }));

  async function twoRooms(): Promise<string> {
    const folder = newFolder();
    await write(folder, 'healthy', ...secrets('healthy'));
    await write(folder, 'broken', ...secrets('broken'));
    return folder;
  }

  test.each([0x00, 0x41, 0xff])('reports the lost pages, and reads the rest: pages of %i', async (byte) => {
    const folder = await twoRooms();
    overwritePagesWith(folder, /broken(1[5-9]|2\d) /, byte);
    const before = databaseOf(folder);
    const store = await open(folder);

    for (const _ of [1, 2]) {
      await expect(store.readPage('broken', { after: 0, limit: 100 })).rejects.toMatchObject({ name: 'StoreError', reason: 'failed' });
      expect((await store.readPage('healthy', { after: 0, limit: 100 })).entries).toHaveLength(40);
    }
    expect((await store.listRooms({ limit: 10 })).rooms.map(({ room }) => room)).toEqual(['broken', 'healthy']);
    expect(databaseOf(folder)).toBe(before);
    await store.close();
    expect(databaseOf(folder)).toBe(before);
  });

  test('answers an append, or reports that it failed', async () => {
    const folder = await twoRooms();
    overwritePagesWith(folder, /broken(1[5-9]|2\d) /, 0xff);
    const store = await open(folder);
    const epochs = await Promise.all(['broken', 'healthy'].map(async (room) => [room, (await store.read(room, {})).epoch] as const));
    for (const [room, epoch] of epochs) {
      const eraseSeqs = times(40, (index) => index + 1);
      await failsOrIsAppended(store.append(room, { epoch, expectedVersions: [], drafts: [draft('writes', { eraseSeqs })] }));
    }
    expect((await store.readPage('healthy', { after: 0, limit: 100 })).entries.length).toBeGreaterThanOrEqual(40);
  });

  test('is refused when nothing of it is readable', async () => {
    const folder = await twoRooms();
    const file = join(folder, 'engawa.db');
    writeFileSync(file, readFileSync(file).fill(0xff, 100, 4_096));
    await isRefusedUnchanged(folder, /damaged/);
  });

  test('reports the loss when it is truncated', async () => {
    const folder = await twoRooms();
    const file = join(folder, 'engawa.db');
    const whole = readFileSync(file);
    writeFileSync(file, whole.subarray(0, Math.floor(whole.length / 8_192) * 4_096));
    const cut = databaseOf(folder);
    const store = await open(folder).catch((error: unknown) => error);
    if (store instanceof Error) expect(store).toMatchObject({ name: 'StoreError', reason: 'failed' });
    else {
      const pages = ['healthy', 'broken'].map((room) => (store as Store).readPage(room, { after: 0, limit: 100 }));
      const read = await Promise.allSettled(pages);
      expect(read.some(({ status }) => status === 'rejected')).toBe(true);
      for (const each of read) if (each.status === 'rejected') expect(each.reason).toMatchObject({ name: 'StoreError', reason: 'failed' });
    }
    expect(databaseOf(folder)).toBe(cut);
  });
});

async function failsOrIsAppended(asked: Promise<unknown>): Promise<void> {
  const answer = await asked.catch((error: unknown) => error);
  if (answer instanceof Error) expect(answer).toMatchObject({ name: 'StoreError', reason: 'failed' });
  else expect(answer).toMatchObject({ outcome: 'appended' });
}

const INNER_PAGE = 0x02;

/** Every page that holds the text, but those that also lead to other rooms. */
function overwritePagesWith(folder: string, text: RegExp, byte: number): void {
  const file = join(folder, 'engawa.db');
  const bytes = readFileSync(file);
  let overwritten = 0;
  for (let page = 4_096; page < bytes.length; page += 4_096) {
    const content = bytes.subarray(page, page + 4_096);
    if (!text.test(content.toString('latin1')) || content[0] === INNER_PAGE) continue;
    bytes.fill(byte, page, page + 4_096);
    overwritten += 1;
  }
  expect(overwritten, 'pages overwritten').toBeGreaterThan(0);
  writeFileSync(file, bytes);
}

const canMount = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'engawa-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
})();

describe.skipIf(!canMount)('a read-only directory', () => {
  test('is refused, empty or not', async () => {
    const used = newFolder();
    await write(used, 'den', draft('one'));
    for (const folder of [newFolder(), used]) {
      mount(folder, ['--bind', folder]);
      execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
      await isRefusedUnchanged(folder, /cannot be written to/);
    }
  });
});

describe.skipIf(!canMount)('a full disk', () => {
  const SIZE = 16 * 1024 * 1024;
  const smallDisk = (): string => mount(newFolder(), ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs']);
  const ballastOf = (disk: string): string => join(disk, 'ballast');

  /** Leaves this number of bytes free. */
  function fill(disk: string, free: number): void {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(ballastOf(disk), Buffer.alloc(bavail * bsize - free));
  }

  /** Appends until the disk is full; returns the texts whose append was acknowledged. */
  async function appendUntilFull(store: Store, room: string, size: number): Promise<string[]> {
    const stored: string[] = [];
    const epoch = await epochOf(store, room);
    for (;;) {
      const text = `${room} ${stored.length} `.padEnd(size, 'x');
      const outcome = await store.append(room, { epoch, expectedVersions: [], drafts: [draft(text)] }).catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ name: 'StoreError', reason: 'full' });
        return stored;
      }
      stored.push(text);
    }
  }

  test.each([100, 5_000, 100_000])(
    'refuses appends of %i bytes as full, reads on, and takes them again when there is space',
    async (size) => {
      const disk = smallDisk();
      const store = await open(disk);
      await add(store, 'den', null, draft('opens'));
      fill(disk, 1024 * 1024);
      const stored = await appendUntilFull(store, 'den', size);
      expect(stored.length).toBeGreaterThan(0);
      expect(store.isWritable).toBe(false);
      expect(await textsOf(store)).toEqual(['opens', ...stored]);
      expect(await appendUntilFull(store, 'den', SIZE / 2)).toEqual([]);
      const opening = { epoch: null, expectedVersions: [], drafts: [draft('opens '.padEnd(SIZE / 2))] };
      await expect(store.append('attic', opening)).rejects.toMatchObject({ name: 'StoreError', reason: 'full' });
      expect((await store.read('attic', {})).epoch).toBe(null);

      rmSync(ballastOf(disk));
      await add(store, 'attic', null, draft('opens'));
      await add(store, 'den', await epochOf(store), draft('there is space'));
      expect(store.isWritable).toBe(true);
      expect(await textsOf(store)).toEqual(['opens', ...stored, 'there is space']);
      await store.close();
      expect(await textsOf(await open(disk))).toEqual(['opens', ...stored, 'there is space']);
    },
  );

  test('keeps those of many concurrent appends that were answered, and nothing else', async () => {
    const disk = smallDisk();
    const store = await open(disk);
    const epoch = (await add(store, 'den', null, draft('opens'))).epoch;
    fill(disk, 2 * 1024 * 1024);
    const asked = times(3_000, (index) =>
      store.append('den', { epoch, expectedVersions: [], idempotencyKey: String(index), drafts: [draft(`${index} `.padEnd(1_500))] }),
    );
    const answers = await Promise.allSettled(asked);
    const stored = answers.flatMap((answer, index) => (answer.status === 'fulfilled' ? [String(index)] : []));
    expect([stored.length > 0, stored.length < 3_000]).toEqual([true, true]);
    expect((await textsOf(store)).slice(1).map((text) => text?.trim())).toEqual(stored);

    rmSync(ballastOf(disk));
    const again = times(3_000, (index) =>
      store.append('den', { epoch, expectedVersions: [], idempotencyKey: String(index), drafts: [draft('again')] }),
    );
    const outcomes = (await Promise.all(again)).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(answers.map(({ status }) => (status === 'fulfilled' ? 'repeated' : 'appended')));
  });

  test('is never reported as a damaged database, wherever the last byte is', async () => {
    const disk = smallDisk();
    const store = await open(disk);
    const texts: string[] = ['opens'];
    await add(store, 'den', null, draft('opens'));
    for (const free of times(24, (index) => index * 4_096)) {
      fill(disk, free);
      texts.push(...(await appendUntilFull(store, 'den', 3_000)));
      rmSync(ballastOf(disk));
      await add(store, 'den', await epochOf(store), draft(`with ${free} bytes it was full`));
      texts.push(`with ${free} bytes it was full`);
    }
    expect(await textsOf(store)).toEqual(texts);
  });

  test('lets the store close, and open when there is space', async () => {
    const disk = smallDisk();
    const store = await open(disk);
    await add(store, 'den', null, draft('opens'));
    fill(disk, 100_000);
    const stored = await appendUntilFull(store, 'den', 5_000);
    await store.close();
    rmSync(ballastOf(disk));
    expect(await textsOf(await open(disk))).toEqual(['opens', ...stored]);
  });

  test('leaves a directory of format 1 unchanged until there is space to migrate it', async () => {
    const disk = folderOfFormatOne(smallDisk());
    let refused = 0;
    for (; ; refused += 1) {
      fill(disk, refused * 4_096);
      const opened = await open(disk).catch((error: unknown) => error);
      rmSync(ballastOf(disk));
      if (!(opened instanceof Error)) break;
      expect(opened).toMatchObject({ name: 'StoreError' });
      expect(formatOf(disk)).toBe(1);
    }
    expect(refused).toBeGreaterThan(3);
    expect(formatOf(disk)).toBeGreaterThan(1);
  });

  test('is refused as full by a new store, which opens when there is space', async () => {
    const disk = smallDisk();
    fill(disk, 0);
    await isRefused(disk, 'full', /no space left/);
    rmSync(ballastOf(disk));
    await add(await open(disk), 'den', null, draft('opens'));
  });
});

describe('a disk with write errors', () => {
  test('is not written to again; answered appends are readable, and stored once the disk is repaired', async () => {
    const folder = newFolder();
    // A file size limit simulates the defect: SQLite sees a write beyond it as a disk error, and not as a full disk.
    const { lines } = startProcess(folder, 'fail', ['sh', '-c', 'ulimit -f 1000; exec "$@"', 'sh']);
    expect(await nextLine(lines)).toBe('failed');
    expect(await nextLine(lines)).toMatch(/^failed .* The disk failed before/);
    const [, stored, read] = /^not writable, (\d+) kept, (\d+) read$/.exec(await nextLine(lines)) ?? [];
    expect(Number(stored)).toBeGreaterThan(1);
    expect(read).toBe(stored);
    expect((await lines.next()).done).toBe(true);

    const store = await open(folder);
    expect(await textsOf(store)).toHaveLength(Number(stored));
    await add(store, 'den', await epochOf(store), draft('goes on'));
  });
});

describe('erased data is removed from the disk', () => {
  const name = (index: number): string => `marker${String(index).padStart(5, '0')}.`;

  test('erased bodies, and nothing else', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const sizes = [10, 40, 300, 2_000, 4_000, 9_000];
    const drafts = times(600, (index) => draft(name(index).padEnd(sizes[index % sizes.length] as number, '-')));
    const { epoch } = await add(store, 'den', null, ...drafts);
    await cameToRest(folder);
    const isErased = (index: number): boolean => (index * 7) % 5 < 2;
    const erased = times(600, (index) => index).filter(isErased);
    expect(markersIn(folder)).toEqual(new Set(times(600, name)));

    for (let from = 0; from < erased.length; from += 17) {
      const eraseSeqs = erased.slice(from, from + 17).map((index) => index + 1);
      await add(store, 'den', epoch, draft('erases'.repeat(from), { eraseSeqs }));
    }
    const rest = new Set(
      times(600, (index) => index)
        .filter((index) => !isErased(index))
        .map(name),
    );
    await until(() => markersIn(folder).size === rest.size);
    expect(markersIn(folder)).toEqual(rest);
    expect((await textsOf(store)).slice(0, 600).filter((text) => text === undefined)).toHaveLength(erased.length);
  });

  test('ended rooms, with their keys and the names of their members; the next epoch of the id stays', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const secret = (index: number): Draft => ({
      id: `id${name(index)}`,
      by: `by${name(index)}`,
      author: `author${name(index)}`,
      kind: `kind${name(index)}`,
      body: { text: `text${name(index)}` },
      tickets: [{ holder: `holder${name(index)}`, key: `ticket${name(index)}`, value: 1 }],
      keyUpdates: [[`member/key${name(index)}`, `value${name(index)}`]],
      lease: { key: `member/key${name(index)}`, node: 'n1' },
    });
    const { epoch } = await add(store, 'den', null, ...times(1_500, secret));
    await cameToRest(folder);
    expect(markersIn(folder).size).toBe(1_500);
    await add(store, 'den', epoch, draft('ends', { endsRoom: true }));
    await add(store, 'den', null, draft('the next life', { keyUpdates: [['member/aya', 1]] }));

    await until(() => markersIn(folder).size === 0);
    expect(await textsOf(store)).toEqual(['the next life']);
    expect((await store.listKeys('den', 'member', { limit: 10 })).keys).toEqual([['aya', { value: 1, seq: 1 }]]);
    await add(store, 'den', await epochOf(store), draft('goes on'));
    await add(store, 'attic', null, draft('opens'));
  });

  test('the space of an ended room is freed soon, under constant writes', async () => {
    const store = await open(newFolder());
    const { epoch } = await add(store, 'den', null, ...times(300, () => draft('x'.repeat(10_000))));
    const attic = await add(store, 'attic', null, draft('opens'));
    const before = (await store.usage()).bytes;
    await add(store, 'den', epoch, draft('ends', { endsRoom: true }));
    await expect
      .poll(
        async () => {
          await add(store, 'attic', attic.epoch, draft('goes on'));
          return (await store.usage()).bytes;
        },
        { interval: 20, timeout: 20_000 },
      )
      .toBeLessThan(before - 2_500_000);
  });

  test('trimmed entries of any number, and nothing else, while appends continue', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const drafts = (from: number, to: number): Draft[] =>
      times(to - from, (index) => draft(name(from + index), { listed: index % 2 === 0 }));
    const { epoch } = await add(store, 'den', null, ...drafts(0, 5_000));
    await add(store, 'attic', null, ...drafts(10_000, 10_100));
    await cameToRest(folder);
    expect(markersIn(folder).size).toBe(5_100);

    await trim(store, 'den', 4_501);
    expect((await store.readPage('den', { after: 0, limit: 1 })).entries[0]?.seq).toBe(4_501);
    await add(store, 'den', epoch, ...drafts(5_000, 5_100));
    await until(() => markersIn(folder).size === 700);
    expect(markersIn(folder)).toEqual(new Set(times(700, (index) => name(index < 600 ? 4_500 + index : 9_400 + index))));
    expect((await store.readPage('den', { after: 0, limit: 1_000 })).entries.map(({ seq }) => seq)).toEqual(
      times(600, (index) => 4_501 + index),
    );
    expect((await store.readPage('attic', { after: 0, limit: 1_000 })).entries).toHaveLength(100);
    await trim(store, 'den', 10_000);
    await until(() => markersIn(folder).size === 100);
    expect(await store.readPage('den', { limit: 10 })).toMatchObject({ head: 5_100, oldest: 5_101, entries: [] });
  });

  test('expired tickets, and nothing else', async () => {
    const folder = newFolder();
    let now = 1_700_000_000_000;
    const store = await open(folder, { clock: () => now });
    const leaves = (index: number, ttl?: number): Draft =>
      draft('leaves', { tickets: [{ holder: `holder${name(index)}`, key: `key${name(index)}`, value: `value${name(index)}`, ttl }] });
    const { epoch } = await add(
      store,
      'den',
      null,
      ...times(3_000, (index) => leaves(index, 1_000)),
      leaves(10_000),
      leaves(10_001, 5_000),
    );
    await cameToRest(folder);
    expect(markersIn(folder).size).toBe(3_002);
    now += 1_001;
    await add(store, 'den', epoch, draft('goes on'));
    await until(() => markersIn(folder).size === 2);
    expect(await store.listTickets(`holder${name(10_001)}`, 10)).toHaveLength(1);
    expect(await store.listTickets(`holder${name(10_000)}`, 10)).toHaveLength(1);
  });

  test.each([
    ['erase', [null, { text: 'erases' }]],
    ['trim', [{ text: 'stays' }]],
  ] as const)('erased data is removed after a kill before the idle task: %s', async (task, bodies) => {
    const folder = newFolder();
    const { child } = startProcess(folder, task);
    await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    expect(bytesOf(folder).includes('erased secret'), 'it is still there').toBe(true);
    const store = await open(folder);
    await until(() => !bytesOf(folder).includes('erased secret'));
    expect((await store.readPage('den', { limit: 10 })).entries.map(({ body }) => body)).toEqual(bodies);
  });

  test('erased data is removed after a close before the idle task', async () => {
    const folder = newFolder();
    await write(folder, 'den', draft('erased secret'), draft('erases', { eraseSeqs: [1] }));
    expect(bytesOf(folder).includes('erases')).toBe(true);
    expect(bytesOf(folder).includes('erased secret')).toBe(false);
  });
});

describe('after reopening', () => {
  test('all state is unchanged', async () => {
    const folder = newFolder();
    const clock = () => 1_700_000_000_000;
    const store = await open(folder, { clock });
    const { epoch } = await add(
      store,
      'den',
      null,
      draft('one', {
        listed: true,
        keyUpdates: [
          ['member/aya', 1],
          ['settings', {}],
        ],
      }),
      draft('two'),
    );
    const ticket = { holder: 'aya', key: 'member/aya', value: 1, ttl: 1_000 };
    await store.append('den', {
      epoch,
      expectedVersions: [],
      idempotencyKey: 'aya:1',
      drafts: [draft('three', { quiet: true, eraseSeqs: [2], tickets: [ticket] })],
    });
    await store.advanceMark('den', 'member/aya', 2);
    await trim(store, 'den', 2);
    for (const node of ['n1', 'n2', 'n3']) await joinAs(store, node);
    await store.heartbeat('n1', 1_000);
    await store.heartbeat('n2', 1_000);
    await store.releaseLease('den', 'lease/n2', 'n2', 0);
    await add(store, 'gone', null, draft('opens and ends', { endsRoom: true }));
    const before = await pictureOf(store);
    expect([before.page.oldest, before.tickets.length, before.facts.keys.get('member/aya')?.mark]).toEqual([2, 1, 2]);
    expect(before.expired.map(({ key }) => key).sort()).toEqual(['lease/n2', 'lease/n3']);
    await store.close();

    const again = await open(folder, { clock });
    expect(await pictureOf(again)).toEqual(before);
    expect(await again.append('den', { epoch, expectedVersions: [['member/aya', 1]], drafts: [draft('goes on')] })).toMatchObject({
      outcome: 'appended',
    });
    expect(
      await again.append('den', { epoch: null, expectedVersions: [], idempotencyKey: 'aya:1', drafts: [draft('again')] }),
    ).toMatchObject({
      outcome: 'repeated',
    });
  });

  test('clocks continue above all earlier values, though the wall clock went back and the newest room has ended', async () => {
    const folder = newFolder();
    let now = 1_700_000_000_000;
    const hlcs: number[] = [];
    const listener = {
      onAppend: (received: AppendNotice) => hlcs.push(...received.entries.map(({ hlc }) => hlc)),
      onPublish() {},
      onGap() {},
    };
    for (const step of [0, 0, -3_600_000, 60_000]) {
      now += step;
      const store = await open(folder, { clock: () => now });
      for (const room of ['den', 'gone']) await store.subscribe(room, listener);
      await add(store, 'den', await epochOf(store), draft('one'), draft('two'));
      await add(store, 'gone', null, draft('marker00000.', { endsRoom: true }));
      await until(() => markersIn(folder).size === 0);
      await store.close();
    }
    expect(hlcs).toHaveLength(12);
    expect(hlcs).toEqual([...new Set(hlcs)].sort((a, b) => a - b));
  });

  test('imported data is unchanged, and clocks continue above it in every room', async () => {
    const source = await open(newFolder());
    await add(source, 'den', null, draft('opens'));
    await joinAs(source, 'n1');
    const chunk = await source.exportChunk('den', null);
    const folder = newFolder();
    const store = await open(folder, { clock: () => 1_000_000 });
    await store.importChunk(chunk!);
    const before = await pictureOf(store);
    expect(before.expired).toEqual([{ room: 'den', key: 'lease/n1' }]);
    await store.close();

    const again = await open(folder, { clock: () => 1_000_000 });
    expect(await pictureOf(again)).toEqual(before);
    await add(again, 'attic', null, draft('later'));
    const [received] = (await again.readPage('attic', { limit: 1 })).entries;
    expect(received?.hlc).toBeGreaterThan(Number(before.page.entries.at(-1)?.hlc));
    expect(again.durability).toBe('fsync');
  });

  test('a log with a new epoch keeps that epoch', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const { epoch } = await add(store, 'den', null, draft('one'));
    const forked = await store.startNewEpoch('den', epoch);
    expect(forked).not.toBe(epoch);
    await store.close();
    expect(await epochOf(await open(folder))).toBe(forked);
  });
});

async function joinAs(store: Store, node: string): Promise<void> {
  await add(
    store,
    'den',
    await epochOf(store),
    draft('joins', { keyUpdates: [[`lease/${node}`, node]], lease: { key: `lease/${node}`, node } }),
  );
}

async function pictureOf(store: Store) {
  return {
    rooms: await store.listRooms({ limit: 10 }),
    page: await store.readPage('den', { limit: 100 }),
    listed: await store.readPage('den', { limit: 100, listed: true }),
    facts: await store.read('den', { keys: ['member/aya', 'settings'], seqs: [1, 2, 3], counts: [''] }),
    tickets: await store.listTickets('aya', 10),
    leases: await store.listKeys('den', 'lease', { limit: 10 }),
    secret: await store.secret(),
    recalled: await store.findByIdempotencyKey('den', 'aya:1'),
    expired: await store.listExpiredLeases(10),
  };
}

describe('concurrent appends', () => {
  test('queued appends share transactions', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const { epoch } = await add(store, 'den', null, draft('opens'));
    await cameToRest(folder);
    await Promise.all(times(1_000, (index) => add(store, 'den', epoch, draft(String(index)))));
    expect(await textsOf(store)).toHaveLength(1_001);
    expect(commitsIn(folder)).toBeGreaterThan(0);
    expect(commitsIn(folder)).toBeLessThan(20);
  });

  test('appends beyond the queue limit are refused as busy, and the others are answered', async () => {
    const store = await open(newFolder());
    const asked = times(51_000, () => store.append('den', { epoch: 'no such epoch', expectedVersions: [], drafts: [draft('refused')] }));
    const answers = await Promise.allSettled(asked);
    const busy = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    expect([busy.length > 0, busy.length <= 1_000]).toEqual([true, true]);
    expect(busy.every((error) => error instanceof StoreError && error.reason === 'busy')).toBe(true);
    await add(store, 'den', null, draft('goes on'));
  });

  test('more rooms than the writer caches stay correct', async () => {
    const store = await open(newFolder());
    const rooms = times(10_500, (index) => String(index).padStart(5, '0'));
    const opened = await Promise.all(rooms.map((room) => add(store, room, null, draft('one'))));
    await Promise.all(rooms.map((room, index) => add(store, room, String(opened[index]?.epoch), draft('two'), draft('three'))));
    const found = await store.listRooms({ limit: 20_000 });
    expect(found.rooms.map(({ room, head }) => [room, head])).toEqual(rooms.map((room) => [room, 3]));
    const last = await store.readPage('00000', { limit: 1 });
    expect(last.entries[0]?.prev).toBe((await store.read('00000', { seqs: [2] })).entries.get(2)?.id);
  });

  test('an append that is larger than a batch is stored', async () => {
    const store = await open(newFolder());
    const text = 'x'.repeat(9 * 1024 * 1024);
    const { epoch } = await add(store, 'den', null, draft('opens'));
    await Promise.all([draft('before'), draft(text), draft('behind')].map((each) => add(store, 'den', epoch, each)));
    expect((await textsOf(store)).map((each) => each?.length)).toEqual(['opens', 'before', text, 'behind'].map(({ length }) => length));
  });

  test('an append that fails does not fail the others of its batch', async () => {
    const store = await open(newFolder());
    const { epoch } = await add(store, 'den', null, draft('opens'));
    const nameless = { ...draft('has no id'), id: undefined } as unknown as Draft;
    const all = [draft('before'), nameless, draft('behind')].map((each) =>
      store.append('den', { epoch, expectedVersions: [], drafts: [draft('first'), each] }),
    );
    const [before, refused, behind] = await Promise.allSettled(all);
    expect([before?.status, behind?.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(refused).toMatchObject({ status: 'rejected', reason: { name: 'StoreError', reason: 'failed' } });
    expect(await textsOf(store)).toEqual(['opens', 'first', 'before', 'first', 'behind']);
  });
});

/** Transactions in the write-ahead log: frames that end one say how large the database is then (sqlite.org/fileformat2.html#walformat). */
function commitsIn(folder: string): number {
  const log = readFileSync(join(folder, 'engawa.db-wal'));
  const frame = 24 + 4_096;
  return times(Math.floor(Math.max(log.length - 32, 0) / frame), (index) => log.readUInt32BE(32 + index * frame + 4)).filter(
    (size) => size > 0,
  ).length;
}

/** Once a new store has emptied its log, it only does so after something was erased. */
const cameToRest = (folder: string): Promise<void> => until(() => commitsIn(folder) === 0);

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'engawa-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function open(folder: string, options: { clock?: () => number } = {}): Promise<Store> {
  const store = await openEmbedded({ folder, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** Mounted until the end of the test, even if it is still open then. */
function mount(folder: string, options: string[]): string {
  execFileSync('mount', [...options, folder]);
  onTestFinished(() => void execFileSync('umount', ['--lazy', folder]));
  return folder;
}

function draft(text: string, more: Partial<Draft> = {}): Draft {
  return { id: randomUUID(), by: 'aya', author: 'user:aya', kind: 'chat', body: { text }, ...more };
}

async function add(store: Store, room: string, epoch: string | null, ...drafts: Draft[]): Promise<AppendReceipt> {
  const appended: AppendResult = await store.append(room, { epoch, expectedVersions: [], drafts });
  expect(appended.outcome).toBe('appended');
  return appended as AppendReceipt;
}

/** Opens, writes a room, and closes. */
async function write(folder: string, room: string, ...drafts: Draft[]): Promise<void> {
  const store = await openEmbedded({ folder });
  await add(store, room, null, ...drafts);
  await store.close();
}

const trim = async (store: Store, room: string, below: number): Promise<void> =>
  store.trim(room, { epoch: String(await epochOf(store, room)), below });

const epochOf = async (store: Store, room = 'den'): Promise<string | null> => (await store.read(room, {})).epoch;

/** The whole log of the room `den`, which must have no gap. */
async function entriesOf(store: Store) {
  const entries = [];
  for (
    let page = await store.readPage('den', { after: 0, limit: 10_000 });
    ;
    page = await store.readPage('den', { after: entries.length, limit: 10_000 })
  ) {
    entries.push(...page.entries);
    if (page.hasMore) continue;
    expect(entries.map(({ seq }) => seq)).toEqual(times(entries.length, (index) => index + 1));
    expect(page.head).toBe(entries.length);
    return entries;
  }
}

const textsOf = async (store: Store): Promise<(string | undefined)[]> =>
  (await entriesOf(store)).map(({ body }) => body?.text as string | undefined);

async function isRefused(folder: string, reason: StoreError['reason'], message: RegExp): Promise<void> {
  const opened = openEmbedded({ folder });
  await expect(opened).rejects.toMatchObject({ name: 'StoreError', reason, message: expect.stringMatching(message) as string });
  await expect(opened).rejects.toBeInstanceOf(StoreError);
}

async function isRefusedUnchanged(folder: string, message: RegExp): Promise<void> {
  const before = dataOf(folder);
  await isRefused(folder, 'failed', message);
  expect(dataOf(folder)).toEqual(before);
}

const filesOf = (folder: string): Map<string, Buffer> =>
  new Map(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))]));
/** The content of the files, without the lock file and the shared-memory file. */
function dataOf(folder: string): Map<string, string> {
  const data = [...filesOf(folder)].filter(([file]) => !/lock|-shm$/.test(file));
  return new Map(data.map(([file, bytes]) => [file, createHash('sha256').update(bytes).digest('hex')]));
}
const databaseOf = (folder: string): string | undefined => dataOf(folder).get('engawa.db');
const bytesOf = (folder: string): Buffer => Buffer.concat([...filesOf(folder).values()]);
const markersIn = (folder: string): Set<string> =>
  new Set(
    bytesOf(folder)
      .toString('latin1')
      .match(/marker\d{5}\./g),
  );

/** Writes to the database like another program. */
function alter(folder: string, sql: string): void {
  const database = openDatabase(join(folder, 'engawa.db'));
  database.exec(sql);
  database.close();
}

function formatOf(folder: string): number {
  const database = openDatabase(join(folder, 'engawa.db'));
  const { user_version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  database.close();
  return user_version;
}

function startProcess(folder: string, task: 'hold' | 'write' | 'fail' | 'erase' | 'trim', through: string[] = []) {
  const script = fileURLToPath(new URL('helpers/store-process.js', import.meta.url));
  const [command, ...given] = [...through, process.execPath, script, folder, task];
  const child = spawn(command, given, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const next = await lines.next();
  expect(next.done, 'the process ended').not.toBe(true);
  return String(next.value);
}

/** The output of the process until it ended. */
async function* remaining(lines: AsyncIterator<string>): AsyncGenerator<[line: string]> {
  for (let next = await lines.next(); !next.done; next = await lines.next()) yield [next.value];
}

const times = <Result>(count: number, make: (index: number) => Result): Result[] =>
  Array.from({ length: count }, (_, index) => make(index));

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { timeout: 20_000 }).toBe(true);
}
