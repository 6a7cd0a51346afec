// Tests of the full-screen client on a real pseudo-terminal, against a real server.
import { fileURLToPath } from 'node:url';
import { connect, createTempFolder, requestOk, startServer } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { openPty, type Pty, type PtyOptions } from './helpers/pty.ts';

const ENGAWA = fileURLToPath(new URL('../../engawa/bin/engawa.js', import.meta.url));

function openChat(args: string[], { env, ...options }: PtyOptions = {}): Pty {
  return openPty(process.execPath, [ENGAWA, 'chat', ...args], { ...options, env: { HOME: createTempFolder(), ...env } });
}

test('two members chat and see each other typing, and one quits and returns to the chats since', async () => {
  const { url } = await startServer();
  const home = createTempFolder();
  const aya = openChat(['veranda', '--as', 'aya', '--server', url], { env: { HOME: home } });
  await aya.waitForText('1 here');
  const ben = openChat(['veranda', '--as', 'ben', '--server', url]);
  await ben.waitForText('2 here');
  await aya.waitForText('ben joined');
  ben.type('h');
  await aya.waitForText('ben is typing…');
  ben.type('ello, 綾さん 👍🏽');
  ben.press('enter');
  await aya.waitForText(/ben │ hello, 綾さん 👍🏽/);
  aya.type('今日は');
  await aya.waitForText('› 今日は');
  expect(aya.cursor()).toEqual({ column: 8, row: aya.screen().findIndex((row) => row.startsWith('› 今日は')) });
  aya.press('enter');
  await ben.waitForText('aya │ 今日は');
  aya.press('ctrl+c');
  await aya.waitForText('Press Ctrl+C again');
  aya.press('ctrl+c');
  expect(await aya.exited).toMatchObject({ code: 0 });
  expect(aya.modes()).toMatchObject({ alternateScreen: false, bracketedPaste: false, mouse: false, cursorVisible: true });
  ben.type('while you were away');
  ben.press('enter');
  await ben.waitForText('│ while you were away');
  const again = openChat(['--as', 'aya', '--server', url], { env: { HOME: home } });
  await again.waitForText('while you were away');
  await again.waitForText('── new ─');
});

test('a lost server is shown with the pending chats, input stays, and all chats arrive in order afterwards', async () => {
  const first = await startServer();
  const aya = openChat(['veranda', '--as', 'aya', '--server', first.url]);
  await aya.waitForText('connected');
  await first.stop();
  await aya.waitForText('reconnecting');
  for (const text of ['one', 'two', 'three']) {
    aya.type(text);
    aya.press('enter');
  }
  await aya.waitForText('reconnecting, 3 waiting to send');
  await aya.waitForText('three ○');
  const { url } = await startServer({ store: first.store, port: Number(new URL(first.url).port) });
  const ben = await connect(url);
  await requestOk(ben, 'add:member', { roomId: 'veranda', username: 'ben' });
  await requestOk(ben, 'create:chat', { roomId: 'veranda', username: 'ben', message: 'welcome back' });
  await aya.waitForText('● connected', 20_000);
  await aya.waitForText('welcome back');
  await aya.waitForNoText('○');
  const said = aya.screen().flatMap((row) => /│ (one|two|three)$/.exec(row)?.[1] ?? []);
  expect(said).toEqual(['one', 'two', 'three']);
});

test('a closed terminal ends the program, and without a terminal line mode is used', async () => {
  const { url } = await startServer();
  const aya = openChat(['veranda', '--as', 'aya', '--server', url]);
  await aya.waitForText('1 here');
  aya.kill();
  await aya.exited;
  const dumb = openChat(['veranda', '--as', 'ben', '--server', url], { env: { TERM: 'dumb' } });
  await dumb.waitForText('* veranda — 2 here; /help lists what you can type');
  expect(dumb.modes().alternateScreen).toBe(false);
});

test('without a server the client reports it, lists the rooms once it is connected, and quits on request', async () => {
  const { url, stop, store } = await startServer();
  await stop();
  const aya = openChat(['--as', 'aya', '--server', url]);
  await aya.waitForText('… connecting');
  await aya.waitForText('Is the server');
  aya.type('veranda');
  aya.press('enter');
  aya.type('typed early');
  aya.press('enter');
  await aya.waitForText('The room is not joined yet. What you typed stays here.');
  const again = await startServer({ store, port: Number(new URL(url).port) });
  await aya.waitForText('● connected', 20_000);
  aya.press('enter');
  await aya.waitForText('aya │ typed early');
  await again.stop();
  await aya.waitForText('reconnecting');
  aya.press('ctrl+d');
  expect(await aya.exited).toMatchObject({ code: 0 });
});

test('a usage error is reported without opening the screen', async () => {
  const aya = openChat(['veranda', '--lang', 'xx']);
  await aya.waitForText('--lang is one of en, ja, not "xx"');
  expect(await aya.exited).toMatchObject({ code: 2 });
  expect(aya.modes().alternateScreen).toBe(false);
});
