// Tests of typing in any language on any terminal: cursor position and keys.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTempFolder, startServer, until } from '@engawa/testkit/processes/server';
import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { joinRooms, joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import type { Pty } from './helpers/pty.ts';

/** Each item is one key, or the output of an input method. */
const TYPED = [
  'a',
  '今',
  '日は',
  '、',
  'ｶﾞ',
  '🦊',
  '👍🏽',
  '👩‍👩‍👧',
  '🇯🇵',
  'é',
  'e\u0301',
  '한국',
  'ß',
  '❤️',
  '1️⃣',
  'が',
  '葛\u{e0100}',
  ' ',
  'z',
];

const inputRow = (pty: Pty): number => pty.screen().findLastIndex((row) => row.startsWith('› '));

/** Resolves when the cursor is in the input row behind this text. */
async function isBehind(pty: Pty, text: string): Promise<void> {
  const column = 2 + stringWidth(text);
  await until(() => pty.cursor().column === column && pty.cursor().row >= inputRow(pty), `the cursor is behind ${text}`).catch(
    (error: Error) => {
      throw new Error(`${error.message}, but at ${pty.cursor().column} and not ${column}:\n${pty.screen().join('\n')}`);
    },
  );
}

test.each(['graphemes', 'parts'] as const)('the cursor follows each typed character, on a terminal that counts %s', async (widthMode) => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const aya = openChat(url, { widthMode });
  await aya.waitForText('2 here');
  let typed = '';
  for (const each of TYPED) {
    aya.type(each);
    typed += each;
    await isBehind(aya, typed.replace('\u{e0100}', ''));
  }
  for (const each of TYPED.toReversed()) {
    const parts = [...new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(each)].length;
    aya.press(...Array.from({ length: parts }, () => 'left'));
    typed = typed.slice(0, -each.length);
    await isBehind(aya, typed.replace('\u{e0100}', ''));
  }
  aya.press('end', 'enter');
  expect(await received(ben, 1)).toBe(TYPED.join(''));
});

test('input can be edited in the middle, undone and recalled from the history', async () => {
  const { url } = await startServer();
  const aya = openChat(url);
  await aya.waitForText('1 here');
  aya.type('今日は世界');
  aya.press('left', 'left', 'left', 'left');
  aya.type('X👍');
  await aya.waitForText('› 今X👍日は世界');
  await isBehind(aya, '今X👍');
  aya.press('backspace', 'delete');
  await aya.waitForText('› 今Xは世界');
  aya.press('home');
  await isBehind(aya, '');
  aya.press('end');
  await isBehind(aya, '今Xは世界');
  aya.press('ctrl+w');
  await aya.waitForNoText('世界');
  aya.press('ctrl+y');
  await aya.waitForText('› 今Xは世界');
  aya.press('ctrl+a', 'ctrl+k');
  await aya.waitForText('› Say something');
  typeLine(aya, 'first');
  await aya.waitForText(/│ first$/m);
  typeLine(aya, 'second');
  await aya.waitForText(/│ second$/m);
  aya.type('draft');
  aya.press('up');
  await aya.waitForText('› second');
  aya.press('up');
  await aya.waitForText('› first');
  aya.press('down', 'down');
  await aya.waitForText('› draft');
});

test('several typed and pasted lines stay in the input until Enter and become one chat', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  aya.type('one');
  aya.press('alt+enter');
  aya.type('two');
  aya.press('ctrl+j');
  aya.type('三');
  await aya.waitForText(/^› one\n {2}two\n {2}三$/m);
  await isBehind(aya, '三');
  aya.press('up');
  aya.type('!');
  aya.press('enter');
  await aya.waitForText(/│ one\n.*│ tw!?o!?\n.*│ 三$/m);
  aya.paste('pasted\r\nin three\nlines\u001b[31m\u0007');
  await aya.waitForText(/^› pasted\n {2}in three\n {2}lines/m);
  expect(ben.timeline.chats).toHaveLength(1);
  aya.press('enter');
  await aya.waitForText(/│ in three\n.*│ lines/);
  const chat = await received(ben, 2);
  expect(chat).not.toMatch(/[^\P{Cc}\n]/u);
  aya.paste(`${'long line of a paste\n'.repeat(60)}the end`);
  await aya.waitForText('the end');
  expect(aya.screen()).toHaveLength(28);
  expect(aya.screen()[0]).toMatch(/^ #veranda/);
});

test('pasted tabs are sent and edited as tabs and displayed as spaces, and a final line break is dropped', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  aya.paste('name\tcount\n茶\t3\n');
  await aya.waitForText('› name  count');
  aya.press('enter');
  await aya.waitForText('│ 茶  3');
  expect(await received(ben, 1)).toBe('name\tcount\n茶\t3');
  aya.press('up');
  await aya.waitForText('edit: name');
  aya.type('0');
  aya.press('enter');
  await aya.waitForText('│ 茶  30 (edited)');
  expect(await received(ben, 1)).toBe('name\tcount\n茶\t30');
});

test('7,000 pasted characters are counted and sent as two chats after confirmation', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  const text = `${'0123456 8\n'.repeat(700)}`.trimEnd();
  aya.paste(text);
  await aya.waitForText('6,999/4,000 · 2 chats');
  aya.press('enter');
  await aya.waitForText('6,999 characters make 2 chats. Enter sends them');
  aya.type('!');
  await aya.waitForText('7,000/4,000 · 2 chats');
  expect(ben.timeline.chats).toHaveLength(0);
  aya.press('enter');
  await aya.waitForText('7,000 characters make 2 chats.');
  aya.press('enter');
  await until(() => ben.timeline.chats.length === 2, 'both are received');
  expect(ben.timeline.chats.map(({ message }) => message).join('')).toBe(`${text}!`);
  await aya.waitForText('› Say something');
});

test('an edit or command that is too long stays in the input, and a paste of megabytes leaves the input unchanged', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  typeLine(aya, 'short');
  await aya.waitForText(/│ short$/m);
  aya.press('up');
  await aya.waitForText('edit: short');
  aya.paste('x'.repeat(4_000));
  aya.press('enter');
  await aya.waitForText('This has to fit one chat: 4,005 of 4,000 characters.');
  await aya.waitForText('edit: short');
  aya.press('escape');
  await aya.waitForNoText('edit: short');
  aya.paste(`/topic ${'x'.repeat(4_001)}`);
  aya.press('enter');
  await aya.waitForText('This has to fit one chat: 4,001 of 4,000 characters.');
  aya.press('ctrl+c');
  aya.type('typed');
  aya.paste('x'.repeat(1_200_000));
  await aya.waitForText('Not inserted: the input is limited to 40,000 characters.');
  await aya.waitForText(/^› typed$/m);
  expect(ben.timeline.chats.map(({ message }) => message)).toEqual(['short']);
});

async function received(room: Awaited<ReturnType<typeof joinVeranda>>, count: number): Promise<string> {
  await until(() => room.timeline.chats.length === count, `${count} chats arrive`);
  return room.timeline.chats.at(-1)?.message ?? '';
}

test('Tab completes commands, names, rooms and emoji', async () => {
  const { url } = await startServer();
  await joinVeranda(url, 'benedikta');
  await joinVeranda(url, '遥香');
  await joinRooms(url, 'noa', 'kitchen');
  const aya = openChat(url);
  await aya.waitForText('3 here');
  typeLine(aya, '/join kitchen');
  await aya.waitForText(/^ #kitchen/);
  aya.press('alt+1');
  await aya.waitForText(/^ #veranda/);
  for (const [typed, completed] of [
    ['/disc', '/discard'],
    ['hello @ben', 'hello @benedikta'],
    ['@遥', '@遥香'],
    ['bene', 'benedikta:'],
    ['see #kit', 'see #kitchen'],
    ['/join ki', '/join kitchen'],
    ['what a :sushi', 'what a 🍣'],
  ] as const) {
    aya.type(typed);
    aya.press('tab');
    await aya.waitForText(new RegExp(`^› ${completed}`, 'm'));
    aya.press('ctrl+u');
    await aya.waitForText('› Say something');
  }
  aya.type('/re');
  aya.press('tab');
  await aya.waitForText('› /reply');
  aya.press('tab');
  await aya.waitForText('› /react');
  aya.press('shift+tab');
  await aya.waitForText('› /reply');
});

test('completions appear with descriptions while typing, and take no key but Tab and Esc', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url, 'benedikta');
  const aya = openChat(url);
  await aya.waitForText('2 here');
  await sendChat(ben, 'hello');
  aya.type('/');
  await aya.waitForText(/ \/help +this list/);
  await aya.waitForText(/ \/join ROOM +join a room, or open a new one/);
  await aya.waitForText(/ ↓\d+$/m);
  aya.type('rea');
  await aya.waitForText(/ \/react EMOJI +react to the selected chat/);
  await aya.waitForText(/ \/read +mark all rooms as read/);
  await aya.waitForNoText('/help ');
  aya.press('tab', 'tab');
  await aya.waitForText('› /read');
  aya.press('ctrl+u');
  await aya.waitForNoText('mark all rooms');
  aya.type('good morning @be');
  await aya.waitForText(/^.*│ +benedikta$/m);
  aya.press('escape');
  await aya.waitForNoText(/│ +benedikta$/m);
  aya.type('n');
  await aya.waitForText(/│ +benedikta$/m);
  aya.press('enter');
  await aya.waitForText('aya │ good morning @ben');
  await aya.waitForNoText(/│ +benedikta$/m);
  aya.type('so :D is no :tad');
  await aya.waitForText('🎉 tada');
  aya.press('ctrl+u');
  aya.type('ben');
  await aya.waitForText('› ben');
  expect(aya.screen().join('\n')).not.toMatch(/│ +benedikta$/m);
  aya.resize({ columns: 30, rows: 6 });
  aya.press('ctrl+u');
  aya.type('/re');
  await aya.waitForText('/reply  /react');
});

test('the wheel scrolls, and a click selects a chat or opens a room', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  await joinRooms(url, 'noa', 'kitchen');
  for (let each = 0; each < 60; each += 1) await sendChat(ben, `chat ${each} of ben`);
  const aya = openChat(url);
  await aya.waitForText('chat 59 of');
  typeLine(aya, '/join kitchen');
  await aya.waitForText(/^ #kitchen/);
  aya.click({ column: 5, row: aya.screen().findIndex((row) => row.startsWith('  #veranda')) });
  await aya.waitForText(/^ #veranda/);
  await aya.waitForText('chat 59 of');
  aya.wheel('up', { column: 50, row: 10 });
  await aya.waitForNoText('chat 59 of');
  await aya.waitForText('newest (End)');
  aya.wheel('down', { column: 50, row: 10 });
  await aya.waitForText('chat 59 of');
  aya.click({ column: 60, row: aya.screen().findIndex((row) => row.includes('chat 57 of')) });
  await aya.waitForText('selected: /reply');
  typeLine(aya, '/reply');
  await aya.waitForText('reply to ben: chat 57 of ben');
});

test('letters after a click on a chat are text, and no letter deletes a chat', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  typeLine(aya, 'precious');
  await aya.waitForText(/│ precious$/m);
  const click = () => aya.click({ column: 60, row: aya.screen().findIndex((row) => row.includes('│ precious')) });
  for (const text of ["don't worry", 'even so', 'really', '+1', 'never']) {
    click();
    await aya.waitForText('selected:');
    for (const letter of text) aya.type(letter);
    aya.press('enter');
    await aya.waitForText(`│ ${text}`);
  }
  expect(ben.timeline.chats.map(({ message }) => message)).toEqual(['precious', "don't worry", 'even so', 'really', '+1', 'never']);
});

test('d on a chat selected by keys asks first: Enter deletes, Esc cancels, and further text is text', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  typeLine(aya, 'precious');
  await aya.waitForText(/│ precious$/m);
  aya.press('alt+up');
  await aya.waitForText('r reply · e edit · d delete · + react · c copy · Esc');
  aya.type('d');
  await aya.waitForText('Delete “precious”? Enter deletes it');
  aya.press('escape');
  await aya.waitForNoText('Delete “');
  for (const letter of "don't worry") aya.type(letter);
  await aya.waitForText("› don't worry");
  aya.press('ctrl+u');
  aya.type('d');
  await aya.waitForText('Delete “precious”?');
  expect(ben.timeline.chats.at(-1)?.message).toBe('precious');
  aya.press('enter');
  await aya.waitForText('(deleted)');
  await until(() => ben.timeline.chats.at(-1)?.message === null, 'ben receives it');
});

test('Alt+E and /editor give the terminal to the external editor, and the saved text becomes the input', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const folder = createTempFolder();
  const script = join(folder, 'edit.sh');
  // An editor that prompts on the terminal and saves the answer.
  writeFileSync(
    script,
    'printf "was: %s, go on: " "$(cat "$2")"; read -r more; printf "%s %s\\nsecond line\\n" "$(cat "$2")" "$more" > "$2"; exit $1',
  );
  const aya = openChat(url, { env: { EDITOR: `sh ${script} 0`, TMPDIR: folder } });
  await aya.waitForText('2 here');
  aya.type('begun');
  await aya.waitForText('› begun');
  aya.press('alt+e');
  await aya.waitForText('was: begun, go on:');
  expect(aya.modes()).toMatchObject({ alternateScreen: false, bracketedPaste: false, mouse: false, focus: false });
  await sendChat(ben, 'meanwhile');
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(aya.screen().join('\n')).not.toContain('meanwhile');
  aya.type('there, 続き\r');
  await aya.waitForText('› begun there, 続き');
  await aya.waitForText('meanwhile');
  expect(aya.modes()).toMatchObject({ alternateScreen: true, bracketedPaste: true });
  aya.type('!');
  aya.press('enter');
  await aya.waitForText(/│ second line!$/m);
  await until(() => ben.timeline.chats.at(-1)?.message === 'begun there, 続き\nsecond line!', 'it is one chat');
  typeLine(aya, '/editor by command');
  await aya.waitForText('was: by command, go on:');
  aya.type('\r');
  await aya.waitForText('› by command');
  aya.press('ctrl+u');
  expect(readdirSync(folder)).toEqual(['edit.sh']);
  const cho = openChat(url, { as: 'cho', env: { VISUAL: `sh ${script} 3` } });
  await cho.waitForText('meanwhile');
  cho.type('kept as it is');
  cho.press('f4');
  await cho.waitForText('go on:');
  cho.type('\r');
  await cho.waitForText(`The editor failed: sh ${script} 3`);
  await cho.waitForText('› kept as it is');
  cho.press('f4');
  // The first editor's prompt still stands on the main screen: the second one runs when there are two.
  await cho.waitForText(/go on:[\s\S]*go on:/);
  cho.press('ctrl+c');
  await cho.waitForText('The editor failed');
  await cho.waitForText('› kept as it is');
  const long = openChat(url, { as: 'dan', env: { EDITOR: 'printf "%050000d" 7 >', TMPDIR: folder } });
  await long.waitForText('meanwhile');
  long.type('short');
  long.press('alt+e');
  await long.waitForText(`The input is limited to 40,000 characters. Your text is in ${folder}`);
  await long.waitForText('› short');
  const [stored = ''] = readdirSync(folder).filter((name) => name !== 'edit.sh');
  expect(readFileSync(join(folder, stored, 'chat.txt'), 'utf8')).toHaveLength(50_000);
});

test('c copies a chat selected by keys, and /copy the clicked or newest one, without control characters', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  const text = '今日は 👍🏽\n\tsecond\u001b[201~ line';
  await sendChat(ben, text);
  await aya.waitForText('second');
  await sendChat(ben, 'newest');
  await aya.waitForText('newest');
  typeLine(aya, '/copy');
  await aya.waitForText('Copied to the clipboard, if your terminal allows it: “newest”');
  expect(aya.clipboard()).toBe('newest');
  aya.press('alt+up', 'alt+up');
  await aya.waitForText('c copy');
  aya.type('c');
  await until(() => aya.clipboard() === '今日は 👍🏽\n\tsecond[201~ line', 'it is copied');
  const row = aya.screen().findIndex((each) => each.includes('newest'));
  aya.press('escape');
  aya.click({ column: 40, row });
  await aya.waitForText('/copy · Esc');
  typeLine(aya, '/copy');
  await until(() => aya.clipboard() === 'newest', 'the other one is');
  const console = openChat(url, { as: 'cho', env: { TERM: 'linux' } });
  await console.waitForText('newest');
  typeLine(console, '/copy');
  await console.waitForText('This terminal has no clipboard.');
  expect(console.output()).not.toContain(']52;');
});

test('a chat of another member offers only the allowed actions, and e and d leave it unchanged', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  await sendChat(ben, 'mine');
  const aya = openChat(url);
  await aya.waitForText('│ mine');
  aya.press('alt+up');
  await aya.waitForText(/^r reply · \+ react · c copy · Esc$/m);
  for (const letter of ['e', 'd']) {
    aya.type(letter);
    await aya.waitForText('You have no chat here to edit or delete.');
    aya.press('f1');
    await aya.waitForNoText('You have no chat here');
  }
});

test('resizing from 120 columns to 40, 20 and less and back leaves a complete screen', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  await sendChat(
    ben,
    'A text of some length, so that it has to be broken into rows on a narrow screen. 日本語の長い文章も、狭い画面では折り返されます。',
  );
  const aya = openChat(url, { columns: 120, rows: 30 });
  await aya.waitForText('2 here');
  await aya.waitForText('の長い文章');
  aya.type('a draft 下書き');
  await aya.waitForText('› a draft 下書き');
  const before = aya.screen();
  for (const [columns, rows] of [
    [40, 30],
    [20, 5],
    [100, 8],
    [30, 40],
    [10, 3],
    [1, 1],
    [200, 60],
  ] as const) {
    aya.resize({ columns, rows });
    if (columns >= 20) {
      await aya.waitForText(/ #veranda/);
      await aya.waitForText('a draft');
      await until(() => aya.cursor().row >= inputRow(aya) && aya.screen()[0]?.startsWith(' #veranda') === true, 'all has its place');
      await until(() => aya.screen().filter((row) => row.includes('#veranda')).length <= 2, 'nothing is left over');
    } else if (columns > 1) await aya.waitForText('The window');
  }
  aya.resize({ columns: 120, rows: 30 });
  await until(() => aya.screen().join('\n') === before.join('\n'), 'it is as before').catch((error: Error) => {
    throw new Error(`${error.message}:\n${aya.screen().join('\n')}`);
  });
  aya.press('enter');
  await aya.waitForText(/│ a draft 下書き$/m);
});

test('NO_COLOR removes all colors, and the light and dark themes differ', async () => {
  const { url } = await startServer();
  const ben = await joinVeranda(url);
  await sendChat(ben, '@aya see https://example.org/ 🌸');
  const colors = (pty: Pty) =>
    [...pty.output().matchAll(/\u001b\[(?:[\d;]*;)?([34]8;5;\d+|[39][0-7])(?:;[\d;]*)?m/g)].map(([, color]) => color);
  const look = async (as: string, options: Parameters<typeof openChat>[1]) => {
    const pty = openChat(url, { as, ...options });
    await pty.waitForText('https://example.org/');
    return pty;
  };
  const none = await look('a', { env: { NO_COLOR: '1' } });
  expect(colors(none)).toEqual([]);
  expect(none.links()).toContain('https://example.org/');
  const dark = await look('b', { background: 'rgb:1e1e/1e1e/1e1e' });
  const light = await look('c', { background: 'rgb:ffff/ffff/eeee' });
  const chosen = await look('d', { background: 'rgb:ffff/ffff/ffff', args: ['--theme', 'dark'] });
  const nameOf = (pty: Pty) => pty.cell({ column: 25 + 6 + 3 - 1, row: pty.screen().findIndex((row) => row.includes('│ @aya')) });
  expect(nameOf(dark).text).toBe('n');
  expect(nameOf(dark).foreground).toEqual(expect.any(Number));
  expect(nameOf(light).foreground).not.toBe(nameOf(dark).foreground);
  expect(nameOf(chosen).foreground).toBe(nameOf(dark).foreground);
});

test('with LANG=ja all texts are Japanese', async () => {
  const { url, stop } = await startServer();
  const ben = await joinVeranda(url);
  await sendChat(ben, 'おはよう');
  const aya = openChat(url, { env: { LANG: 'ja_JP.UTF-8' } });
  await aya.waitForText('おはよう');
  typeLine(aya, '/help');
  await aya.waitForText('/reply');
  const words = aya
    .screen()
    .join('\n')
    .replaceAll(
      /[/#][\w-]+|\[?[A-Z]{4,}\]?|F2|\b(?:Enter|Alt|Ctrl|Shift|Tab|Up|Down|PageUp|PageDown|Home|End|Esc)(?:\+\S+)?|aya|ben|Engawa/g,
      '',
    );
  expect(words).not.toMatch(/[a-z]{3}/i);
  aya.press('escape');
  await stop();
  typeLine(aya, '届くまで待つ');
  await aya.waitForText(/再接続.*1/);
  expect(aya.screen().join('\n')).not.toMatch(/waiting|connect/);
});
