// Tests of the main screens in README and docs. `npm run pictures` writes them to docs/pictures.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Room } from '@engawa/client';
import { startServer, until } from '@engawa/testkit/processes/server';
import { test } from 'vitest';
import { joinRooms, joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import type { Pty, PtyOptions } from './helpers/pty.ts';
import { renderSvg } from './helpers/svg.ts';

const { ENGAWA_PICTURES: folder } = process.env;

function keep(name: string, pty: Pty, background: 'dark' | 'light' = 'dark'): void {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.svg`), renderSvg(pty.picture('engawa chat'), background));
}

/** A server with several members and the terminal of aya. */
async function talk(options: PtyOptions = {}): Promise<{ aya: Pty; ben: Room; server: Awaited<ReturnType<typeof startServer>> }> {
  const server = await startServer({ rateLimits: 'off' });
  const [ben, ops] = await joinRooms(server.url, 'ben', 'veranda', 'ops');
  const noa = await joinVeranda(server.url, 'noa');
  const [haruka] = await joinRooms(server.url, '遥', 'veranda', '料理');
  if (!ben || !ops || !haruka) throw new Error('no actor');
  await ben.setTopic('tea, tools and the garden · お茶と道具と庭');
  const aya = openChat(server.url, options);
  await aya.waitForText('tea, tools');
  typeLine(aya, '/join ops');
  await aya.waitForText('#ops');
  typeLine(aya, '/join 料理');
  await aya.waitForText('料理');
  aya.press('alt+1');
  await aya.waitForText('tea, tools');
  await sendChat(ben, 'Good morning! The plum tree is in bloom.');
  const asked = await sendChat(haruka, 'おはよう 🌸 お茶を飲みに来ませんか?');
  await sendChat(noa, 'Gladly. I bring the red-bean cakes, see https://example.org/anmitsu');
  const answer = await sendChat(ben, '行きます! At four?', asked);
  await haruka.react(answer, '🍵');
  await noa.react(answer, '🍵');
  await sendChat(
    noa,
    'The new release is on the test machine since noon: please all have a look before we open it to everybody this evening.',
  );
  const typo = await sendChat(ben, 'It runs nice');
  await ben.edit(typo, 'It runs nicely, even on the old machine.');
  await aya.waitForText('machine.');
  typeLine(aya, 'はい、四時に。I will sweep the engawa before you come.');
  await aya.waitForText('sweep');
  await sendChat(ops, 'deploy ok: 12 s, nothing dropped');
  await sendChat(ops, '@aya the certificate is renewed');
  await sendChat(haruka, '@aya ありがとう 👍🏽');
  haruka.typing();
  await aya.waitForText('ありがとう');
  return { aya, ben, server };
}

test('main screen in the dark theme', async () => {
  const { aya } = await talk();
  aya.type('ようこそ');
  await aya.waitForText('› ようこそ');
  keep('chat-dark', aya);
});

test('main screen in the light theme', async () => {
  const { aya } = await talk({ background: 'rgb:ffff/ffff/ffff' });
  aya.type('ようこそ');
  await aya.waitForText('› ようこそ');
  keep('chat-light', aya, 'light');
});

test('main screen on forty columns', async () => {
  const { aya } = await talk({ columns: 40, rows: 24 });
  await aya.waitForText('ありがとう');
  keep('chat-narrow', aya);
});

test('main screen in Japanese with the help open', async () => {
  const { aya } = await talk({ env: { LANG: 'ja_JP.UTF-8' } });
  typeLine(aya, '/help');
  await until(() => aya.screen().some((row) => row.includes('/reply')), 'the help');
  keep('chat-japanese', aya);
});

test('main screen while the server is down', async () => {
  const { aya, server } = await talk();
  await server.stop();
  await aya.waitForText('reconnecting');
  for (const text of ['Is anybody there?', 'It is kept here until the server is back.']) {
    typeLine(aya, text);
  }
  await aya.waitForText('2 waiting');
  keep('chat-reconnecting', aya);
});
