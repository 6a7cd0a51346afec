/** The main screens, as README and docs show them: `npm run pictures` writes what this looks at into docs/pictures. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, connect, type Room } from '@engawa/client';
import { onTestFinished, test } from 'vitest';
import { newFolder, startServer, until } from '../../server/test/helpers/server.ts';
import { openPty, type Pty, type PtyOptions } from './helpers/pty.ts';
import { svgOf } from './helpers/svg.ts';

const ENGAWA = fileURLToPath(new URL('../../engawa/bin/engawa.js', import.meta.url));
const { ENGAWA_PICTURES: folder } = process.env;

function openChat(url: string, { env, ...options }: PtyOptions = {}): Pty {
  return openPty(process.execPath, [ENGAWA, 'chat', 'veranda', '--as', 'aya', '--server', url], {
    columns: 100,
    rows: 28,
    ...options,
    env: { HOME: newFolder(), ...env },
  });
}

function keep(name: string, pty: Pty, background: 'dark' | 'light' = 'dark'): void {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.svg`), svgOf(pty.picture('engawa chat'), background));
}

async function someone(url: string, username: string, ...roomIds: string[]): Promise<Room[]> {
  const client: Client = connect(url);
  onTestFinished(() => void client.close());
  return Promise.all(roomIds.map((roomId) => client.join(roomId, { username, create: true })));
}

async function say(room: Room | undefined, message: string, replyTo?: number): Promise<number> {
  const sent = room?.send(message, replyTo === undefined ? {} : { replyTo });
  const result = await sent?.settled;
  if (!result?.ok) throw new Error(`not sent: ${message}`);
  return result.seq;
}

/** A house where people talk, and aya's terminal in it. */
async function talk(options: PtyOptions = {}): Promise<{ aya: Pty; ben: Room; server: Awaited<ReturnType<typeof startServer>> }> {
  const server = await startServer({ limits: 'off' });
  const [ben, ops] = await someone(server.url, 'ben', 'veranda', 'ops');
  if (!ben || !ops) throw new Error('nobody there');
  const [noa] = await someone(server.url, 'noa', 'veranda');
  const [haruka] = await someone(server.url, '遥', 'veranda', '料理');
  await ben.setTopic('tea, tools and the garden · お茶と道具と庭');
  const aya = openChat(server.url, options);
  await aya.shows('tea, tools');
  aya.type('/join ops');
  aya.press('enter');
  await aya.shows('#ops');
  aya.type('/join 料理');
  aya.press('enter');
  await aya.shows('料理');
  aya.press('alt+1');
  await aya.shows('tea, tools');
  await say(ben, 'Good morning! The plum tree is in bloom.');
  const asked = await say(haruka, 'おはよう 🌸 お茶を飲みに来ませんか?');
  await say(noa, 'Gladly. I bring the red-bean cakes, see https://example.org/anmitsu');
  const answer = await say(ben, '行きます! At four?', asked);
  await haruka?.react(answer, '🍵');
  await noa?.react(answer, '🍵');
  await say(noa, 'The new release is on the test machine since noon: please all have a look before we open it to everybody this evening.');
  const typo = await say(ben, 'It runs nice');
  await ben.edit(typo, 'It runs nicely, even on the old machine.');
  await aya.shows('machine.');
  aya.type('はい、四時に。I will sweep the engawa before you come.');
  aya.press('enter');
  await aya.shows('sweep');
  await say(ops, 'deploy ok: 12 s, nothing dropped');
  await say(ops, '@aya the certificate is renewed');
  await say(haruka, '@aya ありがとう 👍🏽');
  haruka?.typing();
  await aya.shows('ありがとう');
  return { aya, ben, server };
}

test('the main screen, dark', async () => {
  const { aya } = await talk();
  aya.type('ようこそ');
  await aya.shows('› ようこそ');
  keep('chat-dark', aya);
});

test('the main screen, light', async () => {
  const { aya } = await talk({ background: 'rgb:ffff/ffff/ffff' });
  aya.type('ようこそ');
  await aya.shows('› ようこそ');
  keep('chat-light', aya, 'light');
});

test('on forty columns', async () => {
  const { aya } = await talk({ columns: 40, rows: 24 });
  await aya.shows('ありがとう');
  keep('chat-narrow', aya);
});

test('in Japanese, with the help open', async () => {
  const { aya } = await talk({ env: { LANG: 'ja_JP.UTF-8' } });
  aya.type('/help');
  aya.press('enter');
  await until(() => aya.screen().some((row) => row.includes('/reply')), 'the help');
  keep('chat-japanese', aya);
});

test('while the server is away', async () => {
  const { aya, server } = await talk();
  await server.stop();
  await aya.shows('reconnecting');
  for (const text of ['Is anybody there?', 'It is kept here until the server is back.']) {
    aya.type(text);
    aya.press('enter');
  }
  await aya.shows('2 waiting');
  keep('chat-reconnecting', aya);
});
