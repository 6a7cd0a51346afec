// Tests of rooms, unread counts and actions on chats, by keys and by commands.
import type { Room } from '@engawa/client';
import { connect, createTempFolder, nextEvent, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, test } from 'vitest';
import { joinRooms, joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import type { Pty } from './helpers/pty.ts';

/** The row of a room in the room list. */
const listed = (pty: Pty, room: string): string =>
  pty
    .screen()
    .slice(1, -3)
    .map((row) => row.split('│')[0] ?? '')
    .find((row) => row.includes(`#${room}`)) ?? '';

const shows = (pty: Pty, room: string, count: RegExp): Promise<void> =>
  until(() => count.test(listed(pty, room)), `${room} has ${count}`).catch((error: Error) => {
    throw new Error(`${error.message}:\n${pty.screen().join('\n')}`);
  });

test('unread chats of other rooms are counted, mentions ring and are marked, and opening a room reads them', async () => {
  const { url } = await startServer();
  const [, ops, tea] = await joinRooms(url, 'ben', 'veranda', 'ops', '茶');
  if (!ops || !tea) throw new Error('no actor');
  await sendChat(ops, 'from long ago');
  const aya = openChat(url);
  await aya.waitForText('2 here');
  for (const room of ['ops', '茶']) {
    typeLine(aya, `/join ${room}`);
    await aya.waitForText(new RegExp(`^ #${room}`));
    await aya.waitForText('2 here');
  }
  aya.press('alt+1');
  await aya.waitForText(/^ #veranda/);
  await shows(aya, 'ops', /#ops *$/);
  await sendChat(ops, 'one');
  await sendChat(ops, 'two');
  await shows(aya, 'ops', / 2 $/);
  expect(aya.bells()).toBe(0);
  await sendChat(tea, 'お茶ですよ @aya');
  await shows(aya, '茶', / @1 $/);
  await until(() => aya.bells() === 1, 'it rings');
  await until(() => aya.title().startsWith('(@3) #veranda'), 'the title shows it');
  await aya.waitForText(/@ 3 new in other rooms · aya · \/help$/m);
  aya.resize({ columns: 40, rows: 28 });
  await aya.waitForText(/@ 3 new in other rooms$/m);
  aya.resize({ columns: 100, rows: 28 });
  await aya.waitForText(/@ 3 new in other rooms · aya · \/help$/m);
  aya.press('ctrl+n');
  await aya.waitForText('│ two');
  await aya.waitForText('── new ─');
  await shows(aya, 'ops', /#ops *$/);
  await until(() => aya.title().startsWith('(@1) #ops'), 'the title shows it');
  aya.press('alt+3');
  await aya.waitForText('お茶ですよ');
  await until(() => aya.title() === '#茶 — Engawa', 'all is read');
  expect(aya.screen().at(-1)).not.toContain('new in other');
  // A chat is read only when the window has the focus again.
  aya.type('\u001b[O');
  await sendChat(tea, 'while you look elsewhere');
  await shows(aya, '茶', / 1 $/);
  aya.type('\u001b[I');
  await shows(aya, '茶', /#茶 *$/);
  typeLine(aya, '/leave');
  await aya.waitForText('You left #茶');
  await until(() => listed(aya, '茶') === '', 'it is off the list');
});

test('a muted room never rings and counts only mentions, another rings for all, and both settings persist', async () => {
  const { url } = await startServer();
  const [, ops, tea] = await joinRooms(url, 'ben', 'veranda', 'ops', 'tea');
  if (!ops || !tea) throw new Error('no actor');
  const env = { HOME: createTempFolder() };
  const aya = openChat(url, { env });
  await aya.waitForText('2 here');
  for (const room of ['ops', 'tea']) {
    typeLine(aya, `/join ${room}`);
    await aya.waitForText(new RegExp(`^ #${room}`));
    await aya.waitForText('2 here');
  }
  typeLine(aya, '/bell al');
  await aya.waitForText('Usage: /bell [all|mentions|off]');
  aya.press('ctrl+u');
  typeLine(aya, '/bell all');
  await aya.waitForText('The bell rings for every chat of others');
  aya.press('alt+2');
  await aya.waitForText(/^ #ops/);
  typeLine(aya, '/mute');
  await aya.waitForText('#ops is muted: the bell never rings');
  await aya.waitForText(/muted · 2 here$/m);
  aya.press('alt+1');
  await aya.waitForText(/^ #veranda/);
  await sendChat(ops, 'one');
  await shows(aya, 'ops', / 1 $/);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(aya.title()).toBe('#veranda — Engawa');
  expect(aya.screen().at(-1)).not.toContain('new in other');
  aya.press('alt+a');
  await aya.waitForText('All rooms are marked as read.');
  await sendChat(ops, 'for @aya');
  await shows(aya, 'ops', / @2 $/);
  await until(() => aya.title() === '(@1) #veranda — Engawa', 'what names one counts');
  expect(aya.bells()).toBe(0);
  await sendChat(tea, 'to nobody');
  await until(() => aya.bells() === 1, 'it rings');
  typeLine(aya, '/quit');
  await aya.exited;
  const again = openChat(url, { env });
  await again.waitForText(/^ #veranda/);
  await shows(again, 'ops', /#ops/);
  await sendChat(ops, 'once more');
  await shows(again, 'ops', / @3 $/);
  await until(() => again.title().startsWith('(@2) #veranda'), 'only what names one, and the other room, count');
  again.press('alt+2');
  await again.waitForText(/muted · 2 here$/m);
  typeLine(again, '/mute');
  await again.waitForText('#ops is no longer muted.');
  typeLine(again, '/bell off');
  await again.waitForText('The bell never rings in this room.');
  again.press('alt+1');
  await again.waitForText(/^ #veranda/);
  const rung = again.bells();
  await sendChat(ops, '@aya, hello');
  await shows(again, 'ops', / @1 $/);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(again.bells()).toBe(rung);
});

test('of 31 rooms on 24 rows the unread ones are visible, the list scrolls, and a key opens the next one', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ids = Array.from({ length: 31 }, (_, at) => `room-${String(at).padStart(2, '0')}`);
  const rooms = await joinRooms(url, 'ben', ...ids);
  const env = { HOME: createTempFolder() };
  const first = openChat(url, { env, rows: 24, room: ids[0] as string });
  for (const id of ids.slice(1)) {
    await first.waitForText('2 here');
    typeLine(first, `/join ${id}`);
    await first.waitForText(new RegExp(`^ #${id}`));
  }
  first.press('alt+4');
  await first.waitForText(/^ #room-03/);
  first.press('ctrl+c', 'ctrl+c');
  await first.exited;
  const aya = openChat(url, { env, rows: 24, room: '' });
  await aya.waitForText(/^ #room-03/);
  await aya.waitForText('Rooms 31');
  await until(() => listed(aya, 'room-03').startsWith('›'), 'the room of last time is active');
  expect(listed(aya, 'room-28')).toBe('');
  await sendChat(rooms[28] as Room, 'new here');
  await sendChat(rooms[30] as Room, 'ping @aya');
  await shows(aya, 'room-30', / @1 $/);
  await shows(aya, 'room-28', / 1 $/);
  expect(aya.screen().slice(2, 4)).toEqual([expect.stringContaining('#room-30'), expect.stringContaining('#room-28')]);
  aya.press('alt+a');
  await aya.waitForText(/^ #room-30/);
  aya.press('f3');
  await aya.waitForText(/^ #room-28/);
  aya.press('alt+a');
  await aya.waitForText('All rooms are marked as read.');
  expect(listed(aya, 'room-02')).toBe('');
  for (let turn = 0; turn < 10; turn += 1) aya.wheel('up', { column: 5, row: 10 });
  await until(() => listed(aya, 'room-00') !== '', 'the list is scrolled');
  await aya.waitForText(/^ #room-28/);
  aya.click({ column: 5, row: aya.screen().findIndex((row) => row.includes('#room-02')) });
  await aya.waitForText(/^ #room-02/);
});

test('replies, edits, reactions and deletions by keys reach other members, and theirs are shown', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  const question = await sendChat(ben, 'Who brings the tea?');
  await sendChat(ben, 'And who the cakes?');
  const aya = openChat(url);
  await aya.waitForText('cakes');
  aya.press('alt+up', 'alt+up');
  await aya.waitForText('r reply');
  aya.type('r');
  await aya.waitForText('reply to ben: Who brings the tea?');
  typeLine(aya, 'I do.');
  await aya.waitForText(/↪ ben: Who brings the tea\?\n.*│ I do\.$/m);
  await until(() => ben.timeline.chats.at(-1)?.message === 'I do.', 'ben receives it');
  expect(ben.timeline.chats.at(-1)).toMatchObject({ replyTo: question, username: 'aya' });
  aya.press('up');
  await aya.waitForText('edit: I do.');
  aya.press('backspace');
  typeLine(aya, ', gladly');
  await aya.waitForText('│ I do, gladly (edited)');
  await until(() => ben.timeline.chats.at(-1)?.message === 'I do, gladly', 'ben receives it');
  aya.press('alt+up', 'alt+up');
  aya.type('+');
  await aya.waitForText('› /react :');
  aya.type('tea');
  aya.press('tab');
  await aya.waitForText('🍵');
  aya.press('enter');
  await aya.waitForText('│ 🍵 1');
  await ben.react(question + 1, '🍵');
  await aya.waitForText('│ 🍵 2');
  typeLine(aya, '/unreact 🍵');
  await aya.waitForText('│ 🍵 1');
  aya.press('escape');
  await aya.waitForNoText('r reply');
  await ben.edit(question, 'Who brings the green tea?');
  await aya.waitForText('│ Who brings the green tea? (edited)');
  await aya.waitForText('↪ ben: Who brings the green tea?');
  await ben.delete(question);
  await aya.waitForText('ben │ (deleted)');
  await aya.waitForText('↪ ben: (deleted)');
  aya.press('alt+up');
  await aya.waitForText('r reply');
  aya.type('d');
  await aya.waitForText('Delete “I do, gladly”?');
  aya.press('enter');
  await aya.waitForText('aya │');
  await aya.waitForNoText('gladly');
  await until(() => ben.timeline.chats.at(-1)?.message === null, 'ben receives it');
});

test('a refused chat shows the reason and can be retried or discarded', async () => {
  const { url } = await startServer();
  const owner = await connect(url);
  await requestOk(owner, 'create:room', { roomId: 'veranda', username: 'owner' });
  const aya = openChat(url);
  await aya.waitForText('2 here');
  const removed = nextEvent(owner, 'remove:member:success');
  await requestOk(owner, 'remove:member', { roomId: 'veranda', username: 'aya' });
  await removed;
  await aya.waitForText('owner removed you.');
  typeLine(aya, 'am I still here?');
  await aya.waitForText(/^\/close closes it, \/join joins it again\.$/m);
  await aya.waitForText('› am I still here?');
});

test('chats pending for a removed member are shown as not sent, and are sent after a rejoin', async () => {
  const { url } = await startServer();
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const owner = await connect(url);
  await requestOk(owner, 'create:room', { roomId: 'veranda', username: 'owner' });
  const aya = openChat(proxy.url);
  await aya.waitForText('2 here');
  proxy.refuse(true);
  proxy.cut();
  await aya.waitForText('reconnecting');
  typeLine(aya, 'one too late');
  typeLine(aya, 'two too late');
  await aya.waitForText('2 waiting to send');
  await requestOk(owner, 'remove:member', { roomId: 'veranda', username: 'aya' });
  proxy.refuse(false);
  await aya.waitForText('● connected', 20_000);
  await aya.waitForText('✗ not sent', 20_000);
  typeLine(aya, '/discard');
  await aya.waitForNoText('two too late');
  typeLine(aya, '/join veranda');
  await aya.waitForText(/│ one too late$/m);
  await aya.waitForNoText('not sent');
});
