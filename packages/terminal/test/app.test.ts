// Tests of the full-screen client on a fake screen, with real rooms of a server in this process.
import type { Client, Room } from '@engawa/client';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { commands } from '#commands/slash-commands.js';
import { connectTo, openApp, type ServerAddress, startInProcessServer, type TestApp, widthsOf } from './helpers/app.ts';

async function join(place: ServerAddress, roomId: string, username: string): Promise<{ client: Client; room: Room }> {
  const client = connectTo(place);
  onTestFinished(() => client.close());
  return { client, room: await client.join(roomId, { username, create: true }) };
}

async function said(room: Room, text: string, replyTo?: number): Promise<number> {
  const sent = await room.send(text, replyTo === undefined ? {} : { replyTo }).settled;
  if (!sent.ok) throw new Error(sent.error.message);
  return sent.seq;
}

/** Types a line and presses Enter. */
function enter(app: TestApp, text: string): void {
  app.type(text);
  app.press('enter');
}

const rowWith = (app: TestApp, text: string): string => app.rows().find((row) => row.includes(text)) ?? '';

test('a room is shown completely, in rows that fit every screen size, in both languages', async () => {
  const server = startInProcessServer();
  const { room } = await join(server, '縁側', 'たけし');
  await room.setTopic('今日の話 — a topic that is rather long, to be cut');
  const first = await said(room, 'はじめまして。これは長い文で、折り返さなければなりません。👩‍👩‍👧‍👦 とても長い長い長い長い文です。');
  await room.react(first, '🎉');
  const answer = await said(
    room,
    'an_unbroken_word_that_is_longer_than_the_row_of_a_narrow_screen_can_ever_hold https://example.com/a/b?c=d',
    first,
  );
  await room.edit(answer, 'edited\nin\nlines');
  await room.delete(await said(room, 'gone'));
  await said(room, '\u001b[2J\u202e\u0007 nasty');
  for (const lang of ['en', 'ja']) {
    const app = openApp(server, { room: '縁側', username: `aya-${lang}`, lang });
    await app.waitForText('はじめまして');
    for (const [columns, rows] of [
      [120, 40],
      [80, 24],
      [40, 10],
      [20, 5],
      [13, 3],
    ] as const) {
      app.resize(columns, rows);
      await new Promise(setImmediate);
      expect(app.rows().length).toBeLessThanOrEqual(rows);
      expect(app.rows().join('')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      for (const [at, width] of widthsOf(app.screen.frame).entries())
        expect(width, `${columns}: ${app.rows()[at]}`).toBeLessThanOrEqual(columns);
      expect(app.screen.frame.cursor?.column ?? 0).toBeLessThan(columns);
    }
    app.resize(80, 24);
    await app.waitForText(lang === 'ja' ? '（削除されました）' : '(deleted)');
    expect(app.text()).toContain(lang === 'ja' ? 'lines （編集済み）' : 'lines (edited)');
    expect(app.text()).toMatch(lang === 'ja' ? /── \d+年\d+月\d+日.曜日 ──/ : /── \w+day, \w+ \d+, \d+ ──/);
    expect(app.text()).toContain('↪ たけし: はじめまして');
    expect(app.text()).toContain('🎉 1');
  }
});

test('a selected chat is replied to, edited, reacted to and deleted', async () => {
  const server = startInProcessServer();
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('1 here');
  const { room } = await join(server, 'veranda', 'ben');
  await said(room, 'what is the time?');
  await app.waitForText('what is the time?');
  app.press('alt+up');
  await app.waitForText('r reply');
  app.type('r');
  await app.waitForText('reply to ben: what is the time?');
  enter(app, 'late');
  await until(() => room.timeline.chats.some(({ message }) => message === 'late'), 'the answer');
  await app.waitForText('↪ ben: what is the time?');
  app.press('up');
  await app.waitForText('edit: late');
  enter(app, ', very');
  await until(() => room.timeline.chats.at(-1)?.message === 'late, very', 'the edit');
  app.press('alt+up');
  app.press('alt+up');
  app.type('+');
  app.type('tad');
  app.press('tab');
  app.press('enter');
  await app.waitForText('🎉 1');
  app.press('alt+up');
  enter(app, '/unreact');
  await app.waitForNoText('🎉 1');
  app.press('escape');
  enter(app, '/delete');
  await app.waitForText('Delete “late, very”?');
  app.press('enter');
  await until(() => room.timeline.chats.at(-1)?.message === null, 'the deletion');
  await app.waitForText('(deleted)');
});

test('text that begins with a slash is never sent by mistake, not even as a reply', async () => {
  const server = startInProcessServer();
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('1 here');
  const other = await join(server, 'veranda', 'ben');
  await said(other.room, 'hello');
  await app.waitForText('│ hello');
  enter(app, '/reply');
  await app.waitForText('reply to ben: hello');
  enter(app, '/topic');
  await app.waitForText('There is no topic.');
  app.press('escape');
  enter(app, '/hlep me');
  await app.waitForText('There is no /hlep. Did you mean /help?');
  await app.waitForText('› /hlep me');
  app.press('ctrl+u');
  enter(app, '/usr/bin/env');
  await app.waitForText('There is no /usr/bin/env. Begin with // to send a slash.');
  app.press('home');
  enter(app, '/');
  await app.waitForText('aya │ /usr/bin/env');
  enter(app, '//help is how');
  await app.waitForText('aya │ /help is how');
  await until(() => other.room.timeline.chats.length === 3, 'ben receives both');
  expect(other.room.timeline.chats.map(({ message }) => message)).toEqual(['hello', '/usr/bin/env', '/help is how']);
});

test('help lists every command at every screen size', async () => {
  const app = openApp(startInProcessServer(), { room: 'veranda', columns: 40, rows: 10 });
  await app.waitForText('1 here');
  enter(app, '/help');
  await app.waitForText('Help');
  const seen = new Set<string>();
  for (let page = 0; page < 40; page += 1) {
    for (const { name } of commands) if (new RegExp(`^ /${name}\\b`, 'm').test(app.text())) seen.add(name);
    app.press('pagedown');
    await new Promise(setImmediate);
  }
  expect([...seen].sort()).toEqual(commands.map(({ name }) => name).sort());
  await app.waitForText('Ctrl+D');
  app.press('escape');
  await app.waitForNoText('Ctrl+D');
});

test('help that is longer than the screen scrolls with every scroll key and shows its length', async () => {
  const app = openApp(startInProcessServer(), { room: 'veranda' });
  await app.waitForText('1 here');
  enter(app, '/help');
  await app.waitForText(/1–19 of \d\d · ↑ ↓ scroll · Esc closes/);
  app.press('down');
  await app.waitForText(/2–20 of \d\d/);
  app.press('up');
  await app.waitForText(/1–19 of/);
  app.press('end');
  await app.waitForText('with empty input: quit');
  app.press('home');
  await app.waitForText(/1–19 of/);
  app.key({ kind: 'mouse', action: 'wheel-down', position: { column: 50, row: 10 } });
  await app.waitForText(/4–22 of/);
});

test('text typed or pasted over the help or member list closes it and is not sent unseen', async () => {
  const server = startInProcessServer();
  const { room } = await join(server, 'veranda', 'ben');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('2 here');
  for (const [command, title] of [
    ['/help', 'Esc closes'],
    ['/who', 'Who is here: 2'],
  ] as const) {
    enter(app, command);
    await app.waitForText(title);
    app.type('hello');
    await app.waitForNoText(title);
    await app.waitForText('› hello');
    app.press('ctrl+u');
    enter(app, command);
    await app.waitForText(title);
    app.key({ kind: 'paste', text: 'pasted' });
    await app.waitForNoText(title);
    await app.waitForText('› pasted');
    app.press('ctrl+u');
  }
  app.type('a draft');
  app.press('home');
  app.type('/who ');
  app.press('enter');
  await app.waitForText('Who is here: 2');
  app.press('enter');
  await app.waitForNoText('Who is here: 2');
  expect(room.timeline.chats).toEqual([]);
});

test('scrolling back keeps the position, shows the unread count, and End returns to the newest chat', async () => {
  const server = await startServer({ rateLimits: 'off' });
  const { room } = await join(server, 'veranda', 'ben');
  for (let each = 0; each < 300; each += 1) await said(room, `chat ${each}.`);
  const app = openApp(server, { room: 'veranda', maxChats: 60 });
  await app.waitForText('chat 299.');
  app.press('pageup');
  await app.waitForNoText('chat 299.');
  const timeline = () =>
    app
      .rows()
      .slice(1, 15)
      .map((row) => row.slice(19));
  const before = timeline();
  for (let each = 300; each < 400; each += 1) await said(room, `chat ${each}.`);
  await app.waitForText('↓ 60+ new');
  expect(timeline()).toEqual(before);
  for (let page = 0; page < 40 && !app.text().includes('chat 0.'); page += 1) {
    app.press('pageup');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await app.waitForText('chat 0.');
  expect(app.text()).not.toContain('older chats above');
  for (let page = 0; page < 60 && !app.text().includes('chat 399.'); page += 1) {
    app.press('pagedown');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await app.waitForText('chat 399.');
  await app.waitForNoText('↓');
  app.press('home');
  await app.waitForText('chat 0.');
  app.press('end');
  await app.waitForText('chat 399.');
  await said(room, 'chat 400.');
  await app.waitForText('chat 400.');
});

test('an edit of a chat that was scrolled back to appears in a room that is also read elsewhere', async () => {
  const server = await startServer({ rateLimits: 'off' });
  const { room } = await join(server, 'veranda', 'ben');
  const first = await said(room, 'chat with a mistkae');
  for (let each = 0; each < 200; each += 1) await said(room, `chat ${each}.`);
  const app = openApp(server, { room: 'veranda', maxChats: 60 });
  await app.waitForText('chat 199.');
  app.press('home');
  await app.waitForText('mistkae');
  await room.edit(first, 'chat without a mistake');
  await app.waitForText('without a mistake (edited)');
});

test('unread chats are counted without joins, a mention rings, and a line marks the first unread chat', async () => {
  const server = startInProcessServer();
  const { room } = await join(server, 'other', 'ben');
  const app = openApp(server, { room: 'other' });
  await until(() => app.screen.titleText === '#other — Engawa', 'the title');
  enter(app, '/join veranda');
  await app.waitForText('› #veranda');
  await join(server, 'other', 'guest');
  await said(room, 'one');
  await said(room, 'AYA, are you there?');
  await app.waitForText('@2');
  expect(rowWith(app, '#other')).toMatch(/#other +@2 │/);
  expect(app.screen.bells).toBe(1);
  await until(() => app.screen.titleText === '(@2) #veranda — Engawa', 'the title');
  app.press('ctrl+p');
  await app.waitForText('› #other');
  await app.waitForText('── new ──');
  expect(app.text()).toContain('· guest joined');
  await app.waitForNoText('@2');
  app.key({ kind: 'focus', isFocused: false });
  await said(room, 'nobody looks');
  await until(() => app.screen.titleText === '(1) #other — Engawa', 'what is unread without focus');
  app.key({ kind: 'focus', isFocused: true });
  await until(() => app.screen.titleText === '#other — Engawa', 'what is read with it');
});

test('a confusable name is marked', async () => {
  const server = startInProcessServer();
  const { room } = await join(server, 'veranda', 'カメ');
  await join(server, 'veranda', '力メ');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('here');
  await said(room, 'it is me');
  // The member list is requested after the room is shown.
  await app.waitForText('≈カメ │ it is me');
});

test('the name column is as wide as the widest name, and leaves more than half of 80 columns to the text', async () => {
  const server = startInProcessServer();
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('1 here');
  const said = 'x'.repeat(100);
  const column = () =>
    app
      .rows()
      .find((row) => row.includes('xx'))
      ?.lastIndexOf('│ x') ?? -1;
  const columnsOfText = () => Math.max(...app.rows().map((row) => (/x+$/.exec(row) ?? [''])[0].length));
  app.type(said);
  app.press('enter');
  await app.waitForText('aya │ xx');
  const narrow = column();
  expect(columnsOfText()).toBe(48);
  const ben = await connectTo(server).join('veranda', { username: 'ben the gardener' });
  await ben.send('hello').settled;
  await app.waitForText('ben the g… │ hello');
  expect(column()).toBe(narrow + 7);
  expect(columnsOfText()).toBe(41);
  app.resize(100, 24);
  await app.waitForText('ben the garde… │ hello');
});

test('a taken name is answered by a prompt for another name in the same room', async () => {
  const server = startInProcessServer();
  await join(server, 'veranda', 'aya');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('the name aya is taken');
  enter(app, 'aya2');
  await app.waitForText('2 here');
  await app.waitForText('aya2 ·');
});

test('a confusable name is answered by a prompt for another name in the same room', async () => {
  const server = startInProcessServer();
  await join(server, 'veranda', 'аya');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('the name aya looks like that of a member');
  enter(app, 'aya2');
  await app.waitForText('2 here');
});

test('without a room the chooser opens with an introduction and creates a room from a new name', async () => {
  const server = startInProcessServer();
  await (await join(server, 'garden', 'ben')).room.setTopic('plants');
  await join(server, 'veranda', 'ben');
  const app = openApp(server);
  await app.waitForText('You are aya on test: (--as NAME and --server URL change that).');
  for (const step of ['1. ↑ ↓ choose, Enter joins', '2. Then type to talk', '3. /help lists all']) expect(app.text()).toContain(step);
  await app.waitForText('#garden  1 member · plants');
  expect(app.rows().findIndex((row) => row.includes('› #veranda'))).toBe(app.rows().findIndex((row) => row.includes('#garden')) - 1);
  app.press('down');
  app.press('enter');
  await app.waitForText('› #garden');
  enter(app, '/join');
  await app.waitForText('Go to a room');
  app.type('kitchen');
  await app.waitForText('new room: kitchen');
  app.press('enter');
  await app.waitForText('› #kitchen');
  enter(app, '/leave');
  await app.waitForText('You left #kitchen.');
});

test('the chooser is updated while it is open: new rooms appear, and unread counts of open rooms', {
  timeout: 30_000,
}, async () => {
  const server = startInProcessServer();
  const { room } = await join(server, 'veranda', 'ben');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('2 here');
  enter(app, '/join ops');
  await app.waitForText('› #ops');
  app.press('alt+g');
  await app.waitForText(/#veranda .* open$/m);
  await said(room, 'aya?');
  await app.waitForText(/› #veranda .* @1$/m);
  const garden = await join(server, 'garden', 'noa');
  await garden.room.setTopic('a topic that is much too long for the row in which it stands');
  await app.waitForText(/#garden {2}1 member · a topic .*… +\d\d:\d\d$/m);
  app.press('down', 'down');
  await app.waitForText('  › #garden');
  app.press('enter');
  await app.waitForText(/^ #garden/);
});

test('the chooser finds a room by letters of its name in order', async () => {
  const server = startInProcessServer();
  for (const id of ['release-planning', 'planning', '縁側の話']) await join(server, id, 'ben');
  const app = openApp(server, { room: 'ops' });
  await app.waitForText('1 here');
  for (const [letters, id] of [
    ['relp', 'release-planning'],
    ['plan', 'planning'],
    ['側話', '縁側の話'],
    ['#OPS', 'ops'],
  ] as const) {
    app.press('ctrl+g');
    await app.waitForText('Go to a room');
    app.type(letters);
    await app.waitForText(new RegExp(`› #${id}`));
    app.press('enter');
    await app.waitForText(new RegExp(`^ #${id}`));
  }
});

test('the rooms of the last run are reopened, and a deleted room is not created again', async () => {
  const server = startInProcessServer();
  await join(server, 'garden', 'ben');
  const app = openApp(server, { lastRooms: ['garden', 'gone'] });
  await app.waitForText('› #garden');
  await app.waitForText('✗#gone');
});

test('more rooms than the join rate allows are joined one after the other without an error message', async () => {
  const server = startInProcessServer();
  const ids = Array.from({ length: 23 }, (_, at) => `room-${at}`);
  // Opening a room sends two requests, a join and a creation.
  const owners = ids.map(async (roomId, at) => join(server, roomId, `owner-${at % 4}`));
  await Promise.all(owners);
  const app = openApp(server, { lastRooms: ids, rows: 30 });
  const seen: string[] = [];
  const isJoined = () => app.client.rooms.filter(({ state }) => state === 'live').length === ids.length;
  await until(() => seen.push(app.text()) > 0 && isJoined(), 'all are joined');
  await app.waitForNoText('…#');
  expect(seen.join('\n')).not.toContain('Too many');
});

test('pending chats are counted, and a refused chat shows the reason and can be retried or discarded', async () => {
  const server = startInProcessServer();
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('1 here');
  await server.stop();
  await app.waitForText('reconnecting');
  enter(app, 'one');
  enter(app, 'two');
  await app.waitForText('reconnecting, 2 waiting to send');
  await app.waitForText('two ○');
  server.start();
  await app.waitForText('● connected');
  await app.waitForNoText('○');
  const chat = app.client.rooms[0]?.send('x'.repeat(4_001));
  await app.waitForText('✗ not sent: ');
  const refusal = chat?.settled;
  enter(app, '/retry');
  await until(() => chat?.settled !== refusal, 'it is sent again');
  await chat?.settled;
  await app.waitForText('✗ not sent: ');
  enter(app, '/discard');
  await app.waitForNoText('xxx');
  enter(app, '/discard');
  await app.waitForText('No chat has failed.');
});

test('Tab completes commands, names, rooms and emoji', async () => {
  const server = startInProcessServer();
  await join(server, 'veranda', 'benjamin');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('2 here');
  await until(() => app.client.rooms.length === 1, 'the room');
  // The member list is requested after the room is shown, so completion may need more than one try.
  const completed = async (typed: string, wanted: string) => {
    await until(async () => {
      app.press('ctrl+u');
      app.type(typed);
      app.press('tab');
      await new Promise(setImmediate);
      return app.text().includes(`› ${wanted}`);
    }, `${typed} becomes ${wanted}`);
    app.press('ctrl+u');
  };
  await completed('/unr', '/unreact');
  await completed('hello @ben', 'hello @benjamin');
  await completed('ben', 'benjamin:');
  await completed('see #ver', 'see #veranda');
  await completed('well :rocke', 'well 🚀');
});

test('several pasted lines become one chat, and Ctrl+C clears the input before it quits', async () => {
  const server = startInProcessServer();
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('1 here');
  app.key({ kind: 'paste', text: 'one\ntwo' });
  app.press('enter');
  await app.waitForText('aya │ one');
  expect(app.text()).toMatch(/^ *│ +│ two/m);
  app.type('half');
  app.press('ctrl+c');
  await app.waitForNoText('half');
  app.press('ctrl+c');
  await app.waitForText('Press Ctrl+C again');
  app.press('ctrl+c');
  expect(await app.exited).toBe(0);
  expect(app.screen.isClosed).toBe(true);
});

test('search moves through the results', async () => {
  const server = await startServer({ rateLimits: 'off' });
  const { room } = await join(server, 'veranda', 'ben');
  for (let each = 0; each < 40; each += 1) await said(room, each % 15 === 0 ? `a needle, ${each}.` : `hay ${each}.`);
  const app = openApp(server, { room: 'veranda', rows: 12 });
  await app.waitForText('hay 39.');
  enter(app, '/search NEEDLE');
  await app.waitForText('1 of 3');
  await app.waitForText('needle, 30.');
  app.press('up');
  await app.waitForText('needle, 15.');
  app.press('up');
  await app.waitForText('needle, 0.');
  app.press('down');
  await app.waitForText('needle, 15.');
  app.type('n');
  app.type('N');
  await app.waitForText('› nN');
  app.press('ctrl+u');
  app.press('escape');
  app.press('escape');
  await app.waitForText('hay 39.');
});

test('a click selects a chat or opens a room, and the wheel scrolls', async () => {
  const server = await startServer({ rateLimits: 'off' });
  const { room } = await join(server, 'veranda', 'ben');
  for (let each = 0; each < 30; each += 1) await said(room, `chat ${each}.`);
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('chat 29.');
  const row = app.rows().findIndex((each) => each.includes('chat 20.'));
  app.key({ kind: 'mouse', action: 'press', position: { column: 50, row } });
  await app.waitForText('selected: /reply');
  app.press('escape');
  app.key({ kind: 'mouse', action: 'wheel-up', position: { column: 50, row } });
  await app.waitForNoText('chat 29.');
  app.key({ kind: 'mouse', action: 'wheel-down', position: { column: 50, row } });
  await app.waitForText('chat 29.');
  enter(app, '/join garden');
  await app.waitForText('› #garden');
  app.key({ kind: 'mouse', action: 'press', position: { column: 5, row: app.rows().findIndex((each) => each.startsWith('  #veranda')) } });
  await app.waitForText('› #veranda');
});

test('Enter on a reply scrolls to its target, however old it is', async () => {
  const server = await startServer({ rateLimits: 'off' });
  const { room } = await join(server, 'veranda', 'ben');
  const question = await said(room, 'the question');
  for (let each = 0; each < 200; each += 1) await said(room, `chat ${each}.`);
  await said(room, 'the answer', question);
  const app = openApp(server, { room: 'veranda', maxChats: 60 });
  await app.waitForText('↪ ben: the question');
  app.press('alt+up');
  await app.waitForText('Enter: what it answers');
  app.press('enter');
  await app.waitForText('ben │ the question');
  app.press('escape');
  app.press('escape');
  await app.waitForText('the answer');
});

test('a removed member sees the removal and rejoins only on request', async () => {
  const server = startInProcessServer();
  const owner = await join(server, 'veranda', 'ben');
  const app = openApp(server, { room: 'veranda' });
  await app.waitForText('2 here');
  await owner.room.remove('aya');
  await app.waitForText('ben removed you. /close closes it, /join joins it again.');
  enter(app, 'hello?');
  await app.waitForText('› hello?');
  app.press('ctrl+u');
  enter(app, '/join veranda');
  await app.waitForText('2 here');
  await app.waitForNoText('removed you');
});

test('a room that is closed and opened again shows each chat once', async () => {
  const server = startInProcessServer();
  const { room } = await join(server, 'veranda', 'ben');
  const app = openApp(server, { room: 'veranda', lastRooms: ['veranda'] });
  await app.waitForText('2 here');
  enter(app, '/close');
  await app.waitForText('Go to a room');
  app.type('veranda');
  app.press('enter');
  await app.waitForText('2 here');
  enter(app, '/join');
  app.type('garden');
  app.press('enter');
  await app.waitForText('› #garden');
  await said(room, 'aya?');
  await app.waitForText('@1');
  expect(app.screen.bells).toBe(1);
});

test('chats pending under a name that was taken in the meantime are sent under the next name', async () => {
  const server = startInProcessServer();
  const storage = new Map<string, string>();
  const first = openApp(server, { room: 'veranda', storage });
  await first.waitForText('1 here');
  await server.stop();
  await first.waitForText('reconnecting');
  enter(first, 'typed without effect');
  await first.waitForText('1 waiting to send');
  first.screen.listener?.onClosed();
  await first.exited;
  server.start();
  storage.delete('engawa:test::session');
  const app = openApp(server, { room: 'veranda', storage });
  await app.waitForText('the name aya is taken');
  enter(app, 'aya2');
  await app.waitForText('aya2 │ typed without effect');
});

test('a room with more unread chats than rows opens at the first unread one', async () => {
  const server = await startServer({ rateLimits: 'off' });
  const { room } = await join(server, 'veranda', 'ben');
  const storage = new Map<string, string>();
  const app = openApp(server, { room: 'veranda', storage });
  await app.waitForText('2 here');
  await said(room, 'an old one.');
  await app.waitForText('an old one.');
  enter(app, '/join garden');
  await app.waitForText('› #garden');
  for (let each = 0; each < 100; each += 1) await said(room, `chat ${each}.`);
  await app.waitForText('100 │');
  app.press('ctrl+p');
  await app.waitForText('── new ──');
  await app.waitForText('chat 0.');
  expect(app.text()).not.toContain('chat 99.');
  await app.waitForText('↓ 81 new (End)');
  app.press('pagedown');
  await app.waitForText('↓ 63 new (End)');
  app.screen.listener?.onClosed();
  await app.exited;
  const again = openApp(server, { storage, lastRooms: ['veranda'] });
  await again.waitForText('── new ──');
  await again.waitForText('chat 37.');
  await again.waitForText('new (End)');
  again.press('end');
  await again.waitForText('chat 99.');
});
