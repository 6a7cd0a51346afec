// Tests of malicious members: none of their data controls the terminal.
import type { Room } from '@engawa/client';
import { newUsername } from '@engawa/protocol';
import { startServer } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { joinRooms, joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import { findUnsafeOutput } from './helpers/escape-sequence-check.ts';
import type { Pty } from './helpers/pty.ts';

const ATTACKS = {
  '7-bit sequences': '\u001b[3J\u001bc\u001b[?1049l\u001b[?25l\u001b[5;8mhidden\u001b(0qqq\u001b[10;1H',
  '8-bit sequences': '\u009b3J\u009b?1049l\u009d0;title\u009c\u0090$q\u009c\u0084\u008d',
  'title and clipboard': '\u001b]0;PWNED\u0007\u001b]2;PWNED\u001b\\\u001b]52;c;cm0gLXJm\u0007\u001b]1337;File=a\u0007',
  'a false link': '\u001b]8;;https://evil.example/\u001b\\https://bank.example/\u001b]8;;\u001b\\',
  'terminal queries': '\u001b[c\u001b[6n\u001b[21t\u001bP+q544e\u001b\\\u0005',
  'half a sequence': 'text\u001b',
  'another half': '\u001b[38;5;',
  'single controls': '\u0000a\u0001b\u0007c\bd\u000be\u000cf\u007fg\u0080h\u009fi',
  'reordered text': 'abc\u202edcba\u202c \u2066x\u2069 \u2067y\u2069 \u200e\u200f\u061c',
  'invisible characters': 'a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\u3164h\u115fi\uffa0j\u180ek',
  tags: `flag\u{e0001}${[...'hidden'].map((each) => String.fromCodePoint(0xe0000 + (each.codePointAt(0) ?? 0))).join('')}\u{e007f}`,
  'line breaks': 'one\ntwo\r\nthree\rfour\u2028five\u2029six\u0085seven\u000beight\u000cnine',
  tabs: 'a\tb\t\tc\t\t\td',
  zalgo: `Z${'\u0301\u0335\u0488'.repeat(300)}algo`,
  'marks on nothing': `${'\u0301'.repeat(50)}\u{1f3ff}\uff9e`,
  'a family of a thousand': `👩${'\u200d👩'.repeat(1_000)}`,
  'selectors in a row': `a${'\ufe0f'.repeat(500)}b${'\u{e0100}'.repeat(500)}c`,
  'flags in a row': '🇯🇵'.repeat(300),
  'Hangul without an end': '\u1100'.repeat(1_000) + '\u1161'.repeat(1_000),
  'wide at the edge': `a${'漢'.repeat(150)}`,
  'wide at the other edge': '漢'.repeat(150),
  'a word of 4,000': 'w'.repeat(4_000),
  'no characters': '\ufffe\uffff\u{10ffff}\ue000\u0378',
  'from right to left': 'שלום العالم abc',
};

/** The part of an attack that is valid in an id: the server rejects the rest. */
const idOf = (attack: string): string => {
  let id = '';
  for (const each of attack) if (Buffer.byteLength(id + each) <= 110 && newUsername.safeParse(`${id}${each}.`).success) id += each;
  return id.trim();
};

/** Checks that the borders of the room list and the name column are in every row, with the title above and the status below. */
function isLaidOut(pty: Pty, { list = 23, rows = 28 } = {}): void {
  const screen = pty.screen();
  expect(screen[0]).toMatch(/^ #veranda/);
  expect(screen[rows - 1]).toMatch(/^ [●*] connected .* aya [·-] \/help$/);
  const edges = Array.from({ length: rows - 4 }, (_, row) => pty.cell({ column: list, row: row + 1 }).text);
  expect(edges.join('')).toMatch(/^(?:│+|\|+)$/);
  expect(screen.filter((row) => /^.{25}\d\d:\d\d /.test(row)).length).toBeGreaterThan(0);
}

async function attack(ben: Room, pty: Pty, texts: readonly string[]): Promise<void> {
  for (const [at, text] of texts.entries()) {
    await sendChat(ben, text);
    if (at % 6 !== 5 && at !== texts.length - 1) continue;
    await sendChat(ben, `calm ${at}`);
    await pty.waitForText(new RegExp(`[│|] calm ${at}`));
    isLaidOut(pty);
    expect(findUnsafeOutput(pty.output())).toEqual([]);
  }
}

test.each(['graphemes', 'parts', 'ambiguous as wide'] as const)(
  'no chat controls the terminal or breaks its rows, on a terminal that counts %s',
  async (widthMode) => {
    const { url } = await startServer({ rateLimits: 'off' });
    const ben = await joinVeranda(url);
    const aya = openChat(url, { widthMode });
    await aya.waitForText('2 here');
    await attack(ben, aya, Object.values(ATTACKS));
    expect(aya.title()).toContain('#veranda');
    expect(aya.bells()).toBe(0);
    expect(aya.modes()).toEqual({
      alternateScreen: true,
      bracketedPaste: true,
      mouse: true,
      focus: true,
      wraps: false,
      cursorVisible: true,
    });
  },
);

test('names, rooms, topics, reactions, replies and typing events do not control the terminal', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  const ids = [...new Set(Object.values(ATTACKS).map(idOf))].filter((id) => newUsername.safeParse(id).success);
  const aya = openChat(url);
  await aya.waitForText('2 here');
  for (const [at, id] of ids.entries()) {
    const [room, own] = await joinRooms(url, id, 'veranda', id);
    if (!room || !own) throw new Error('no actor');
    await own.setTopic(Object.values(ATTACKS)[at]?.slice(0, 200) ?? '');
    const seq = await sendChat(room, `said ${at}`);
    await sendChat(room, `answered ${at}`, seq);
    await ben.react(seq, `${'q'}${'\u0301'.repeat(4)}`);
    await ben.react(seq, `👩${'\u200d👩'.repeat(15)}`);
    room.typing();
    await aya.waitForText(`│ answered ${at}`);
    if (at % 4 === 3) isLaidOut(aya);
  }
  for (const topic of Object.values(ATTACKS)) await ben.setTopic(topic.slice(0, 400));
  await ben.setTopic('a calm topic');
  await aya.waitForText('a calm topic');
  isLaidOut(aya);
  typeLine(aya, '/who');
  await aya.waitForText(`Who is here: ${ids.length + 2}`);
  aya.press('pagedown', 'pagedown', 'escape');
  await aya.waitForNoText('Who is here');
  typeLine(aya, '/rooms');
  await aya.waitForText('Go to a room');
  await aya.waitForText('members');
  aya.press('pagedown', 'pagedown', 'escape');
  await aya.waitForNoText('Go to a room');
  typeLine(aya, '/search said');
  await aya.waitForText('↑ older');
  aya.press('escape');
  for (const id of ids) {
    aya.type(`@${[...id][0]}`);
    aya.press('tab', 'tab');
    aya.press('ctrl+c');
  }
  for (const id of ids.slice(0, 8)) {
    typeLine(aya, `/join ${id}`);
    await aya.waitForText('› ');
    aya.press('alt+1');
  }
  typeLine(aya, '/topic');
  await aya.waitForText('Topic: a calm topic');
  for (const name of ids) typeLine(aya, `/remove ${name}`);
  await aya.waitForText('Not done: ');
  isLaidOut(aya);
  expect(findUnsafeOutput(aya.output())).toEqual([]);
});

test('confusable names are marked, and a confusable of a name is not a mention of it', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url, 'カメ');
  const evil = await joinVeranda(url, '力メ');
  const aya = openChat(url);
  await aya.waitForText('3 here');
  await sendChat(ben, 'by the one');
  await sendChat(evil, 'by the other');
  await sendChat(await joinVeranda(url, 'noa'), 'by neither');
  await aya.waitForText('by neither');
  expect(aya.screen().filter((row) => /≈.メ │ by the (one|other)/.test(row))).toHaveLength(2);
  await aya.waitForText(/ {2}noa │ by neither/);
  await sendChat(evil, 'hey \u0430y\u0430');
  await aya.waitForText('hey ');
  expect(aya.bells()).toBe(0);
});
