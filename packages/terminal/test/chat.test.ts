// Tests of line mode as a process, against a real server.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { openMemory, type Store, StoreError } from '@engawa/server';
import {
  connect,
  createTempFolder,
  nextEvent,
  requestOk,
  startServer,
  until,
  withOverrides,
  withTimeout,
} from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { emptyWorkingFolder } from './helpers/current-folder.ts';

const ENGAWA = fileURLToPath(new URL('../../engawa/bin/engawa.js', import.meta.url));

interface Terminal {
  process: ChildProcessByStdio<Writable, Readable, Readable>;
  type: (line: string) => void;
  /** All output so far. */
  screen: () => string;
  shows: (text: string) => Promise<void>;
  /** Ends the input and resolves with the exit code. */
  end: () => Promise<number>;
}

function openTerminal(...args: string[]): Terminal {
  const env = { PATH: process.env.PATH, HOME: createTempFolder() };
  const child = spawn(process.execPath, [ENGAWA, 'chat', ...args], { env, cwd: emptyWorkingFolder(), stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exited = once(child, 'exit') as Promise<[number]>;
  return {
    process: child,
    type: (line) => void child.stdin.write(`${line}\n`),
    screen: () => text,
    shows: (wanted) =>
      until(() => text.includes(wanted), `the terminal shows ${wanted}`).catch((error: Error) => {
        throw new Error(`${error.message}; it shows:\n${text}`);
      }),
    async end() {
      child.stdin.end();
      const [code] = await withTimeout(exited, 'exit');
      return code;
    },
  };
}

const withoutTimes = (screen: string) => screen.replace(/^\d\d:\d\d /gm, '');

test('two members open a room, chat, list members, and one leaves', async () => {
  const { url } = await startServer();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('* veranda — 1 here');
  aya.type('こんにちは');
  await aya.shows('aya: こんにちは');
  const ben = openTerminal('veranda', '--as', 'ben', '--server', url);
  await ben.shows('aya: こんにちは');
  ben.type('hello');
  await aya.shows('ben: hello');
  aya.type('/who');
  await aya.shows('* 2 here: aya, ben');
  ben.type('/quit');
  await aya.shows('* ben left');
  expect(await ben.end()).toBe(0);
  expect(await aya.end()).toBe(0);
  expect(withoutTimes(aya.screen())).toBe(
    [
      '* veranda — 1 here; /help lists what you can type',
      'aya: こんにちは',
      '* ben joined',
      'ben: hello',
      '* 2 here: aya, ben',
      '* ben left',
      '',
    ].join('\n'),
  );
});

test('/delete deletes only if the next line repeats it', async () => {
  const { url } = await startServer();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('* veranda — 1 here');
  aya.type('precious');
  await aya.shows('aya: precious');
  aya.type('/delete');
  await aya.shows('* delete “precious”? Type /delete again to delete it.');
  aya.type('/topic');
  await aya.shows('There is no topic.');
  aya.type('/delete');
  await until(() => aya.screen().split('Type /delete again').length === 3, 'it asks again');
  aya.type('/delete');
  await aya.shows('* aya deleted a chat');
  expect(await aya.end()).toBe(0);
});

test('a reply shows what it replies to, in English and in Japanese', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await connect(url);
  const about = { roomId: 'veranda', username: 'ben' };
  await requestOk(ben, 'create:room', about);
  const { seq } = await requestOk(ben, 'create:chat', { ...about, message: 'Who brings the tea?' });
  for (let each = 0; each < 60; each += 1) await requestOk(ben, 'create:chat', { ...about, message: `chat ${each}` });
  await requestOk(ben, 'create:chat', { ...about, message: 'nobody?', replyTo: seq });
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('ben (to ben, “Who brings the tea?”): nobody?');
  const noa = openTerminal('veranda', '--as', 'noa', '--server', url, '--lang', 'ja');
  await noa.shows('ben （ben さんの「Who brings the tea?」への返信）: nobody?');
  aya.type('/reply I do.');
  await noa.shows('aya （ben さんの「nobody?」への返信）: I do.');
  await requestOk(ben, 'create:chat', { ...about, message: 'thanks' });
  await aya.shows('ben: thanks');
  const lines = withoutTimes(aya.screen()).split('\n');
  expect(lines.indexOf('aya (to ben, “nobody?”): I do.')).toBe(lines.indexOf('ben: thanks') - 1);
});

test('a line that is too long for one chat is sent as several, with a notice', async () => {
  const { url } = await startServer();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('* veranda — 1 here');
  aya.type('word '.repeat(1_400).trimEnd());
  await aya.shows('* 6,999 characters: sent as 2 chats');
  expect(await aya.end()).toBe(0);
  const reader = await connect(url);
  await requestOk(reader, 'add:member', { roomId: 'veranda', username: 'reader' });
  const { chats } = await requestOk(reader, 'list:chats', { roomId: 'veranda' });
  expect(chats.map(({ message }) => message).join('')).toBe('word '.repeat(1_400).trimEnd());
});

test('every line of a pipe is acknowledged in order before the program ends', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const lines = Array.from({ length: 1_200 }, (_, each) => `line ${each}`);
  const pipe = openTerminal('ops', '--as', 'log', '--server', url);
  for (const line of lines) pipe.type(line);
  expect(await pipe.end()).toBe(0);
  const reader = await connect(url);
  await requestOk(reader, 'add:member', { roomId: 'ops', username: 'reader' });
  const stored: (string | null)[] = [];
  for (let after = 1, isMore = true; isMore; ) {
    const { chats, hasMore } = await requestOk(reader, 'list:chats', { roomId: 'ops', after, limit: 500 });
    stored.push(...chats.map(({ message }) => message));
    after = chats.at(-1)?.seq ?? after;
    isMore = hasMore.after && chats.length > 0;
  }
  expect(stored).toEqual(lines);
});

test('a restart of the server is reported, and the client rejoins, shows missed chats and sends pending ones', async () => {
  const first = await startServer();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', first.url);
  await aya.shows('1 here');
  await first.stop();
  await aya.shows('no connection. Trying again');
  aya.type('typed while away');
  const { url } = await startServer({ store: first.store, port: Number(new URL(first.url).port) });
  const ben = await connect(url);
  await requestOk(ben, 'add:member', { roomId: 'veranda', username: 'ben' });
  await requestOk(ben, 'create:chat', { roomId: 'veranda', username: 'ben', message: 'said while away' });
  await aya.shows('ben: said while away');
  await aya.shows('aya: typed while away');
  await aya.shows('* veranda — 2 here');
  expect(aya.screen().match(/while away/g)).toHaveLength(2);
  expect(await aya.end()).toBe(0);
});

test('escape sequences of other members never reach the terminal', async () => {
  const { url } = await startServer();
  const evil = await connect(url);
  await requestOk(evil, 'create:room', { roomId: 'veranda', username: 'evil' });
  const message = 'a\u001b[2Jb\u0007c\u009bd\u202ee\nf\rg';
  await requestOk(evil, 'create:chat', { roomId: 'veranda', username: 'evil', message });
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('evil: ');
  await aya.end();
  expect(aya.screen()).toContain('evil: a\ufffd[2Jb\ufffdc\ufffdd\ufffde ⏎ f ⏎ g\n');
});

test('a taken name, an invalid address and a usage error end the program with a message and an exit code', async () => {
  const { url } = await startServer();
  await requestOk(await connect(url), 'create:room', { roomId: 'veranda', username: 'aya' });
  const taken = openTerminal('veranda', '--as', 'aya', '--server', url);
  await taken.shows('Username already exists');
  expect(await taken.end()).toBe(1);
  const nowhere = openTerminal('veranda', '--as', 'aya', '--server', 'not a url');
  await nowhere.shows('is no address of a server');
  expect(await nowhere.end()).toBe(2);
});

test('a removed member sees the removal, and the program ends', async () => {
  const { url } = await startServer();
  const owner = await connect(url);
  await requestOk(owner, 'create:room', { roomId: 'veranda', username: 'owner' });
  const ben = openTerminal('veranda', '--as', 'ben', '--server', url);
  await ben.shows('2 here');
  const removed = nextEvent(owner, 'remove:member:success');
  await requestOk(owner, 'remove:member', { roomId: 'veranda', username: 'ben' });
  await removed;
  await ben.shows('owner removed you.');
  expect(await ben.end()).toBe(1);
});

test('without a server the program reports it and waits', async () => {
  const { url, stop, store } = await startServer();
  await stop();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows(`* ${url}/: no connection. Trying again`);
  aya.type('early');
  await startServer({ store, port: Number(new URL(url).port) });
  await aya.shows('aya: early');
  expect(await aya.end()).toBe(0);
});

test('a join that fails in the store reports the reason and is retried', async () => {
  const { store, failTwice } = faulty('append');
  const { url } = await startServer({ store });
  failTwice();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('Room creation failed. Trying again');
  await aya.shows('* veranda — 1 here');
});

test('history that cannot be read is reported and shown once it can be read', async () => {
  const { store, failTwice } = faulty('readPage', (_, ask) => (ask as { listed?: boolean }).listed === true);
  const { url } = await startServer({ store });
  const ben = await connect(url);
  await requestOk(ben, 'create:room', { roomId: 'veranda', username: 'ben' });
  await requestOk(ben, 'create:chat', { roomId: 'veranda', username: 'ben', message: 'from before' });
  failTwice();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('cannot store this now, please try again later. Trying again');
  aya.type('typed meanwhile');
  await aya.shows('ben: from before');
  await aya.shows('aya: typed meanwhile');
});

/** A store in which this operation can be made to fail twice. */
function faulty(
  name: 'append' | 'readPage',
  isMeant: (...asked: unknown[]) => boolean = () => true,
): { store: Store; failTwice: () => void } {
  const store = openMemory();
  let failures = 0;
  const operation = (...asked: unknown[]): Promise<unknown> => {
    if (failures > 0 && isMeant(...asked)) {
      failures -= 1;
      return Promise.reject(new StoreError('failed', 'a fault'));
    }
    return (store[name].bind(store) as (...all: unknown[]) => Promise<unknown>)(...asked);
  };
  const failTwice = () => {
    failures = 2;
  };
  return { store: withOverrides(store, { [name]: operation }), failTwice };
}

test('the slash commands of line mode work, also in Japanese', async () => {
  const { url } = await startServer();
  const aya = openTerminal('veranda', '--as', 'aya', '--server', url);
  await aya.shows('1 here');
  const ben = openTerminal('veranda', '--as', 'ben', '--server', url, '--lang', 'ja');
  await ben.shows('* veranda — 2 人、/help でコマンドの一覧');
  ben.type('こんにちは');
  await aya.shows('ben: こんにちは');
  aya.type('/react :tada:');
  await ben.shows('* aya さんのリアクション: 🎉');
  aya.type('/topic 天気');
  await ben.shows('* aya さんが話題を決めました: 天気');
  aya.type('/hlep');
  await aya.shows('* There is no /hlep. Did you mean /help?');
  aya.type('/help');
  await aya.shows('* /react EMOJI  react to the selected chat');
  aya.type('//help');
  await ben.shows('aya: /help');
  expect(aya.screen()).not.toContain('/search');
  ben.type('/quit');
  await aya.shows('* ben left');
  expect(await ben.end()).toBe(0);
});
