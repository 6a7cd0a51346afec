// Tests of input parsing, slash commands and completion.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findCompletion } from '#commands/completion.js';
import { commands, parseInput } from '#commands/slash-commands.js';
import { en } from '#i18n/en.js';
import { ja } from '#i18n/ja.js';
import { messagesFor } from '#i18n/messages.js';
import { sanitizeLine } from '#text/sanitize.js';
import { emojiStartingWith, findEmoji } from '#view-model/emoji-shortcodes.js';

test.each([
  ['hello', { kind: 'chat', text: 'hello' }],
  ['//hello', { kind: 'chat', text: '/hello' }],
  [' /help', { kind: 'chat', text: ' /help' }],
  ['/topic  a b\nc ', { kind: 'command', name: 'topic', rest: 'a b\nc' }],
  ['/HELP', { kind: 'command', name: 'help', rest: '' }],
  ['/q', { kind: 'command', name: 'quit', rest: '' }],
  ['/exit', { kind: 'command', name: 'quit', rest: '' }],
  ['/part ', { kind: 'command', name: 'leave', rest: '' }],
  ['/kick @ben', { kind: 'command', name: 'remove', rest: '@ben' }],
  ['/reakt', { kind: 'unknown', suggestion: 'react' }],
  ['/serach x', { kind: 'unknown', suggestion: 'search' }],
  ['/usr/bin/env', { kind: 'unknown', name: 'usr/bin/env', suggestion: undefined }],
  ['/nick', { kind: 'unknown', suggestion: undefined }],
  ['/me waves', { kind: 'unknown', suggestion: undefined }],
  ['/', { kind: 'unknown', suggestion: undefined }],
  ['／topic お茶', { kind: 'command', name: 'topic', rest: 'お茶' }],
  ['／(^o^)＼', { kind: 'chat', text: '／(^o^)＼' }],
])('%j', (text, wanted) => {
  const typed = parseInput(text);
  expect(typed.kind === 'command' ? { kind: typed.kind, name: typed.command.name, rest: typed.rest } : typed).toMatchObject(wanted);
});

test('command names are unique', () => {
  const names = commands.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]);
  expect(new Set(names).size).toBe(names.length);
});

test('text that begins with one slash is never a chat, and any other text is a chat unchanged', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const typed = parseInput(text);
      if (text.startsWith('/') && !text.startsWith('//')) expect(typed.kind).not.toBe('chat');
      else expect(typed).toEqual({ kind: 'chat', text: text.startsWith('//') ? text.slice(1) : text });
    }),
    { seed },
  );
});

test('completion offers what fits the position', () => {
  const known = {
    rooms: ['garden', 'veranda'],
    namesStartingWith: (start: string) => ['ben', 'benjamin', 'aya'].filter((name) => name.startsWith(start)),
  };
  const texts = (before: string) => findCompletion(before, known)?.options.map(({ insertText }) => insertText);
  expect(texts('/jo')).toEqual(['/join ']);
  expect(texts('/')).toHaveLength(commands.length);
  expect(texts('/join ga')).toEqual(['garden']);
  expect(texts('/remove b')).toEqual(['ben', 'benjamin']);
  expect(texts('/react :tad')).toEqual(['🎉']);
  expect(texts('ask @ben')).toEqual(['@ben ', '@benjamin ']);
  expect(texts('in #v')).toEqual(['#veranda ']);
  expect(texts('a')).toEqual(['aya: ']);
  expect(texts('so a')).toBeUndefined();
  expect(texts('it is 12:3')).toBeUndefined();
  expect(findCompletion('ask @ben', known)?.start).toBe(4);
  expect(texts('/ex')).toEqual(['/exit ']);
  expect(texts('/kick b')).toEqual(['ben', 'benjamin']);
  expect(texts('mail aya@ben')).toBeUndefined();
  expect(texts('see http://ve')).toBeUndefined();
  expect(texts('(@aya')).toEqual(['@aya ']);
  expect(findCompletion('明日は@ben', known)).toMatchObject({ start: 3, options: [{ insertText: '@ben ' }, { insertText: '@benjamin ' }] });
  expect(findCompletion('部屋は＃ve', known)).toMatchObject({ start: 3, options: [{ insertText: '#veranda ' }] });
  expect(findCompletion('お祝い：tad', known)).toMatchObject({ start: 3, options: [{ insertText: '🎉' }] });
  expect(texts('ねえ＠ay')).toEqual(['@aya ']);
});

test('every short name stands for one emoji of a known width', () => {
  const all = emojiStartingWith('');
  expect(all.length).toBeGreaterThan(150);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  const segmenter = new Intl.Segmenter();
  for (const { name, emoji } of all) {
    expect([...segmenter.segment(emoji)], name).toHaveLength(1);
    expect(sanitizeLine(emoji), name).toBe(emoji);
    expect(emoji, name).toMatch(/\p{Emoji}/u);
  }
  expect(findEmoji(':Tada:')).toBe('🎉');
  expect(findEmoji('no such one')).toBeUndefined();
});

test('the language is the requested one, or that of the environment', () => {
  expect(messagesFor(undefined, { LANG: 'ja_JP.UTF-8' })).toBe(ja);
  expect(messagesFor(undefined, { LANG: 'ja_JP.UTF-8', LC_ALL: 'C' })).toBe(en);
  expect(messagesFor('ja', { LC_ALL: 'C' })).toBe(ja);
  expect(messagesFor(undefined, { LANG: 'fr_FR.UTF-8' })).toBe(en);
  expect(messagesFor(undefined, {})).toBe(en);
});

test('docs/terminal.md lists the current commands and keys', () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../../scripts/terminal-page.js', import.meta.url)), '--check']);
});
