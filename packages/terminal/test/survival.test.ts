/** The network goes, the server goes, the client goes: the screen says so, and what was typed comes back in order, once. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ServerProcess } from '../../client/test/helpers/server-process.ts';
import { startProxy } from '../../server/test/helpers/proxy.ts';
import { newFolder, startServer, until } from '../../server/test/helpers/server.ts';
import { enter, neighbour, openChat, say, someone } from './helpers/chat.ts';
import type { Pty } from './helpers/pty.ts';

/** What the room has, as somebody reads it who comes now. */
async function kept(url: string): Promise<(string | null)[]> {
  const reader = await neighbour(url, `reader ${Math.random()}`);
  const page = await reader.history({ limit: 500 });
  if (!page.ok) throw new Error(page.error.message);
  return page.chats.map(({ message }) => message);
}

const shown = (pty: Pty): string[] => pty.screen().flatMap((row) => /│ (.+?)(?: ○)?$/.exec(row.slice(25))?.[1] ?? []);

const portOf = (url: string): number => Number(new URL(url).port);

test('a cut network is told with what waits; what is typed and half typed stays, and all comes back in order, once', async () => {
  const { url } = await startServer({ limits: 'off' });
  const proxy = await startProxy({ port: portOf(url) });
  const ben = await neighbour(url);
  const aya = openChat(proxy.url);
  await aya.shows('2 here');
  enter(aya, 'before');
  await aya.shows(/│ before$/m);
  ben.typing();
  await aya.shows('ben is typing');
  proxy.refuse(true);
  proxy.cut();
  await aya.shows('reconnecting');
  // Nobody knows it any more.
  expect(aya.screen().join('\n')).not.toContain('is typing');
  await say(ben, 'said meanwhile');
  for (const text of ['one', 'two 二', 'three']) enter(aya, text);
  await aya.shows('reconnecting, 3 waiting to send');
  await aya.shows('three ○');
  aya.type('half a thou');
  await aya.shows('› half a thou');
  proxy.refuse(false);
  await aya.shows('● connected', 20_000);
  await aya.hides('○');
  await aya.shows('│ three');
  aya.type('ght');
  await aya.shows('› half a thought');
  expect(shown(aya)).toEqual(['before', 'said meanwhile', 'one', 'two 二', 'three']);
  aya.press('enter');
  await aya.shows(/│ half a thought$/m);
  expect(await kept(url)).toEqual(['before', 'said meanwhile', 'one', 'two 二', 'three', 'half a thought']);
});

test('a network that swallows everything is no connection for long, and what was sent into it is there once', async () => {
  const { url } = await startServer({ limits: 'off', pingInterval: 300, pingTimeout: 400 });
  const proxy = await startProxy({ port: portOf(url) });
  const aya = openChat(proxy.url);
  await aya.shows('1 here');
  proxy.stall(true);
  enter(aya, 'into the void');
  await aya.shows('into the void ○');
  await aya.shows('1 waiting to send');
  enter(aya, 'also this');
  await aya.shows('2 waiting to send');
  proxy.stall(false);
  await aya.shows('● connected', 20_000);
  await aya.hides('○');
  expect(shown(aya)).toEqual(['into the void', 'also this']);
  expect(await kept(url)).toEqual(['into the void', 'also this']);
});

test('a server killed by kill -9 and started again has, and shows, everything once', async () => {
  const folder = newFolder();
  const first = await ServerProcess.start(folder);
  const proxy = await startProxy({ port: first.port });
  const aya = openChat(proxy.url);
  await aya.shows('1 here');
  const ben = openChat(proxy.url, { as: 'ben' });
  await aya.shows('2 here');
  enter(aya, 'kept before');
  await ben.shows('kept before');
  await aya.shows(/│ kept before$/m);
  // In the middle of it: some are with the server, and some are not.
  for (let each = 0; each < 10; each += 1) enter(aya, `early ${each}`);
  await first.kill();
  await aya.shows('reconnecting');
  for (let each = 0; each < 3; each += 1) enter(aya, `late ${each}`);
  await aya.shows('waiting to send');
  const second = await ServerProcess.start(folder);
  proxy.retarget(second.port);
  const all = ['kept before', ...Array.from({ length: 10 }, (_, each) => `early ${each}`), 'late 0', 'late 1', 'late 2'];
  for (const pty of [aya, ben]) {
    await pty.shows('● connected', 20_000);
    await pty.shows('│ late 2', 20_000);
    await pty.hides('○');
    expect(shown(pty)).toEqual(all);
  }
  expect(await kept(proxy.url)).toEqual(all);
});

test('a client killed by kill -9 with chats waiting sends them, once, when it is opened again', async () => {
  const { url } = await startServer({ limits: 'off' });
  const proxy = await startProxy({ port: portOf(url) });
  const env = { HOME: newFolder() };
  const aya = openChat(proxy.url, { env });
  await aya.shows('1 here');
  enter(aya, 'zero');
  await aya.shows(/│ zero$/m);
  proxy.stall(true);
  for (const text of ['one', 'two', 'three\u001b\rof two lines']) enter(aya, text);
  await aya.shows('of two lines ○');
  await aya.shows('sending 3');
  aya.kill('SIGKILL');
  await aya.exited;
  proxy.stall(false);
  const again = openChat(proxy.url, { env });
  await again.shows('● connected', 20_000);
  await again.shows('of two lines');
  await again.hides('○');
  const all = ['zero', 'one', 'two', 'three\nof two lines'];
  expect(await kept(url)).toEqual(all);
  expect(shown(again)).toEqual(all.flatMap((text) => text.split('\n')));
});

/** Resolves when the profile in this home has it on the disk. */
async function isKept(home: string, text: string): Promise<void> {
  const folder = join(home, '.local/state/engawa/default/storage');
  // What is being written has another name for a moment.
  const files = () => readdirSync(folder).filter((name) => name.endsWith('.json'));
  await until(() => files().some((name) => readFileSync(join(folder, name), 'utf8').includes(text)), `${text} is kept`);
}

test('drafts of several rooms, an answer and an edit among them, are there after a kill -9, and what was sent is not', async () => {
  const { url } = await startServer({ limits: 'off' });
  const [veranda] = await someone(url, 'ben', 'veranda', 'ops', '茶');
  if (!veranda) throw new Error('nobody there');
  await say(veranda, 'Who brings the tea?');
  const HOME = newFolder();
  const aya = openChat(url, { env: { HOME } });
  for (const room of ['ops', '茶', 'veranda']) {
    await aya.shows('2 here');
    enter(aya, `/join ${room}`);
    await aya.shows(new RegExp(`^ #${room}`));
  }
  aya.press('alt+up');
  await aya.shows('r reply');
  aya.type('r');
  await aya.shows('reply to ben');
  aya.type('I do, wi');
  await isKept(HOME, 'I do, wi');
  aya.press('alt+2');
  await aya.shows(/^ #ops/);
  enter(aya, 'deploy at non');
  await aya.shows(/│ deploy at non$/m);
  aya.type('before');
  await isKept(HOME, 'before');
  aya.press('ctrl+u', 'up', 'backspace');
  await aya.shows('edit: deploy at non');
  aya.type('on');
  await isKept(HOME, 'deploy at noon');
  aya.press('alt+3');
  await aya.shows(/^ #茶/);
  aya.paste('二行の\n下書き\tです');
  await isKept(HOME, '下書き');
  aya.kill('SIGKILL');
  await aya.exited;
  const again = openChat(url, { env: { HOME }, room: '' });
  again.press('alt+1');
  await again.shows(/^ #veranda/);
  await again.shows('reply to ben: Who brings the tea?');
  await again.shows('› I do, wi');
  again.press('alt+2');
  await again.shows('edit: deploy at non');
  await again.shows('› deploy at noon');
  again.press('enter');
  await again.shows('│ deploy at noon (edited)');
  await again.shows('› Say something');
  again.press('alt+3');
  await again.shows(/^› 二行の\n {2}下書き {2}です$/m);
});

test('a draft stays when Ctrl+C quits, and when the window is closed', async () => {
  const { url } = await startServer();
  const env = { HOME: newFolder() };
  const aya = openChat(url, { env });
  await aya.shows('1 here');
  aya.type('half a thought');
  aya.press('ctrl+c');
  await aya.shows('› Say something');
  aya.press('ctrl+c');
  await aya.shows('what you typed is kept');
  aya.press('ctrl+c');
  await aya.exited;
  const again = openChat(url, { env });
  await again.shows('1 here');
  await again.shows('› half a thought');
  again.type(', and a bit');
  await again.shows('and a bit');
  again.kill();
  await again.exited;
  const third = openChat(url, { env });
  await third.shows('1 here');
  await third.shows('› half a thought, and a bit');
  third.press('enter');
  await third.shows('│ half a thought, and a bit');
  third.press('ctrl+c', 'ctrl+c');
  await third.exited;
  const last = openChat(url, { env });
  await last.shows('│ half a thought, and a bit');
  await last.shows('› Say something');
});

test('of two programs in one room the first keeps its draft, whatever the other one types', async () => {
  const { url } = await startServer();
  const HOME = newFolder();
  const first = openChat(url, { env: { HOME } });
  await first.shows('1 here');
  first.type('of the first');
  await isKept(HOME, 'of the first');
  const second = openChat(url, { env: { HOME } });
  await second.shows('1 here');
  second.type('of the second');
  await second.shows('› of the second');
  second.press('ctrl+c', 'ctrl+c', 'ctrl+c');
  await second.exited;
  first.kill('SIGKILL');
  await first.exited;
  const again = openChat(url, { env: { HOME } });
  await again.shows(/^› of the first$/m);
});

test('opened without a server it says so, keeps what is typed, and joins when there is one', async () => {
  const { url, stop, store } = await startServer();
  await stop();
  const aya = openChat(url);
  await aya.shows('connecting');
  enter(aya, 'early bird');
  await aya.shows('› early bird');
  await startServer({ store, port: portOf(url) });
  await aya.shows('1 here', 20_000);
  await aya.shows('› early bird');
  aya.press('enter');
  await aya.shows('aya │ early bird');
});
