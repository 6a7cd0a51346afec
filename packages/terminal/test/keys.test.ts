// Tests of the key parser.

import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { InputEvent } from '#screen/key.js';
import { KeyParser } from '#screen/key-parser.js';

function parse(...chunks: (string | Uint8Array)[]): { keys: InputEvent[]; answers: string[]; parser: KeyParser } {
  const keys: InputEvent[] = [];
  const answers: string[] = [];
  const parser = new KeyParser({ onInput: (key) => keys.push(key), onReply: (body) => answers.push(body) });
  for (const chunk of chunks) parser.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  return { keys, answers, parser };
}

/** Describes an event, such as `ctrl+alt+left` or `"text"`. */
const said = (key: InputEvent): string => {
  if (key.kind === 'text') return JSON.stringify(key.text);
  if (key.kind === 'paste') return `paste ${JSON.stringify(key.text)}`;
  if (key.kind === 'mouse') return `${key.action} ${key.position.column},${key.position.row}`;
  if (key.kind === 'focus') return key.isFocused ? 'focus' : 'blur';
  return `${key.ctrl ? 'ctrl+' : ''}${key.alt ? 'alt+' : ''}${key.shift ? 'shift+' : ''}${key.name}`;
};

test.each([
  ['abc縁側👍🏿', '"abc縁側👍🏿"'],
  ['\r\t\u007f\u0008', 'enter tab backspace ctrl+h'],
  ['\u0001\u0003\n\u001f\u0000', 'ctrl+a ctrl+c ctrl+j ctrl+_ ctrl+space'],
  ['\u001b[A\u001b[B\u001b[C\u001b[D\u001b[H\u001b[F', 'up down right left home end'],
  ['\u001bOA\u001bOB\u001bOC\u001bOD\u001bOH\u001bOF', 'up down right left home end'],
  ['\u001b[1~\u001b[2~\u001b[3~\u001b[4~\u001b[5~\u001b[6~\u001b[7~\u001b[8~', 'home insert delete end pageup pagedown home end'],
  ['\u001bOP\u001bOS\u001b[15~\u001b[24~\u001b[[A\u001b[[E\u001b[1;2Q', 'f1 f4 f5 f12 f1 f5 shift+f2'],
  ['\u001b[1;5D\u001b[1;3C\u001b[1;2A\u001b[3;5~\u001b[1;8H', 'ctrl+left alt+right shift+up ctrl+delete ctrl+alt+shift+home'],
  ['\u001b[a\u001bOd\u001b[7^\u001b[3$\u001b[3@\u001b\u001b[D', 'shift+up ctrl+left ctrl+home shift+delete ctrl+shift+delete alt+left'],
  ['\u001b[Z\u001bb\u001bF\u001b\r\u001b\u007f\u001b1\u001bé', 'shift+tab alt+b alt+shift+f alt+enter alt+backspace alt+1 alt+é'],
  ['\u001b[97;5u\u001b[13;2u\u001b[27u\u001b[127;3u\u001b[9;5u', 'ctrl+a shift+enter escape alt+backspace ctrl+tab'],
  ['\u001b[97u\u001b[97:65;2u\u001b[97;1:3u\u001b[97;;30456:20596u\u001b[57400u', '"a" "A" "直側" "1"'.replace('直側', '\u76f8\u5074')],
  ['\u001b[27;5;105~\u001b[27;2;13~', 'ctrl+i shift+enter'],
  ['\u001b[<0;3;4M\u001b[<0;3;4m\u001b[<64;1;1M\u001b[<81;1;1M\u001b[<35;1;1M', 'press 2,3 release 2,3 wheel-up 0,0 wheel-down 0,0'],
  ['\u001b[57400u\u001b[57413u\u001b[57414;2u\u001b[57417u\u001b[57358u\u001b[99;9u', '"1" "+" shift+enter left'],
  ['\u001b[I\u001b[O', 'focus blur'],
  ['\u001bOM\u001bOp\u001bOk', 'enter "0" "+"'],
  ['\u001b[200~a\r\nb\rc\u001b[201~d', 'paste "a\\nb\\nc" "d"'],
  ['\u001b[M !!x\u0080\u009b', '"x"'],
])('%j is %s', (bytes, keys) => {
  expect(parse(bytes).keys.map(said).join(' ')).toBe(keys);
});

test('keys may arrive byte by byte', () => {
  const bytes = Buffer.from(
    '縁👍🏿\u001b[1;5D\u001bOP\u001b[200~縁\u001b[20\r\u001b[201~\u001b[<0;3;4M\u001bb\u001b]11;rgb:0/0/0\u001b\\x',
  );
  const { keys, answers, parser } = parse(...Array.from(bytes, (byte) => Uint8Array.of(byte)));
  expect(keys.map(said).join(' ')).toBe('"縁" "👍" "🏿" ctrl+left f1 paste "縁\\u001b[20\\n" press 2,3 alt+b "x"');
  expect(answers).toEqual(['11;rgb:0/0/0']);
  expect(parser.flushDelayMs).toBeUndefined();
});

test.each([
  ['\u001b', 'escape'],
  ['\u001b\u001b', 'escape escape'],
  ['\u001b[', 'alt+['],
  ['\u001bO', 'alt+shift+o'],
  ['\u001b]', 'alt+]'],
  ['\u001b[1;5', ''],
  ['\u001b]11;rgb:', ''],
  ['\u001b[200~abc', 'paste "abc"'],
])('%j without further input is %s', (bytes, keys) => {
  const parsed = parse(bytes);
  expect(parsed.keys).toEqual([]);
  expect(parsed.parser.flushDelayMs).toBeGreaterThan(0);
  parsed.parser.flush();
  expect(parsed.keys.map(said).join(' ')).toBe(keys);
  expect(parsed.parser.flushDelayMs).toBeUndefined();
});

test('a broken sequence does not swallow the next key', () => {
  expect(parse('\u001b[1;\u0003').keys.map(said)).toEqual(['ctrl+c']);
  expect(parse('\u001b]11;x\u0003\u001b[A').keys.map(said)).toContain('up');
  expect(parse(`\u001b[${'1;'.repeat(1_000)}`, '\u0003').keys.map(said)).toContain('ctrl+c');
});

test('replies of the terminal are not keys', () => {
  const { keys, answers } = parse('\u001b[?62;22c\u001b]11;rgb:ffff/ffff/ffff\u0007\u001bP1$r0m\u001b\\\u001b[?2026;2$y');
  expect(keys).toEqual([]);
  expect(answers).toEqual(['[?62;22c', '11;rgb:ffff/ffff/ffff', '[?2026;2$y']);
  expect(parse(`\u001b]52;${'x'.repeat(100_000)}`, 'xx\u0007a').keys.map(said)).toEqual(['"a"']);
});

test('a paste beyond a mebibyte is truncated and marked as such', () => {
  const chunk = '縁'.repeat(20_000);
  const { keys } = parse('\u001b[200~', ...Array<string>(40).fill(chunk), '\u001b[201~x');
  const [paste, after] = keys;
  expect(paste).toMatchObject({ kind: 'paste', isTruncated: true });
  expect(Buffer.byteLength((paste as { text: string }).text)).toBeLessThanOrEqual(1 << 20);
  expect(Buffer.byteLength((paste as { text: string }).text)).toBeGreaterThan(1_000_000);
  expect(after).toEqual({ kind: 'text', text: 'x' });
});

test('any input is parsed without an exception, a stuck state or control characters in texts', () => {
  const begins = fc.constantFrom(
    '\u001b',
    '\u001b[',
    '\u001bO',
    '\u001b]',
    '\u001bP',
    '\u001b[200~',
    '\u001b[201~',
    '\u001b[<',
    '\u001b[[',
    '\u0007',
  );
  const rests = fc.constantFrom(
    '0',
    '1;5',
    ';',
    ':',
    '~',
    'u',
    'M',
    '$',
    '^',
    'A',
    '9'.repeat(30),
    '-',
    ' ',
    '\u009c',
    '縁',
    '\ud800',
    '27;',
  );
  const chunk = fc.oneof(
    begins.map((text) => Buffer.from(text)),
    rests.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 12 }),
  );
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 40 }), (chunks) => {
      const { keys, parser } = parse(...chunks);
      parser.flush();
      expect(parser.flushDelayMs).toBeUndefined();
      for (const key of keys) if (key.kind === 'text') expect(key.text).not.toMatch(/\p{Cc}|^$/u);
      // A character may be incomplete.
      parser.push(Buffer.from(' q'));
      expect(keys.at(-1)).toMatchObject({ kind: 'text' });
      expect((keys.at(-1) as { text: string }).text.endsWith('q')).toBe(true);
    }),
    { seed, numRuns: 5_000 },
  );
});
