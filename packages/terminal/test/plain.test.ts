/** For screen readers: plain lines on a terminal, without a picture, colours or a moving cursor. */
import { expect, test } from 'vitest';
import { startServer } from '../../server/test/helpers/server.ts';
import { enter, neighbour, openChat, say } from './helpers/chat.ts';

test('with --plain it reads line by line: what is said, who comes, what one types', async () => {
  const { url } = await startServer();
  const ben = await neighbour(url);
  await say(ben, 'from before\u001b[31m');
  const aya = openChat(url, { args: ['--plain'], background: 'rgb:ffff/ffff/ffff' });
  await aya.shows('* veranda — 2 here; /help lists what you can type');
  await aya.shows(/^\d\d:\d\d ben: from before\ufffd\[31m$/m);
  aya.type('half a li');
  await aya.shows('> half a li');
  await say(ben, 'said between');
  await aya.shows('ben: said between');
  await aya.shows('> half a li');
  enter(aya, 'ne 今日は');
  await aya.shows(/aya: half a line 今日は$/m);
  enter(aya, '/who');
  await aya.shows('* 2 here:');
  enter(aya, '/react tea');
  await aya.shows('* aya reacted 🍵');
  enter(aya, '/nonsense');
  await aya.shows('There is no /nonsense');
  expect(aya.modes()).toEqual({
    alternateScreen: false,
    bracketedPaste: false,
    mouse: false,
    focus: false,
    wraps: true,
    cursorVisible: true,
  });
  // Only what readline needs to edit a line: no colours, no places, no titles.
  expect(aya.output().replace(/\u001b\[(?:\d*[CDGKJ]|\?2004[hl])/g, '')).not.toMatch(/[\u001b\u009b\u0007]/);
  enter(aya, '/quit');
  expect(await aya.exited).toMatchObject({ code: 0 });
});
