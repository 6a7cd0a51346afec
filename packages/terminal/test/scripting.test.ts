// Tests of the scripting commands as processes with real pipes and a real server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { startEngawaServer } from '@engawa/testkit/processes/engawa-command';
import {
  collectEvents,
  connect,
  createTempFolder,
  requestOk,
  sendRequest,
  startServer,
  until,
  withTimeout,
} from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { emptyWorkingFolder } from './helpers/current-folder.ts';
import { ENGAWA as ENGAWA_JS, messageTexts, newHome, outputLines, runEngawa, withoutTimes } from './helpers/scripting.ts';

type Socket = Awaited<ReturnType<typeof connect>>;

const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => `line ${from + at}`);

/** A member that opens the room and stays. */
async function owner(url: string, roomId = 'ops'): Promise<Socket> {
  const socket = await connect(url);
  await requestOk(socket, 'create:room', { roomId, username: 'owner' });
  return socket;
}

const say = (socket: Socket, message: string) => requestOk(socket, 'create:chat', { roomId: 'ops', username: 'owner', message });

async function sayAll(socket: Socket, texts: string[]): Promise<void> {
  for (let at = 0; at < texts.length; at += 100) await Promise.all(texts.slice(at, at + 100).map((text) => say(socket, text)));
}

/** All stored chats of the room. */
async function stored(socket: Socket, username = 'owner'): Promise<(string | null)[]> {
  const all: (string | null)[] = [];
  await sendRequest(socket, 'add:member', { roomId: 'ops', username });
  for (let after = 1, isMore = true; isMore; ) {
    const { chats, hasMore } = await requestOk(socket, 'list:chats', { roomId: 'ops', after, limit: 500 });
    all.push(...chats.map(({ message }) => message));
    after = chats.at(-1)?.seq ?? after;
    isMore = hasMore.after && chats.length > 0;
  }
  return all;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await until(() => server.listening, 'a free port');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server process that can be killed and restarted on the same folder. */
async function killable() {
  const folder = createTempFolder();
  const port = await freePort();
  const start = () => startEngawaServer(folder, '--port', String(port), '--rate-limits', 'off');
  let running = await start();
  return {
    url: `http://127.0.0.1:${port}/`,
    async kill() {
      running.child.kill('SIGKILL');
      await running.exit();
    },
    async start() {
      running = await start();
    },
  };
}

test('ten thousand lines of a pipe are stored in order, none twice', { timeout: 120_000 }, async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const lines = numbered(10_000);
  const run = runEngawa(['send', 'ops', '--server', url], { input: `${lines.join('\n')}\n` });
  expect(await run.waitForExit(100_000)).toBe(0);
  expect({ stdout: run.lines(), stderr: run.stderr() }).toEqual({ stdout: [], stderr: '' });
  expect(await stored(socket)).toEqual(lines);
});

test('while a server is killed and restarted, send loses no line, and tail prints each once and in order', async () => {
  const server = await killable();
  await say(await owner(server.url), 'first');
  const tail = runEngawa(['tail', 'ops', '--as', 'reader', '--server', server.url, '--json']);
  await tail.waitForLines(1);
  const send = runEngawa(['send', 'ops', '--server', server.url], { input: null });
  const lines = numbered(1_500);
  send.process.stdin.end(`${lines.join('\n')}\n`);
  for (const count of [100, 600]) {
    await tail.waitForLines(count);
    await server.kill();
    expect(tail.lines().length).toBeLessThan(1_501);
    await server.start();
  }
  expect(await send.waitForExit()).toBe(0);
  await tail.waitForLines(1_501);
  const read = runEngawa(['read', 'ops', '--server', server.url, '--json']);
  expect(messageTexts(await outputLines(read))).toEqual(['first', ...lines]);
  expect(messageTexts(tail.lines())).toEqual(['first', ...lines]);
});

test('send reports the rate limit once, and the remaining time if the number of lines is known', async () => {
  const { url } = await startServer({ chatRate: 4 });
  const socket = await owner(url);
  const few = runEngawa(['send', 'ops', '--server', url], { input: numbered(100).join('\n') });
  expect(await few.waitForExit()).toBe(0);
  expect(few.stderr()).toMatch(/^engawa: the server takes 4 chats a second from you(; \d+ lines? to go, about \d s)?\n$/);
  expect((await stored(socket)).length).toBe(100);
  const folder = createTempFolder();
  writeFileSync(join(folder, 'lines'), `${numbered(10_000).join('\n')}\n`);
  const ofFile = (name: string, ...options: string[]) =>
    runEngawa(['send', 'ops', '--as', name, '--server', url, ...options], {
      stdin: openSync(join(folder, 'lines'), 'r'),
    });
  const many = ofFile('ben');
  await many.waitForStderr('to go');
  expect(many.stderr()).toMatch(/^engawa: the server takes 4 chats a second from you; 9,9\d\d lines to go, about 41 min\n$/);
  many.process.kill('SIGKILL');
  const quiet = ofFile('cho', '--quiet');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(quiet.stderr()).toBe('');
});

test('send waits for a server that has not started', async () => {
  const { url, store, stop } = await startServer();
  await owner(url);
  await stop();
  const send = runEngawa(['send', 'ops', 'early', 'bird', '--server', url]);
  await send.waitForStderr(`no connection to ${url}/; trying again`);
  await startServer({ store, port: Number(new URL(url).port) });
  expect(await send.waitForExit()).toBe(0);
});

test('a cursor continues where the output was consumed, over several runs', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const env = newHome();
  const read = () => runEngawa(['read', 'ops', '--server', url, '--since', 'mark', '--json'], { env });
  await sayAll(socket, numbered(1_200));
  expect(messageTexts(await outputLines(read()))).toEqual(numbered(1_200));
  expect(await outputLines(read())).toEqual([]);
  await sayAll(socket, numbered(3, 1_200));
  expect(messageTexts(await outputLines(read()))).toEqual(numbered(3, 1_200));
  const tail = runEngawa(['tail', 'ops', '--server', url, '--since', 'mark', '--json'], { env });
  await until(() => existsSync(join(String(env.HOME), '.local')), 'state');
  await sayAll(socket, numbered(2, 1_203));
  await tail.waitForLines(2);
  tail.process.kill('SIGINT');
  expect(await tail.waitForExit()).toBe('SIGINT');
  expect(messageTexts(tail.lines())).toEqual(numbered(2, 1_203));
  expect(await outputLines(read())).toEqual([]);
});

test('a run that is killed with a slow reader loses nothing: the next run repeats some lines and misses none', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const mark = join(createTempFolder(), 'mark.json');
  const texts = Array.from({ length: 1_500 }, (_, at) => `${at} ${'x'.repeat(500)}`);
  await sayAll(socket, texts);
  const args = ['read', 'ops', '--server', url, '--mark', mark, '--json'];
  const env = newHome();
  const first = runEngawa(args, { env });
  await first.waitForLines(50);
  first.process.stdout.pause();
  await until(() => existsSync(mark), 'a mark');
  first.process.kill('SIGKILL');
  await first.waitForExit();
  const second = runEngawa(args, { env });
  const had = messageTexts(first.lines());
  const then = messageTexts(await outputLines(second));
  expect(had).toEqual(texts.slice(0, had.length));
  expect(then).toEqual(texts.slice(texts.length - then.length));
  expect(had.length + then.length).toBeGreaterThanOrEqual(texts.length);
});

test('a cursor of another room, or a file that is no cursor, is refused and left unchanged', async () => {
  const { url } = await startServer();
  const socket = await owner(url);
  await say(socket, 'hello');
  await requestOk(socket, 'create:room', { roomId: 'other', username: 'owner' });
  const mark = join(createTempFolder(), 'mark.json');
  await outputLines(runEngawa(['read', 'ops', '--server', url, '--mark', mark]));
  const text = readFileSync(mark, 'utf8');
  const wrong = runEngawa(['read', 'other', '--server', url, '--mark', mark]);
  expect(await wrong.waitForExit()).toBe(1);
  expect(wrong.stderr()).toContain(`is the mark of another room: ops on ${url}/`);
  expect(readFileSync(mark, 'utf8')).toBe(text);
  writeFileSync(mark, 'my notes', { mode: 0o600 });
  const none = runEngawa(['read', 'ops', '--server', url, '--mark', mark]);
  expect(await none.waitForExit()).toBe(1);
  expect(readFileSync(mark, 'utf8')).toBe('my notes');
  const device = runEngawa(['read', 'ops', '--server', url, '--mark', '/dev/zero']);
  expect(await device.waitForExit()).toBe(1);
  expect(device.stderr()).toBe('engawa: the mark cannot be read: /dev/zero is no file\n');
  const unwritable = runEngawa(['read', 'ops', '--server', url, '--mark', '/dev/null/mark']);
  expect(await unwritable.waitForExit()).toBe(1);
  expect(unwritable.stderr()).toMatch(/^engawa: the mark cannot be (read|written): [^\n]+\n$/);
});

test('with a slow reader tail requests no more than it can buffer, and delivers all later, once and in order', {
  timeout: 120_000,
}, async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await say(socket, 'begin');
  const tail = runEngawa(['tail', 'ops', '--as', 'reader', '--server', url, '--json']);
  await tail.waitForLines(1);
  tail.process.stdout.pause();
  const texts = Array.from({ length: 2_500 }, (_, at) => `${at} ${'x'.repeat(3_900)}`);
  for (const text of texts) await say(socket, text);
  // Longer than the poll interval of a second.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const status = readFileSync(`/proc/${tail.process.pid}/status`, 'utf8');
  expect(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1])).toBeLessThan(200 * 1024);
  tail.process.stdout.resume();
  await tail.waitForLines(2_501);
  expect(messageTexts(tail.lines())).toEqual(['begin', ...texts]);
});

test('Ctrl-C ends tail at once, even if its reader takes nothing', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await sayAll(
    socket,
    numbered(1_000).map((text) => text.padEnd(2_000)),
  );
  const read = runEngawa(['read', 'ops', '--server', url]);
  await read.waitForLines(1);
  read.process.stdout.pause();
  await new Promise((resolve) => setTimeout(resolve, 300));
  read.process.kill('SIGINT');
  await until(() => read.process.signalCode === 'SIGINT', 'the end');
  expect(read.lines().length).toBeLessThan(1_000);
});

test('tail starts with the newest chats, and with --all prints every kind of entry', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await sayAll(socket, numbered(30));
  const few = runEngawa(['tail', 'ops', '--as', 'few', '--server', url, '-n', '2']);
  await few.waitForLines(2);
  const all = runEngawa(['tail', 'ops', '--as', 'all', '--server', url, '-n', '1', '--all']);
  await all.waitForLines(1);
  const { seq } = await say(socket, 'new');
  await few.waitForLines(3);
  const says = (text: string) => until(() => all.lines().at(-1)?.endsWith(text) === true, `it says ${text}`);
  await says('owner: new');
  const about = { roomId: 'ops', username: 'owner', chatSeq: seq };
  await requestOk(socket, 'update:chat', { ...about, message: 'newer' });
  // Deleting the chat also erases the text of its edits.
  await says('newer');
  await requestOk(socket, 'add:reaction', { ...about, reaction: '👍' });
  await requestOk(socket, 'delete:chat', about);
  await says(`deleted ${seq}`);
  expect(withoutTimes(few.lines())).toEqual(['owner: line 28', 'owner: line 29', 'owner: new']);
  expect(withoutTimes(all.lines()).slice(-4)).toEqual([
    'owner: new',
    `* owner edited ${seq}: newer`,
    `* owner reacted to ${seq}: 👍`,
    `* owner deleted ${seq}`,
  ]);
});

test('read starts at a seq, a time, an age or the newest chats', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await sayAll(socket, numbered(5));
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const { seq, at = 0 } = await say(socket, 'late');
  await say(socket, 'last');
  const read = async (...args: string[]) => withoutTimes(await outputLines(runEngawa(['read', 'ops', '--server', url, ...args])));
  expect(await read()).toHaveLength(7);
  expect(await read('--since', String(seq))).toEqual(['owner: last']);
  expect(await read('--since', new Date(at).toISOString())).toEqual(['owner: late', 'owner: last']);
  expect(await read('--since', new Date(at).toISOString(), '--limit', '1')).toEqual(['owner: late']);
  expect(await read('--since', '1h')).toHaveLength(7);
  expect(await read('--limit', '2')).toEqual(['owner: late', 'owner: last']);
  expect(await read('--limit', '0')).toEqual([]);
  expect(await read('--since', '2099-01-01')).toEqual([]);
});

test('read, tail and wait quote the target of a reply, even if it is old, edited or deleted', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const about = { roomId: 'ops', username: 'owner' };
  const answer = (message: string, replyTo: number) => requestOk(socket, 'create:chat', { ...about, message, replyTo });
  const { seq: first } = await say(socket, 'Who is on call?');
  await sayAll(socket, numbered(600));
  const { seq: edited } = await say(socket, 'at non');
  const tail = runEngawa(['tail', 'ops', '--as', 'reader', '--server', url, '-n', '1']);
  await tail.waitForLines(1);
  await answer('I am.', first);
  await requestOk(socket, 'update:chat', { ...about, chatSeq: edited, message: 'at noon' });
  await answer('good', edited);
  const { seq: gone } = await say(socket, 'oops');
  await requestOk(socket, 'delete:chat', { ...about, chatSeq: gone });
  await answer('what?', gone);
  await tail.waitForLines(5);
  const replies = ['owner (to owner, “Who is on call?”): I am.', 'owner (to owner, “at noon”): good', 'owner (to owner, deleted): what?'];
  const isReply = (line: string) => line.includes('(to ');
  expect(withoutTimes(tail.lines()).filter(isReply)).toEqual(replies);
  const read = await outputLines(runEngawa(['read', 'ops', '--server', url, '--limit', '5']));
  expect(withoutTimes(read).filter(isReply)).toEqual(replies);
  const json = await outputLines(runEngawa(['read', 'ops', '--server', url, '--limit', '5', '--json']));
  expect(json.map((line) => (JSON.parse(line) as { replyToChat?: unknown }).replyToChat)).toEqual([
    undefined,
    { seq: first, username: 'owner', message: 'Who is on call?' },
    { seq: edited, username: 'owner', message: 'at noon' },
    undefined,
    { seq: gone, username: 'owner', message: null },
  ]);
  const wait = runEngawa(['wait', 'ops', '--server', url, '--match', 'I am', '--since', '1h']);
  expect(withoutTimes(await outputLines(wait))).toEqual([replies[0]]);
});

test('an age refers to the clock of the server, even if the local clock is wrong', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  await say(await owner(url), 'just now');
  for (const hours of [-3, 3]) {
    const shift = `const { now } = Date; Date.now = () => now() + ${hours * 3_600_000};`;
    const env = { ...newHome(), NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(shift)}"` };
    expect(withoutTimes(await outputLines(runEngawa(['read', 'ops', '--server', url, '--since', '1h'], { env })))).toEqual([
      'owner: just now',
    ]);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await outputLines(runEngawa(['read', 'ops', '--server', url, '--since', '10ms'], { env }))).toEqual([]);
  }
});

test('a command whose reader is gone ends like any tool in a pipe', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await sayAll(socket, numbered(2_000));
  for (const command of ['read', 'tail']) {
    const run = runEngawa([command, 'ops', '--server', url, '--since', '1']);
    run.process.stdout.once('data', () => run.process.stdout.destroy());
    if (command === 'tail') {
      await until(() => run.process.stdout.destroyed, 'it is closed');
      await say(socket, 'one more');
    }
    expect(await run.waitForExit()).toBe(141);
    expect(run.stderr()).toBe('');
  }
});

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // All processes have ended.
  }
}

test('in a quiet room tail and line mode end when the reader of their pipe is gone, and not before', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await sayAll(socket, numbered(10));
  const piped = (command: string) => {
    // Its own process group, so that the whole pipeline can be ended.
    const child = spawn('sh', ['-c', command], {
      env: newHome(),
      cwd: emptyWorkingFolder(),
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    });
    onTestFinished(() => endGroup(child.pid));
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return { child, text: () => text, closed: once(child, 'close') };
  };
  const ENGAWA = `"${process.execPath}" "${ENGAWA_JS}"`;
  const head = piped(`{ { ${ENGAWA} tail ops --server ${url}; echo $? >&3; } | head -3; } 3>&1`);
  await withTimeout(head.closed, 'the end of tail | head');
  expect(withoutTimes(head.text().trimEnd().split('\n').sort())).toEqual(['141', 'owner: line 0', 'owner: line 1', 'owner: line 2']);
  const chat = piped(`${ENGAWA} chat ops --as ben --server ${url} | head -3`);
  await withTimeout(chat.closed, 'the end of chat | head');
  const patient = piped(`${ENGAWA} tail ops --as noa --server ${url} | cat`);
  await until(() => patient.text().includes('line 9'), 'the last one');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await say(socket, 'one more');
  await until(() => patient.text().includes('one more'), 'it still reads');
});

test('wait ends with the matching chat, or reports that it did not come', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const before = await say(socket, 'deploy ok before');
  const wait = (...args: string[]) => runEngawa(['wait', 'ops', '--as', `w${Math.random()}`, '--server', url, ...args]);
  const byRegex = wait('--match', '/^DEPLOY (ok|failed)/gi', '--since', String(before.seq));
  const byAuthor = wait('--from', 'nobody', '--timeout', '2s');
  const since = wait('--match', 'ok before', '--since', '1m');
  expect(withoutTimes(await outputLines(since))).toEqual(['owner: deploy ok before']);
  await say(socket, 'a deploy ok');
  await say(socket, 'deploy OK now');
  expect(withoutTimes(await outputLines(byRegex))).toEqual(['owner: deploy OK now']);
  expect(await byAuthor.waitForExit()).toBe(124);
  expect(byAuthor.stderr()).toBe('engawa: ops: it did not come within 2s\n');
  expect(await wait('--match', '/(/').waitForExit()).toBe(2);
  expect(await wait('--timeout', 'soon').waitForExit()).toBe(2);
});

test('rooms and who print their lists', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await requestOk(socket, 'update:room', { roomId: 'ops', username: 'owner', topic: 'What runs' });
  await requestOk(socket, 'create:room', { roomId: 'veranda', username: 'owner' });
  expect(await outputLines(runEngawa(['rooms', '--server', url]))).toEqual(['ops  1  What runs', 'veranda  1']);
  await requestOk(await connect(url), 'add:member', { roomId: 'ops', username: 'aya' });
  expect(await outputLines(runEngawa(['who', 'ops', '--server', url]))).toEqual(['aya  online', 'owner  online  owner']);
  const [first] = await outputLines(runEngawa(['who', 'ops', '--server', url, '--json']));
  expect(JSON.parse(String(first))).toMatchObject({ username: 'aya', role: 'member', presence: 'online' });
});

test('read, tail, wait and who leave no trace in the room and need no name', async () => {
  const { url, store } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await say(socket, 'before');
  const received: string[] = [];
  socket.onAny((event: string, { username }: { username?: string }) => received.push(`${event} ${username ?? ''}`));
  const env = { ...newHome(), ENGAWA_NAME: '', USER: '' };
  const tail = runEngawa(['tail', 'ops', '--server', url], { env });
  await tail.waitForLines(1);
  expect(await outputLines(runEngawa(['who', 'ops', '--server', url], { env }))).toEqual(['owner  online  owner']);
  expect(withoutTimes(await outputLines(runEngawa(['read', 'ops', '--server', url], { env })))).toEqual(['owner: before']);
  const wait = runEngawa(['wait', 'ops', '--match', 'after', '--server', url, '--since', '1m'], { env });
  const { seq } = await say(socket, 'after');
  expect(withoutTimes(await outputLines(wait))).toEqual(['owner: after']);
  await tail.waitForLines(2);
  expect((await requestOk(socket, 'list:rooms', {})).rooms).toMatchObject([{ members: 1, seq }]);
  expect((await store.readPage('ops', { limit: 1 })).head).toBe(seq);
  expect((await requestOk(socket, 'add:member', { roomId: 'ops', username: 'owner' })).online).toBe(1);
  expect(received.filter((event) => !event.endsWith(' owner') && !event.startsWith('position:changed'))).toEqual([]);
});

test('tail reports a deleted room and continues in the one that replaces it', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  await say(socket, 'old');
  const tail = runEngawa(['tail', 'ops', '--server', url]);
  await tail.waitForLines(1);
  await requestOk(socket, 'delete:room', { roomId: 'ops', username: 'owner' });
  // Long enough to notice the deletion; then it retries once.
  await new Promise((resolve) => setTimeout(resolve, 700));
  await requestOk(socket, 'create:room', { roomId: 'ops', username: 'owner' });
  await say(socket, 'new');
  await tail.waitForLines(2);
  expect(withoutTimes(tail.lines())).toEqual(['owner: old', 'owner: new']);
  expect(tail.stderr()).toBe('engawa: the room was created again; starting from its beginning\n');
  await requestOk(socket, 'delete:room', { roomId: 'ops', username: 'owner' });
  expect(await tail.waitForExit()).toBe(1);
  expect(tail.stderr()).toContain('engawa: ops: the room was deleted\n');
});

test('each kind of failure has an exit code and one line', async () => {
  const { url } = await startServer();
  const socket = await owner(url);
  await requestOk(socket, 'add:member', { roomId: 'ops', username: 'aya' });
  const ending = async (...args: string[]) => {
    const run = runEngawa(args);
    return [await run.waitForExit(), run.stderr()];
  };
  const taken = 'engawa: ops: Username already exists, please choose another username.\n';
  expect(await ending('send', 'ops', 'x', '--server', url)).toEqual([1, taken]);
  expect(await ending('read', 'nosuch', '--server', url)).toEqual([1, 'engawa: nosuch: Room does not exist.\n']);
  expect(await ending('send', 'nosuch', 'x', '--server', url)).toEqual([1, 'engawa: nosuch: Room does not exist.\n']);
  const nowhere = `http://127.0.0.1:${await freePort()}/`;
  const port = new URL(nowhere).port;
  const none = `engawa: no connection to ${nowhere}: connect ECONNREFUSED 127.0.0.1:${port}. Is the server running there?\n`;
  expect(await ending('tail', 'ops', '--server', nowhere, '--connect-timeout', '500ms')).toEqual([3, none]);
  expect(await ending('rooms', '--server', 'nowhere')).toEqual([
    2,
    'engawa: "nowhere" is no address of a server, such as https://chat.example\n',
  ]);
});

test('Ctrl-C waits for chats in flight and reports unacknowledged lines, and a second one ends at once', async () => {
  const { url, stop } = await startServer();
  await owner(url);
  const send = runEngawa(['send', 'ops', '--server', url], { input: null });
  const eager = runEngawa(['send', 'ops', '--as', 'ben', '--server', url], { input: null });
  send.process.stdin.write('one\n');
  eager.process.stdin.write('one\n');
  const reader = runEngawa(['tail', 'ops', '--as', 'reader', '--server', url]);
  await reader.waitForLines(2);
  await stop();
  await send.waitForStderr('no connection');
  await eager.waitForStderr('no connection');
  send.process.stdin.write('two\nthree\n');
  eager.process.stdin.write('two\n');
  await new Promise((resolve) => setTimeout(resolve, 200));
  send.process.kill('SIGINT');
  eager.process.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(eager.process.exitCode).toBe(null);
  eager.process.kill('SIGINT');
  expect(await eager.waitForExit(2_000)).toBe('SIGINT');
  expect(await send.waitForExit(8_000)).toBe('SIGINT');
  expect(send.stderr()).toContain('2 were not acknowledged');
});

test('untrusted text does not control the terminal, in plain lines or in JSON', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const evil = 'a\u001b[2Jb\u009bc\u202ed\u200be\nf\u{e0041}g\u061ch\u2066i\u007fj';
  await say(socket, evil);
  const [plain = ''] = await outputLines(runEngawa(['read', 'ops', '--server', url]));
  const [json = ''] = await outputLines(runEngawa(['read', 'ops', '--server', url, '--json']));
  for (const line of [plain, json]) expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(plain).toContain('owner: a\ufffd[2Jb');
  expect((JSON.parse(json) as { message: string }).message).toBe(evil);
});

test('long lines become several chats or are refused, and empty lines are skipped', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const long = '😀'.repeat(9_000);
  const split = runEngawa(['send', 'ops', '--server', url, '--json'], { input: `short\r\n\n  \n${long}\nlast` });
  const said = (await outputLines(split)).map((line) => JSON.parse(line) as { line: number; seq: number });
  expect(said.map(({ line }) => line)).toEqual([1, 4, 4, 4, 5]);
  expect(split.stderr()).toBe('engawa: line 4 has more than 4,000 characters, or 16,000 bytes as JSON: it becomes several chats\n');
  const refused = runEngawa(['send', 'ops', '--server', url, '--no-split'], { input: `${long}\nafter\n` });
  expect(await refused.waitForExit()).toBe(1);
  expect(refused.stderr()).toBe('engawa: line 1 has more than 4,000 characters, or 16,000 bytes as JSON: not sent\n');
  await outputLines(runEngawa(['send', 'ops', '--server', url, '-m'], { input: 'two\nlines\n\n' }));
  const texts = await stored(socket);
  expect(texts.map((text) => String(text).length)).toEqual([5, 8_000, 8_000, 2_000, 4, 5, 9]);
  expect(texts.slice(1, 4).join('')).toBe(long);
  expect(texts.slice(4)).toEqual(['last', 'after', 'two\nlines']);
});

test('without a writable home the name is free again at once, and a warning says that nothing is stored', async () => {
  const { url } = await startServer();
  const socket = await owner(url);
  const env = { ...newHome(), HOME: '/dev/null' };
  for (const text of ['one', 'two']) {
    const run = runEngawa(['send', 'ops', text, '--server', url], { env });
    await outputLines(run);
    expect(run.stderr()).toMatch(/^engawa: nothing is stored in \/dev\/null[^\n]+\n$/);
  }
  expect(await stored(socket)).toEqual(['one', 'two']);
  const marked = runEngawa(['read', 'ops', '--since', 'mark', '--server', url, '-q'], { env });
  expect(await marked.waitForExit()).toBe(1);
  expect(marked.stderr()).toBe('engawa: the mark cannot be saved; name a file with --mark FILE\n');
});

test('beside another process of the profile, send and read neither make it leave nor lose its state', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const socket = await owner(url);
  const env = newHome();
  const other = runEngawa(['send', 'ops', '--server', url], { env, input: null });
  await until(async () => (await requestOk(socket, 'list:members', { roomId: 'ops' })).count === 2, 'it is there');
  const left = collectEvents(socket, 'remove:member:success');
  await outputLines(runEngawa(['send', 'ops', 'from beside', '--server', url], { env }));
  expect(withoutTimes(await outputLines(runEngawa(['read', 'ops', '--server', url], { env })))).toEqual(['aya: from beside']);
  expect(left).toEqual([]);
  other.process.stdin.end('still there\n');
  expect(await other.waitForExit()).toBe(0);
  expect(await stored(socket)).toEqual(['from beside', 'still there']);
  await until(() => left.length > 0, 'the last one leaves');
  expect(left).toMatchObject([{ username: 'aya', reason: 'left' }]);
});

test('a removed member is informed, stops reading, and the command ends with an exit code', async () => {
  const { url } = await startServer();
  const socket = await owner(url);
  const env = newHome();
  const send = runEngawa(['send', 'ops', '--server', url], { env, input: null });
  await until(async () => (await requestOk(socket, 'list:members', { roomId: 'ops' })).count === 2, 'it is there');
  await say(socket, 'bye');
  const tail = runEngawa(['tail', 'ops', '--server', url], { env });
  await tail.waitForLines(1);
  await requestOk(socket, 'remove:member', { roomId: 'ops', username: 'aya' });
  expect(await send.waitForExit()).toBe(1);
  expect(send.stderr()).toBe('engawa: ops: owner removed you\n');
  expect(await tail.waitForExit()).toBe(1);
  expect(tail.stderr()).toBe('engawa: ops: You were removed from this room.\n');
  const read = runEngawa(['read', 'ops', '--server', url], { env });
  expect(await read.waitForExit()).toBe(1);
  expect(read.lines()).toEqual([]);
});
