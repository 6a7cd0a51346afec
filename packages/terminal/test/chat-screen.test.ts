/** The full-screen client on a real pseudo-terminal, against a real server. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { connect, done, newFolder, startServer } from '../../server/test/helpers/server.ts';
import { openPty, type Pty, type PtyOptions } from './helpers/pty.ts';

const ENGAWA = fileURLToPath(new URL('../../engawa/bin/engawa.js', import.meta.url));

function openChat(args: string[], { env, ...options }: PtyOptions = {}): Pty {
  return openPty(process.execPath, [ENGAWA, 'chat', ...args], { ...options, env: { HOME: newFolder(), ...env } });
}

test('two people talk, see who types, and one quits and comes back to what was said', async () => {
  const { url } = await startServer();
  const home = newFolder();
  const aya = openChat(['veranda', '--as', 'aya', '--server', url], { env: { HOME: home } });
  await aya.shows('1 here');
  const ben = openChat(['veranda', '--as', 'ben', '--server', url]);
  await ben.shows('2 here');
  await aya.shows('ben joined');
  ben.type('h');
  await aya.shows('ben is typing…');
  ben.type('ello, 綾さん 👍🏽');
  ben.press('enter');
  await aya.shows(/ben │ hello, 綾さん 👍🏽/);
  aya.type('今日は');
  await aya.shows('› 今日は');
  expect(aya.cursor()).toEqual({ column: 8, row: aya.screen().findIndex((row) => row.startsWith('› 今日は')) });
  aya.press('enter');
  await ben.shows('aya │ 今日は');
  aya.press('ctrl+c');
  await aya.shows('Press Ctrl+C again');
  aya.press('ctrl+c');
  expect(await aya.exited).toMatchObject({ code: 0 });
  expect(aya.modes()).toMatchObject({ alternateScreen: false, bracketedPaste: false, mouse: false, cursorVisible: true });
  ben.type('while you were away');
  ben.press('enter');
  await ben.shows('│ while you were away');
  const again = openChat(['--as', 'aya', '--server', url], { env: { HOME: home } });
  await again.shows('while you were away');
  await again.shows('── new ─');
});

test('when the server goes it says so and what waits, keeps what is typed, and all comes back in order', async () => {
  const first = await startServer();
  const aya = openChat(['veranda', '--as', 'aya', '--server', first.url]);
  await aya.shows('connected');
  await first.stop();
  await aya.shows('reconnecting');
  for (const text of ['one', 'two', 'three']) {
    aya.type(text);
    aya.press('enter');
  }
  await aya.shows('reconnecting, 3 waiting to send');
  await aya.shows('three ○');
  const { url } = await startServer({ store: first.store, port: Number(new URL(first.url).port) });
  const ben = await connect(url);
  await done(ben, 'add:member', { roomId: 'veranda', username: 'ben' });
  await done(ben, 'create:chat', { roomId: 'veranda', username: 'ben', message: 'welcome back' });
  await aya.shows('● connected', 20_000);
  await aya.shows('welcome back');
  await aya.hides('○');
  const said = aya.screen().flatMap((row) => /│ (one|two|three)$/.exec(row)?.[1] ?? []);
  expect(said).toEqual(['one', 'two', 'three']);
});

test('a closed terminal ends the program, and without one it is plain lines', async () => {
  const { url } = await startServer();
  const aya = openChat(['veranda', '--as', 'aya', '--server', url]);
  await aya.shows('1 here');
  aya.kill();
  await aya.exited;
  const dumb = openChat(['veranda', '--as', 'ben', '--server', url], { env: { TERM: 'dumb' } });
  await dumb.shows('* veranda — 2 here; /help lists what you can type');
  expect(dumb.modes().alternateScreen).toBe(false);
});

test('without a server it says so, asks for the rooms as soon as it can, and ends when it is told to', async () => {
  const { url, stop, store } = await startServer();
  await stop();
  const aya = openChat(['--as', 'aya', '--server', url]);
  await aya.shows('… connecting');
  await aya.shows('Is the server');
  aya.type('veranda');
  aya.press('enter');
  aya.type('typed early');
  aya.press('enter');
  await aya.shows('The room is not joined yet. What you typed stays here.');
  const again = await startServer({ store, port: Number(new URL(url).port) });
  await aya.shows('● connected', 20_000);
  aya.press('enter');
  await aya.shows('aya │ typed early');
  await again.stop();
  await aya.shows('reconnecting');
  aya.press('ctrl+d');
  expect(await aya.exited).toMatchObject({ code: 0 });
});

test('an error of the command line is told without a screen', async () => {
  const aya = openChat(['veranda', '--lang', 'xx']);
  await aya.shows('--lang is one of en, ja, not "xx"');
  expect(await aya.exited).toMatchObject({ code: 2 });
  expect(aya.modes().alternateScreen).toBe(false);
});
