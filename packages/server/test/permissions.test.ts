/** Only the owner may access the data directory and its files: modes of real files, created by a server process with its own umask. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openEmbedded } from '@engawa/server';
import { describe, expect, onTestFinished, test } from 'vitest';

const OTHER_USER = 65_534;

const PRIVATE = {
  folder: '700',
  'engawa.db': '600',
  'engawa.db-wal': '600',
  'engawa.db-shm': '600',
  'engawa.lock': '600',
  'engawa.lock-journal': '600',
};

describe.each(['022', '000'])('with umask %s', (umask) => {
  test('a directory that the server creates, and every file in it, is closed to other users', async () => {
    const folder = join(newFolder(), 'a', 'data');
    await run(folder, { task: 'hold', umask });
    expect(modesIn(folder)).toEqual(PRIVATE);
    expect(modeOf(join(folder, '..'))).toBe('700');
  });

  test('an empty directory that exists is closed, too', async () => {
    const folder = newFolder();
    chmodSync(folder, 0o777);
    await run(folder, { task: 'hold', umask });
    expect(modesIn(folder)).toEqual(PRIVATE);
  });

  test('the files that a server leaves when it stops are closed', async () => {
    const folder = newFolder();
    await run(folder, { task: 'fill', umask });
    const { folder: mode, ...files } = modesIn(folder);
    expect(mode).toBe('700');
    expect(files).toHaveProperty(['engawa.witness']);
    expect(new Set(Object.values(files))).toEqual(new Set(['600']));
  });
});

describe('a directory of an earlier build', () => {
  test('is closed with its files when it is opened, also after a crash that left the write-ahead log', async () => {
    const folder = newFolder();
    await run(folder, { task: 'fill', umask: '022' });
    await run(folder, { task: 'hold', umask: '022' });
    openToAll(folder);
    await run(folder, { task: 'hold', umask: '022' });
    expect(modesIn(folder)).toEqual({ ...PRIVATE, 'engawa.witness': '600' });
  });

  test('keeps its own mode when it has files of others; the server’s own files are closed', async () => {
    const folder = newFolder();
    await run(folder, { task: 'hold', umask: '022' });
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    openToAll(folder);
    await run(folder, { task: 'hold', umask: '022' });
    expect(modesIn(folder)).toEqual({ ...PRIVATE, folder: '755', 'notes.txt': '644' });
  });

  test('is closed when it is a mounted disk, which has a directory of its own', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'lost+found'));
    openToAll(folder);
    await run(folder, { task: 'hold', umask: '022' });
    expect(modeOf(folder)).toBe('700');
  });

  test('is used when its modes cannot be changed, and the operator is warned', async () => {
    const folder = newFolder();
    await run(folder, { task: 'fill', umask: '022' });
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o666);
    chmodSync(folder, 0o777);
    expect(warningsOfOtherUser(folder)).toContain('Other users of this machine can read');
    for (const name of readdirSync(folder)) chownSync(join(folder, name), OTHER_USER, OTHER_USER);
    chownSync(folder, OTHER_USER, OTHER_USER);
    expect(warningsOfOtherUser(folder)).toBe('');
  });
});

test('a directory that all users share keeps its mode, though it is empty', async () => {
  const folder = newFolder();
  chmodSync(folder, 0o1777);
  await (await openEmbedded({ folder })).close();
  expect(modeOf(folder)).toBe('1777');
  expect(modeOf(join(folder, 'engawa.db'))).toBe('600');
});

test('a directory that is refused keeps every mode', async () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'engawa.db'), 'mine');
  openToAll(folder);
  await expect(openEmbedded({ folder })).rejects.toMatchObject({ reason: 'failed' });
  expect(modesIn(folder)).toMatchObject({ folder: '755', 'engawa.db': '644' });
});

/** Runs a process that opens the store under this umask, until it has reported its task; then it is killed. */
async function run(folder: string, { task, umask }: { task: 'hold' | 'fill'; umask: string }): Promise<void> {
  const script = fileURLToPath(new URL('helpers/store-process.js', import.meta.url));
  const command = `umask ${umask}; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', command, process.execPath, script, folder, task], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  expect(line).toBe(task === 'hold' ? 'open' : 'filled');
  child.kill('SIGKILL');
  await ended;
}

/** What a command that opens the store prints to a user who owns no file of the directory. */
function warningsOfOtherUser(folder: string): string {
  const program = fileURLToPath(new URL('../../engawa/bin/engawa.js', import.meta.url));
  const args = [program, 'move', '--from', folder, '--to', join(folder, 'other'), '--dry-run'];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: tmpdir(), uid: OTHER_USER, gid: OTHER_USER, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stderr;
}

/** As an earlier build left it under umask 022. */
function openToAll(folder: string): void {
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644);
  chmodSync(folder, 0o755);
}

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

const modesIn = (folder: string): Record<string, string> => ({
  folder: modeOf(folder),
  ...Object.fromEntries(readdirSync(folder).map((name) => [name, modeOf(join(folder, name))])),
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'engawa-modes-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
