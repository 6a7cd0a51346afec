// Tests of line mode on a terminal, as for screen readers: no colors, no cursor movement.

import { startServer } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';

test('with --plain chats, joins and typed lines are read line by line', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  await sendChat(ben, 'from before\u001b[31m');
  const aya = openChat(url, { args: ['--plain'], background: 'rgb:ffff/ffff/ffff' });
  await aya.waitForText('* veranda — 2 here; /help lists what you can type');
  await aya.waitForText(/^\d\d:\d\d ben: from before\ufffd\[31m$/m);
  aya.type('half a li');
  await aya.waitForText('> half a li');
  await sendChat(ben, 'said between');
  await aya.waitForText('ben: said between');
  await aya.waitForText('> half a li');
  typeLine(aya, 'ne 今日は');
  await aya.waitForText(/aya: half a line 今日は$/m);
  typeLine(aya, '/who');
  await aya.waitForText('* 2 here:');
  typeLine(aya, '/react tea');
  await aya.waitForText('* aya reacted 🍵');
  typeLine(aya, '/nonsense');
  await aya.waitForText('There is no /nonsense');
  expect(aya.modes()).toEqual({
    alternateScreen: false,
    bracketedPaste: false,
    mouse: false,
    focus: false,
    wraps: true,
    cursorVisible: true,
  });
  // Readline needs only these sequences to edit a line: no colors, no cursor positions, no titles.
  expect(aya.output().replace(/\u001b\[(?:\d*[CDGKJ]|\?2004[hl])/g, '')).not.toMatch(/[\u001b\u009b\u0007]/);
  typeLine(aya, '/quit');
  expect(await aya.exited).toMatchObject({ code: 0 });
});
