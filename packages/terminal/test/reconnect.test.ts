// Tests of lost networks, servers and clients: the state is shown, and typed text arrives in order, once.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTempFolder, startServer, until } from '@engawa/testkit/processes/server';
import { ServerProcess } from '@engawa/testkit/processes/server-process';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, test } from 'vitest';
import { joinRooms, joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import type { Pty } from './helpers/pty.ts';

/** The stored chats of the room, as a new reader sees them. */
async function stored(url: string): Promise<(string | null)[]> {
  const reader = await joinVeranda(url, `reader ${Math.random()}`);
  const page = await reader.history({ limit: 500 });
  if (!page.ok) throw new Error(page.error.message);
  return page.chats.map(({ message }) => message);
}

const shown = (pty: Pty): string[] => pty.screen().flatMap((row) => /│ (.+?)(?: ○)?$/.exec(row.slice(25))?.[1] ?? []);

const portOf = (url: string): number => Number(new URL(url).port);

test('a cut network is shown with the pending chats, and all input and chats are there afterwards, in order, once', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const proxy = await startProxy({ port: portOf(url) });
  const ben = await joinVeranda(url);
  const aya = openChat(proxy.url);
  await aya.waitForText('2 here');
  typeLine(aya, 'before');
  await aya.waitForText(/│ before$/m);
  ben.typing();
  await aya.waitForText('ben is typing');
  proxy.refuse(true);
  proxy.cut();
  await aya.waitForText('reconnecting');
  // Typing state is unknown while offline.
  expect(aya.screen().join('\n')).not.toContain('is typing');
  await sendChat(ben, 'said meanwhile');
  for (const text of ['one', 'two 二', 'three']) typeLine(aya, text);
  await aya.waitForText('reconnecting, 3 waiting to send');
  await aya.waitForText('three ○');
  aya.type('half a thou');
  await aya.waitForText('› half a thou');
  proxy.refuse(false);
  await aya.waitForText('● connected', 20_000);
  await aya.waitForNoText('○');
  await aya.waitForText('│ three');
  aya.type('ght');
  await aya.waitForText('› half a thought');
  expect(shown(aya)).toEqual(['before', 'said meanwhile', 'one', 'two 二', 'three']);
  aya.press('enter');
  await aya.waitForText(/│ half a thought$/m);
  expect(await stored(url)).toEqual(['before', 'said meanwhile', 'one', 'two 二', 'three', 'half a thought']);
});

test('a network that drops all packets is detected, and chats sent into it arrive once', async () => {
  const { url } = await startServer({ rateLimits: 'off', pingInterval: 300, pingTimeout: 400 });
  const proxy = await startProxy({ port: portOf(url) });
  const aya = openChat(proxy.url);
  await aya.waitForText('1 here');
  proxy.stall(true);
  typeLine(aya, 'into the void');
  await aya.waitForText('into the void ○');
  await aya.waitForText('1 waiting to send');
  typeLine(aya, 'also this');
  await aya.waitForText('2 waiting to send');
  proxy.stall(false);
  await aya.waitForText('● connected', 20_000);
  await aya.waitForNoText('○');
  expect(shown(aya)).toEqual(['into the void', 'also this']);
  expect(await stored(url)).toEqual(['into the void', 'also this']);
});

test('a server that was killed and restarted has and shows every chat once', async () => {
  const folder = createTempFolder();
  const first = await ServerProcess.start(folder);
  const proxy = await startProxy({ port: first.port });
  const aya = openChat(proxy.url);
  await aya.waitForText('1 here');
  const ben = openChat(proxy.url, { as: 'ben' });
  await aya.waitForText('2 here');
  typeLine(aya, 'sent before');
  await ben.waitForText('sent before');
  await aya.waitForText(/│ sent before$/m);
  // Some of these are acknowledged when the server is killed, and some are not.
  for (let each = 0; each < 10; each += 1) typeLine(aya, `early ${each}`);
  await first.kill();
  await aya.waitForText('reconnecting');
  for (let each = 0; each < 3; each += 1) typeLine(aya, `late ${each}`);
  await aya.waitForText('waiting to send');
  const second = await ServerProcess.start(folder);
  proxy.retarget(second.port);
  const all = ['sent before', ...Array.from({ length: 10 }, (_, each) => `early ${each}`), 'late 0', 'late 1', 'late 2'];
  for (const pty of [aya, ben]) {
    await pty.waitForText('● connected', 20_000);
    await pty.waitForText('│ late 2', 20_000);
    await pty.waitForNoText('○');
    expect(shown(pty)).toEqual(all);
  }
  expect(await stored(proxy.url)).toEqual(all);
});

test('a client that was killed with pending chats sends them once in the next run', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const proxy = await startProxy({ port: portOf(url) });
  const env = { HOME: createTempFolder() };
  const aya = openChat(proxy.url, { env });
  await aya.waitForText('1 here');
  typeLine(aya, 'zero');
  await aya.waitForText(/│ zero$/m);
  proxy.stall(true);
  for (const text of ['one', 'two', 'three\u001b\rof two lines']) typeLine(aya, text);
  await aya.waitForText('of two lines ○');
  await aya.waitForText('sending 3');
  aya.kill('SIGKILL');
  await aya.exited;
  proxy.stall(false);
  const again = openChat(proxy.url, { env });
  await again.waitForText('● connected', 20_000);
  await again.waitForText('of two lines');
  await again.waitForNoText('○');
  const all = ['zero', 'one', 'two', 'three\nof two lines'];
  expect(await stored(url)).toEqual(all);
  expect(shown(again)).toEqual(all.flatMap((text) => text.split('\n')));
});

/** Resolves when the profile in this home has stored the text on disk. */
async function isStored(home: string, text: string): Promise<void> {
  const folder = join(home, '.local/state/engawa/default/storage');
  // A file that is being written has a temporary name.
  const files = () => readdirSync(folder).filter((name) => name.endsWith('.json'));
  await until(() => files().some((name) => readFileSync(join(folder, name), 'utf8').includes(text)), `${text} is stored`);
}

test('drafts of several rooms, with a reply and an edit, survive kill -9, and sent text does not return', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const [veranda] = await joinRooms(url, 'ben', 'veranda', 'ops', '茶');
  if (!veranda) throw new Error('no actor');
  await sendChat(veranda, 'Who brings the tea?');
  const HOME = createTempFolder();
  const aya = openChat(url, { env: { HOME } });
  for (const room of ['ops', '茶', 'veranda']) {
    await aya.waitForText('2 here');
    typeLine(aya, `/join ${room}`);
    await aya.waitForText(new RegExp(`^ #${room}`));
  }
  aya.press('alt+up');
  await aya.waitForText('r reply');
  aya.type('r');
  await aya.waitForText('reply to ben');
  aya.type('I do, wi');
  await isStored(HOME, 'I do, wi');
  aya.press('alt+2');
  await aya.waitForText(/^ #ops/);
  typeLine(aya, 'deploy at non');
  await aya.waitForText(/│ deploy at non$/m);
  aya.type('before');
  await isStored(HOME, 'before');
  aya.press('ctrl+u', 'up', 'backspace');
  await aya.waitForText('edit: deploy at non');
  aya.type('on');
  await isStored(HOME, 'deploy at noon');
  aya.press('alt+3');
  await aya.waitForText(/^ #茶/);
  aya.paste('二行の\n下書き\tです');
  await isStored(HOME, '下書き');
  aya.kill('SIGKILL');
  await aya.exited;
  const again = openChat(url, { env: { HOME }, room: '' });
  again.press('alt+1');
  await again.waitForText(/^ #veranda/);
  await again.waitForText('reply to ben: Who brings the tea?');
  await again.waitForText('› I do, wi');
  again.press('alt+2');
  await again.waitForText('edit: deploy at non');
  await again.waitForText('› deploy at noon');
  again.press('enter');
  await again.waitForText('│ deploy at noon (edited)');
  await again.waitForText('› Say something');
  again.press('alt+3');
  await again.waitForText(/^› 二行の\n {2}下書き {2}です$/m);
});

test('a draft survives Ctrl+C and a closed window', async () => {
  const { url } = await startServer();
  const env = { HOME: createTempFolder() };
  const aya = openChat(url, { env });
  await aya.waitForText('1 here');
  aya.type('half a thought');
  aya.press('ctrl+c');
  await aya.waitForText('› Say something');
  aya.press('ctrl+c');
  await aya.waitForText('what you typed is saved');
  aya.press('ctrl+c');
  await aya.exited;
  const again = openChat(url, { env });
  await again.waitForText('1 here');
  await again.waitForText('› half a thought');
  again.type(', and a bit');
  await again.waitForText('and a bit');
  again.kill();
  await again.exited;
  const third = openChat(url, { env });
  await third.waitForText('1 here');
  await third.waitForText('› half a thought, and a bit');
  third.press('enter');
  await third.waitForText('│ half a thought, and a bit');
  third.press('ctrl+c', 'ctrl+c');
  await third.exited;
  const last = openChat(url, { env });
  await last.waitForText('│ half a thought, and a bit');
  await last.waitForText('› Say something');
});

test('of two processes in one room the first keeps its draft, whatever the other types', async () => {
  const { url } = await startServer();
  const HOME = createTempFolder();
  const first = openChat(url, { env: { HOME } });
  await first.waitForText('1 here');
  first.type('of the first');
  await isStored(HOME, 'of the first');
  const second = openChat(url, { env: { HOME } });
  await second.waitForText('1 here');
  second.type('of the second');
  await second.waitForText('› of the second');
  second.press('ctrl+c', 'ctrl+c', 'ctrl+c');
  await second.exited;
  first.kill('SIGKILL');
  await first.exited;
  const again = openChat(url, { env: { HOME } });
  await again.waitForText(/^› of the first$/m);
});

test('a client that starts without a server reports it, keeps the input, and joins when there is one', async () => {
  const { url, stop, store } = await startServer();
  await stop();
  const aya = openChat(url);
  await aya.waitForText('connecting');
  typeLine(aya, 'early bird');
  await aya.waitForText('› early bird');
  await startServer({ store, port: portOf(url) });
  await aya.waitForText('1 here', 20_000);
  await aya.waitForText('› early bird');
  aya.press('enter');
  await aya.waitForText('aya │ early bird');
});
