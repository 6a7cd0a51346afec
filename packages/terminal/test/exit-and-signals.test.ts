// Tests of all ways to end and start the client: the terminal is restored and messages are readable.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTempFolder, startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { ENGAWA, joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import { emptyWorkingFolder } from './helpers/current-folder.ts';
import { openPty, type Pty } from './helpers/pty.ts';

const AS_IT_WAS = { alternateScreen: false, bracketedPaste: false, mouse: false, focus: false, wraps: true, cursorVisible: true };
const STACK = /^\s+at .*:\d+|node:internal/m;

interface Shell extends Pty {
  /** PID of the client. */
  client: () => number;
  /** Resolves with the screen once the client has ended with this code and the terminal modes are restored. */
  isLeft: (code: number) => Promise<string>;
}

/** Runs the client in a shell that prints its exit code and the terminal modes before and after. */
async function inShell(url: string, { as = 'aya', env = {} }: { as?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Shell> {
  const pid = join(createTempFolder(), 'pid');
  const client = `sh -c 'echo $$ >"$PID"; exec "$NODE" "$ENGAWA" chat veranda --as "$NAME" --server ${url}'`;
  const command = `stty -a | md5sum; ${client}; echo "ended: $?"; stty -a | md5sum; read rest`;
  const shell = openPty('/bin/sh', ['-c', command], {
    columns: 100,
    rows: 28,
    env: { NODE: process.execPath, ENGAWA, NAME: as, PID: pid, HOME: createTempFolder(), ...env },
  });
  await shell.waitForText('● connected');
  await shell.waitForText('here');
  expect(shell.modes()).toMatchObject({ alternateScreen: true, bracketedPaste: true, mouse: true, focus: true });
  return Object.assign(shell, {
    client: () => Number(readFileSync(pid, 'utf8')),
    async isLeft(code: number) {
      await shell.waitForText(/ended: \d+\s+[0-9a-f]{32}/);
      const text = shell.screen().join('\n');
      const settings = text.match(/^[0-9a-f]{32}/gm) ?? [];
      expect(text).toContain(`ended: ${code}`);
      expect(settings).toEqual([settings[0], settings[0]]);
      expect(shell.modes()).toEqual(AS_IT_WAS);
      return text;
    },
  });
}

interface Ended {
  code: number | null;
  said: string;
  complained: string;
}

/** Runs the client without a terminal. */
async function inPipe(args: string[], { env = {}, input = '' }: { env?: NodeJS.ProcessEnv; input?: string } = {}): Promise<Ended> {
  const child = spawn(process.execPath, [ENGAWA, 'chat', ...args], {
    env: { PATH: process.env.PATH, HOME: createTempFolder(), ...env },
    cwd: emptyWorkingFolder(),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended: Ended = { code: null, said: '', complained: '' };
  child.stdout.on('data', (text: Buffer) => (ended.said += String(text)));
  child.stderr.on('data', (text: Buffer) => (ended.complained += String(text)));
  child.stdin.end(input);
  [ended.code] = (await withTimeout(once(child, 'close'), 'the end')) as [number | null];
  return ended;
}

test('Ctrl+C twice, Ctrl+D and /quit end with exit code 0, and Ctrl+C once only clears the input', async () => {
  const { url } = await startServer();
  const byC = await inShell(url, { as: 'cleo' });
  byC.type('a line');
  await byC.waitForText('› a line');
  byC.press('ctrl+c');
  await byC.waitForNoText('a line');
  byC.press('ctrl+c');
  await byC.waitForText('Press Ctrl+C again');
  byC.press('ctrl+c');
  expect(await byC.isLeft(0)).not.toContain('veranda');
  const byD = await inShell(url, { as: 'dan' });
  byD.type('x');
  byD.press('ctrl+d');
  await byD.waitForText('› x');
  byD.press('backspace', 'ctrl+d');
  await byD.isLeft(0);
  const byWord = await inShell(url, { as: 'wes' });
  typeLine(byWord, '/quit');
  await byWord.isLeft(0);
});

test('SIGTERM, SIGINT and SIGHUP end the client cleanly, even with unsent input', async () => {
  const { url } = await startServer();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const shell = await inShell(url, { as: signal });
    shell.type('half a line');
    await shell.waitForText('› half a line');
    process.kill(shell.client(), signal);
    expect(await shell.isLeft(0)).not.toMatch(STACK);
  }
});

test('an internal error ends with exit code 1 and is printed on the restored terminal', async () => {
  const { url } = await startServer();
  const dying = 'process.on("SIGUSR2", () => setImmediate(() => { throw new Error("a fault inside") }))';
  const shell = await inShell(url, { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(dying)}` } });
  process.kill(shell.client(), 'SIGUSR2');
  expect(await shell.isLeft(1)).toContain('a fault inside');
});

test('closing the window ends the client, and the next run sends the pending chats', async () => {
  const { url, stop, store } = await startServer();
  const env = { HOME: createTempFolder() };
  const aya = openChat(url, { env });
  await aya.waitForText('1 here');
  await stop();
  await aya.waitForText('reconnecting');
  typeLine(aya, 'typed before the window was closed');
  await aya.waitForText('1 waiting to send');
  const { pid } = aya;
  aya.kill();
  await until(() => !isThere(pid), 'the program is gone');
  await startServer({ store, port: Number(new URL(url).port) });
  const again = openChat(url, { env });
  await again.waitForText(/typed before the window was closed$/m, 20_000);
});

test('a broken pipe ends the client silently', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  const child = spawn(
    '/bin/sh',
    ['-c', `sleep 20 | "$0" "$1" chat veranda --as aya --server ${url} | head -n 1`, process.execPath, ENGAWA],
    {
      env: { PATH: process.env.PATH, HOME: createTempFolder() },
      cwd: emptyWorkingFolder(),
      detached: true,
    },
  );
  onTestFinished(() => void process.kill(-(child.pid ?? 0), 'SIGKILL'));
  let [said, complained] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (said += String(text)));
  child.stderr.on('data', (text: Buffer) => (complained += String(text)));
  await until(() => said.includes('veranda'), 'it is there');
  await until(async () => {
    await sendChat(ben, 'is anyone there?');
    const page = await ben.listMembers();
    return page.ok && page.members.every(({ username, presence }) => username !== 'aya' || presence !== 'online');
  }, 'it has left');
  expect(complained).toBe('');
});

test.each(['a file', 'nothing', 'a folder that takes nothing'])(
  'with %s as HOME the client runs and warns that nothing is stored',
  async (home) => {
    const { url } = await startServer();
    const file = join(createTempFolder(), 'file');
    writeFileSync(file, 'not a folder');
    const HOME = { 'a file': file, nothing: join(createTempFolder(), 'nothing'), 'a folder that takes nothing': '/sys' }[home];
    const aya = openChat(url, { env: { HOME } });
    await aya.waitForText('What you type is stored in memory only');
    await aya.waitForText('1 here');
    typeLine(aya, 'said without a home');
    await aya.waitForText(/│ said without a home$/m);
    typeLine(aya, '/quit');
    expect(await aya.exited).toMatchObject({ code: 0 });
    const piped = await inPipe(['veranda', '--as', 'pip', '--server', url], { env: { HOME }, input: 'by pipe\n' });
    expect(piped).toMatchObject({ code: 0 });
    expect(piped.said).toContain('pip: by pipe');
    expect(piped.complained).toMatch(/^engawa: nothing is stored[^\n]+\n$/);
  },
);

test('without a terminal line mode is used: no escape sequences, and a room argument is required', async () => {
  const { url } = await startServer();
  const plain = await inPipe(['veranda', '--as', 'aya', '--server', url], { env: { TERM: 'xterm-256color' }, input: 'hello\n/who\n' });
  expect(plain).toMatchObject({ code: 0, complained: '' });
  expect(plain.said).toMatch(/^\* veranda — 1 here.*\n(\d\d:\d\d aya: hello\n|\* 1 here: aya\n){2}$/);
  const roomless = await inPipe(['--as', 'aya', '--server', url]);
  expect(roomless).toMatchObject({ code: 2, said: '' });
  expect(roomless.complained).toContain('Say which room: engawa chat ROOM');
  expect(roomless.complained).not.toMatch(STACK);
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
