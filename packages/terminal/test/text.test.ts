// Tests of sanitizing, measuring, wrapping, links and confusable names.

import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { displayWidth, isSimpleText, measureGraphemes, truncate } from '#text/display-width.js';
import { linkifyUrls } from '#text/hyperlinks.js';
import { sanitizeLine, sanitizeLines } from '#text/sanitize.js';
import type { Row } from '#text/styled-span.js';
import { wrapRow } from '#text/wrap.js';

const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u2800\p{Default_Ignorable_Code_Point}]/u;
const JOINERS = /\u200c|\u200d|\ufe0e|\ufe0f/g;
/** Flags of England, Scotland and Wales, which are made of tags. */
const TAGGED_FLAG = /🏴[\u{e0061}-\u{e007a}]{5}\u{e007f}/gu;

const spiteful = fc.constantFrom(
  ...['\u001b[2J', '\u009b31m', '\u001b]0;x\u0007', '\u009d52;c;x\u009c', '\r', '\n', '\r\n', '\u0085', '\t', '\u0000', '\u007f'],
  ...['\u202e', '\u2066', '\u200f', '\u061c', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u034f', '\u180e', '\u2028'],
  ...['\u3164', '\u115f', '\u1160', '\uffa0', '\u2800', '\u{e0041}', '\u{e007f}', '\u{e0100}', '\ufe0f', '\ufe0e', '\ud83d', '\udc00'],
  ...['\ufffe', '\ue000', '\u{10ffff}', '\u0378', '\u0301', '\u0e31', '\u20e3', '\uff9e', '\u{1f3fd}', '\u1100', '\u1161', '\u0600'],
  ...['a', 'Z', ' ', '縁', 'が', '、', '「', '👩', '❤', '👍', '🏴', '🇯', '1', 'क', '\u094d', 'م', 'ی', '한', 'http://a.b/'],
);
const unit = fc.oneof({ weight: 5, arbitrary: spiteful }, { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) });
const spite = fc.array(unit, { maxLength: 60 }).map((parts) => parts.join(''));
const check = <Value>(value: fc.Arbitrary<Value>, holds: (value: Value) => void) =>
  fc.assert(fc.property(value, holds), { seed, numRuns: 3_000 });

const bytesOf = (text: string) => Buffer.byteLength(text);

test('safe text has no control, bidirectional, invisible or unassigned characters', () => {
  check(spite, (text) => {
    for (const line of [sanitizeLine(text), ...sanitizeLines(text)]) {
      expect(line.isWellFormed()).toBe(true);
      expect(line.replace(TAGGED_FLAG, '').replace(JOINERS, '')).not.toMatch(FORBIDDEN);
      for (const { text: grapheme } of measureGraphemes(line)) expect(bytesOf(grapheme)).toBeLessThanOrEqual(100);
      expect(line).not.toMatch(/\p{M}{5}/u);
      expect(sanitizeLine(line)).toBe(line);
    }
  });
});

test.each([
  ['an escape sequence', 'a\u001b[2Jb\u0007c\u009bd', 'a\ufffd[2Jb\ufffdc\ufffdd'],
  ['an operating system command in 8 bits', '\u009d52;c;eA==\u009c', '\ufffd52;c;eA==\ufffd'],
  ['line breaks', 'a\nb\rc\r\nd\u2028e', 'a ⏎ b ⏎ c ⏎ d ⏎ e'],
  ['a reversed name', 'gpj.\u202eexe', 'gpj.\ufffdexe'],
  ['zero width', 'a\u200bb\u2060c\ufeffd', 'a\ufffdb\ufffdc\ufffdd'],
  ['joiners between Latin letters', 'a\u200db\u200cc', 'a\ufffdb\ufffdc'],
  ['tags', 'a\u{e0041}\u{e0042}', 'a\ufffd'],
  ['Hangul fillers and the blank of braille', '\u3164\u2800', '\ufffd'],
  ['a lone surrogate', 'a\ud800b', 'a\ufffdb'],
  ['private and unassigned', '\ue000\u0378', '\ufffd'],
  ['marks without a letter', '\u0301a', '\u25cc\u0301a'],
  ['marks without end', `a${'\u0301'.repeat(10_000)}b`, 'a\u0301\u0301\u0301\u0301b'],
  ['a tab', 'a\tb', 'a  b'],
  ['a form of an ideograph', '葛\u{e0100}城', '葛城'],
])('%s is sanitized visibly', (_, text, shown) => expect(sanitizeLine(text)).toBe(shown));

test.each([
  ['Japanese', '縁側でお茶を。ﾊﾝｶｸ'],
  ['decomposed kana', 'か\u3099'],
  ['Korean', '안녕하세요'],
  ['Persian with its joiners', 'می\u200cخواهم'],
  ['Hindi', 'क्\u200dष नमस्ते'],
  ['Thai', 'สวัสดี'],
  ['Vietnamese', 'tie\u0302\u0301ng Vie\u0323\u0302t'],
  ['a family', '👨‍👩‍👧‍👦'],
  ['skin and hair', '👩🏽‍🦰 👍🏿'],
  ['a kiss', '👩🏻‍❤️‍💋‍👨🏿'],
  ['flags', '🇯🇵🏳️‍🌈🏴󠁧󠁢󠁳󠁣󠁴󠁿'],
  ['keycaps and presentations', '1️⃣ ❤️ ❤︎'],
])('%s is unchanged', (_, text) => expect(sanitizeLine(text)).toBe(text));

test('one grapheme of ten kilobytes is cut', () => {
  for (const chain of [Array(2_000).fill('👩').join('\u200d'), '\u1100'.repeat(5_000), `👍${'🏿'.repeat(2_000)}`, `क${'्क'.repeat(3_000)}`])
    for (const { text } of measureGraphemes(sanitizeLine(chain))) expect(bytesOf(text)).toBeLessThanOrEqual(100);
});

test('a hundred kilobytes of any text are sanitized in time', { timeout: 10_000 }, () => {
  for (const each of ['\u0301', '\u200d', 'a\u200d', '👩\u200d', '\u001b', 'https://', '(', 'क्'])
    linkifyUrls(sanitizeLine(each.repeat(100_000 / each.length)));
});

test.each([
  ['abc', 3],
  ['縁側', 4],
  ['ﾊﾝ', 2],
  ['안녕', 4],
  ['が', 2],
  ['か\u3099', 2],
  ['é', 1],
  ['e\u0301', 1],
  ['👍🏿', 2],
  ['👨‍👩‍👧‍👦', 2],
  ['🇯🇵', 2],
  ['❤️', 2],
  ['❤', 1],
  ['1️⃣', 2],
  ['→±…', 3],
  ['\ufffd', 1],
  ['สวัสดี', 4],
])('%s takes %i columns', (text, columns) => expect(displayWidth(text)).toBe(columns));

test('the graphemes of a text add up to the text and to its width', () => {
  check(spite.map(sanitizeLine), (text) => {
    const parts = measureGraphemes(text);
    expect(parts.map((part) => part.text).join('')).toBe(text);
    expect(parts.reduce((sum, { columns }) => sum + columns, 0)).toBe(displayWidth(text));
    expect(displayWidth(`${text} x`)).toBe(displayWidth(text) + 2);
  });
});

test('simple text is visible, one grapheme per code unit, and as wide as measured', () => {
  const plain = Array.from({ length: 0x1_0000 }, (_, unit) => String.fromCharCode(unit)).filter(isSimpleText);
  expect(plain.length).toBeGreaterThan(30_000);
  const segmenter = new Intl.Segmenter();
  for (const each of plain) {
    if (FORBIDDEN.test(each)) expect.fail(`${each} may not be shown`);
    if (stringWidth(each) !== displayWidth(each)) expect.fail(`${each} takes ${stringWidth(each)} columns`);
    if ([...segmenter.segment(`${each}a${each}${each}`)].length !== 4) expect.fail(`${each} joins what is beside it`);
  }
});

test('fitted text is never wider, and unchanged if it fits', () => {
  check(fc.tuple(spite.map(sanitizeLine), fc.nat(30)), ([text, columns]) => {
    const cut = truncate(text, columns);
    expect(displayWidth(cut)).toBeLessThanOrEqual(columns);
    expect(cut === text).toBe(displayWidth(text) <= columns);
  });
  expect(truncate('縁側で', 4)).toBe('縁…');
});

const textOf = (row: Row) => row.map(({ text }) => text).join('');
const rowsOf = (text: string, columns: number) => wrapRow([{ text }], columns).map(textOf);

test('wrapped rows are never wider than requested, and lose only spaces', () => {
  const asked = fc.record({
    row: fc.array(spite.map(sanitizeLine), { maxLength: 4 }),
    columns: fc.integer({ min: 3, max: 40 }),
    indent: fc.nat(50),
  });
  check(asked, ({ row, columns, indent }) => {
    const spans = row.map((text) => ({ text }));
    // A row cannot display characters that are wider than itself.
    fc.pre(spans.every(({ text }) => measureGraphemes(text).every((each) => each.columns < 3)));
    const rows = wrapRow(spans, columns, { indent });
    for (const each of rows) expect(displayWidth(textOf(each))).toBeLessThanOrEqual(columns);
    expect(rows.map(textOf).join('').replaceAll(' ', '')).toBe(row.join('').replaceAll(' ', ''));
  });
});

test('rows break at spaces, and in Japanese anywhere but before closing and after opening marks', () => {
  expect(rowsOf('one two three', 8)).toEqual(['one two', 'three']);
  expect(rowsOf('縁側でお茶', 4)).toEqual(['縁側', 'でお', '茶']);
  expect(rowsOf('縁側。お茶', 4)).toEqual(['縁', '側。', 'お茶']);
  expect(rowsOf('縁側「茶」', 6)).toEqual(['縁側', '「茶」']);
  expect(rowsOf('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
  expect(rowsOf('a縁', 1)).toEqual(['a', '\ufffd']);
  expect(rowsOf('안녕 하세요', 8)).toEqual(['안녕', '하세요']);
  expect(wrapRow([{ text: 'one two' }], 5, { indent: 2 })).toEqual([[{ text: 'one' }], [{ text: '  ' }, { text: 'two' }]]);
});

test('a URL is broken only if it is longer than a row, and every part is the link', () => {
  const row = linkifyUrls('see the https://example.com/縁側/a now');
  expect(wrapRow(row, 24).map(textOf)).toEqual(['see the', 'https://example.com/縁側', '/a now']);
  expect(wrapRow(row, 30).map(textOf)).toEqual(['see the', 'https://example.com/縁側/a now']);
  const link = 'https://example.com/%E7%B8%81%E5%81%B4/a';
  expect(
    wrapRow(row, 12)
      .flatMap((each) => each.filter((span) => span.link === link).map(({ text }) => text))
      .join(''),
  ).toBe('https://example.com/縁側/a');
});

test.each([
  ['http://a.b', 'http://a.b', 'http://a.b/'],
  ['(see https://a.b/c_(d)).', 'https://a.b/c_(d)', 'https://a.b/c_(d)'],
  ['「https://a.b/c」', 'https://a.b/c', 'https://a.b/c'],
  ['https://a.bを見て', 'https://a.b', 'https://a.b/'],
  ['https://日本語.jp/', 'https://日本語.jp/', 'https://xn--wgv71a119e.jp/'],
  ['https://аррӏе.com/x', 'https://xn--80ak6aa92e.com/x', 'https://xn--80ak6aa92e.com/x'],
  ['https://gооgle.com', 'https://xn--ggle-55da.com', 'https://xn--ggle-55da.com/'],
  ['http://2130706433/', 'http://127.0.0.1/', 'http://127.0.0.1/'],
  ['https://a.b/\u001b]8;;\u0007', 'https://a.b/', 'https://a.b/'],
  ['https://a.b/אבג', 'https://a.b/%D7%90%D7%91%D7%92', 'https://a.b/%D7%90%D7%91%D7%92'],
])('%s displays its real target', (text, shown, link) => {
  expect(linkifyUrls(sanitizeLine(text)).filter((span) => span.link)).toEqual([{ text: shown, link, underline: true }]);
});

test.each(['javascript:alert(1)', 'https://google.com@evil.example/', 'http://', 'file:///etc/passwd', 'xhttp://a.b', 'https://[::1'])(
  '%s is not a link',
  (text) => expect(linkifyUrls(text)).toEqual([{ text }]),
);

test('a link has only visible ASCII, and the text around it is unchanged', () => {
  const parts = fc.array(fc.oneof(unit, fc.constantFrom('https://', 'a.b', '/', '@', '#', '?', ')', '「', 'é.com')), { maxLength: 30 });
  check(parts, (each) => {
    const text = sanitizeLine(each.join(''));
    const row = linkifyUrls(text);
    for (const { link } of row) expect(link ?? 'x').toMatch(/^[!-~]+$/);
    for (const span of row) if (!span.link) expect(text).toContain(span.text);
    if (!row.some(({ link }) => link)) expect(textOf(row)).toBe(text);
  });
});
