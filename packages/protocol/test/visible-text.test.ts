/** Valid names, reactions and chats. */
import { events, LIMITS, newRoomId, newUsername } from '@engawa/protocol';
import { describe, expect, test } from 'vitest';

const { reaction } = events['add:reaction'].payload.shape;
const { message } = events['create:chat'].payload.shape;
const { message: edit } = events['update:chat'].payload.shape;
const { username: oldUsername, roomId: oldRoomId } = events['create:chat'].payload.shape;

/** Real names, as they are typed. */
const honest = [
  'aya',
  'Aya Mori',
  "O'Brien",
  'Jean-Luc',
  'J.R.R.',
  'José',
  'Jose\u0301',
  'Nguyễn Thị Ánh',
  'Nguyễn Thị Ánh'.normalize('NFD'),
  'Zoë',
  'Łukasz',
  'Þórdís',
  'Čapek',
  'Şükrü',
  'Ərəstun',
  'Straße',
  'Ærøskøbing',
  'Ngũgĩ wa Thiong’o',
  'Kalākaua',
  'ʻOkina',
  'Анна',
  'Йосип',
  'Σωκράτης',
  'Ἀριστοτέλης',
  'Հայկ',
  'დავით',
  'שָׁלוֹם',
  'דוד',
  'محمد',
  'مُحَمَّد',
  'می\u200cخواهم',
  'علی\u200cرضا',
  'پڕۆژە\u200cکان',
  'ܝܫܘܥ',
  'ߒߞߏ',
  'अमृता',
  'क्\u200dष',
  'शक्\u200cति',
  'র\u200d্যাব',
  'ਸਿੰਘ',
  'தமிழ்',
  'తెలుగు',
  'ಕನ್ನಡ',
  'അവന്\u200d',
  'ශ්\u200dරී ලංකා',
  'ไทย',
  'ที่รัก',
  'ລາວ',
  'လျှော့',
  'ស្រី',
  'བཀྲ་ཤིས',
  'ᠮᠣᠩᠭᠣᠯ',
  'ᠰᠠᠷ\u180eᠠ',
  '山田太郎',
  '山田　太郎',
  '葛\u{e0100}城',
  'カメ',
  '力メ',
  'ｶﾒ',
  'ー',
  '王小明',
  '김민준',
  '김민준'.normalize('NFD'),
  'ᏣᎳᎩ',
  'ᐃᓄᒃᑎᑐᑦ',
  'አበበ',
  'ⵜⴰⵎⴰⵣⵉⵖⵜ',
  '𞤀𞤣𞤤𞤢𞤥',
  'Aya ❤\ufe0f',
  '👨\u200d👩\u200d👧\u200d👦',
  '🏳\ufe0f\u200d🌈',
  '🏴\u200d☠\ufe0f',
  '👩🏽\u200d🚀',
  '🐻\u200d❄\ufe0f',
  '👁\ufe0f\u200d🗨\ufe0f',
  '🇯🇵 aya',
  '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}',
  '1\ufe0f\u20e3',
  '☎\ufe0e',
  '^_^',
  'room #7 (old)',
  '5 000 €',
];

test.each(honest)('%j is an ordinary name and room id', (name) => {
  for (const schema of [newUsername, newRoomId]) expect(schema.parse(name)).toBe(name.normalize('NFC'));
});

/** A description, and the text; it is tested in the middle of a name. */
const hidden: [what: string, text: string][] = [
  ['the blank of Braille', 'aya\u2800'],
  ['an annotation anchor', 'aya\ufff9'],
  ['an object replacement', 'aya\ufffc'],
  ['a private character', 'aya\ue000'],
  ['a private character of a later plane', 'aya\u{10fffd}'],
  ['a noncharacter', 'aya\uffff'],
  ['another noncharacter', 'aya\ufdd0'],
  ['a noncharacter alone', '\ufffe'],
  ['an unassigned character', 'aya\u0378'],
  ['an unassigned character of a later plane', 'aya\u{e0fff}'],
  ['a zero-width space', 'ay\u200ba'],
  ['a byte order mark', 'ay\ufeffa'],
  ['a word joiner', 'ay\u2060a'],
  ['a soft hyphen', 'ay\u00ada'],
  ['an invisible plus', 'ay\u2064a'],
  ['a grapheme joiner', 'ay\u034fa'],
  ['a left-to-right mark', 'aya\u200e'],
  ['a right-to-left override', 'aya\u202e'],
  ['an Arabic letter mark', 'ay\u061ca'],
  ['an isolate', 'a\u2066y\u2069a'],
  ['a Hangul filler', 'aya\u3164'],
  ['a half-width Hangul filler', 'aya\uffa0'],
  ['a filler of a leading consonant', 'aya\u115f'],
  ['a filler of a vowel', 'aya\u1160'],
  ['an inherent vowel of Khmer', 'aya\u17b4'],
  ['a musical null', 'aya\u{1d159}'],
  ['tag characters', 'aya\u{e0061}\u{e0079}\u{e007f}'],
  ['tag characters behind a picture', '🙂\u{e0061}\u{e007f}'],
  ['a tag that is not ended', '🏴\u{e0067}\u{e0062}\u{e0073}'],
  ['a joiner between Latin letters', 'ay\u200da'],
  ['a non-joiner between Latin letters', 'ay\u200ca'],
  ['a non-joiner at an end', 'می\u200c'],
  ['a joiner after a picture that joins none', 'aya 🙂\u200d'],
  ['a joiner between a letter and a picture', 'a\u200d🙂'],
  ['a variation selector after a letter', 'aya\ufe0f'],
  ['two variation selectors', 'aya ❤\ufe0f\ufe0f'],
  ['an ideographic variation selector after a letter', 'aya\u{e0100}'],
  ['a Mongolian selector after a letter', 'aya\u180b'],
  ['a Mongolian separator between Latin letters', 'ay\u180ea'],
  ['60 marks', `aya${'\u0301'.repeat(60)}`],
  ['five marks', `aya${'\u0315'.repeat(5)}`],
  ['five marks of several kinds', 'ayq\u0323\u0336\u0307\u0315\u20dd'],
  ['five marks with a joiner between them', 'ب\u064b\u064c\u064d\u200d\u0650\u0651'],
  ['nine marks that stand beside their letter', `က${'\u102c'.repeat(9)}`],
  ['a mark without a base', '\u0301aya'],
  ['a skin without a base', '🏽aya'],
];

describe.each(hidden)('%s', (_, text) => {
  test('is not allowed in a new name or room id', () => {
    for (const schema of [newUsername, newRoomId]) expect(schema.safeParse(text).success).toBe(false);
  });
});

test.each(['ay\u200ba', 'aya\u2800', 'aya\ue000', '\u0301aya', 'aya\ufe0f'])(
  '%j, which an earlier version took, is still reached',
  (text) => {
    for (const schema of [oldUsername, oldRoomId]) expect(schema.safeParse(text).success).toBe(true);
  },
);

test('four combining marks are allowed', () => {
  expect(newUsername.safeParse('aya\u0323\u0336\u0307\u0315').success).toBe(true);
});

test('an emoji that is newer than this server is valid as a name and a reaction', () => {
  const reserved = '\u{1faff}';
  expect(reserved).toMatch(/\p{Extended_Pictographic}/u);
  for (const schema of [newUsername, reaction]) expect(schema.safeParse(reserved).success).toBe(true);
});

const blank: [what: string, text: string][] = [
  ['nothing', ''],
  ['a space', ' '],
  ['a tab and line breaks', '\t\r\n\n'],
  ['wide spaces', '\u3000\u00a0\u2003\u1680'],
  ['a zero-width space', '\u200b'],
  ['joiners', '\u200d\u200c'],
  ['a byte order mark', '\ufeff'],
  ['Braille blanks', '\u2800 \u2800'],
  ['Hangul fillers', '\u3164\uffa0\u115f\u1160'],
  ['variation selectors', '\ufe0f\u{e0100}'],
  ['directions', '\u200e\u202e\u2066'],
  ['tag characters', '\u{e0061}\u{e007f}'],
  ['a line and a paragraph separator', '\u2028\u2029'],
  ['controls', '\u0000\u001b\u007f'],
  ['an object replacement', '\ufffc'],
  ['a noncharacter', '\uffff'],
  ['a frame full of spaces', ' '.repeat(LIMITS.textCodePoints)],
];

test.each(blank)('%s is not valid as a chat, an edit, a reaction or a name', (_, text) => {
  for (const schema of [message, edit, reaction, newUsername, newRoomId]) expect(schema.safeParse(text).success).toBe(false);
});

test.each(['.', ' x', '\u200bx', '\u2800\n!', '\u0301', '\ue000', ...honest])('%j is a valid chat', (text) => {
  for (const schema of [message, edit]) expect(schema.parse(text)).toBe(text);
});

const reactions = [
  '👍',
  '❤\ufe0f',
  '❤',
  '👍🏽',
  '👨\u200d👩\u200d👧\u200d👦',
  '🏳\ufe0f\u200d🌈',
  '🇯🇵',
  '1\ufe0f\u20e3',
  '+',
  'é',
  'e\u0301',
  '草',
  'ก็',
  '한',
  '/',
];

test.each(reactions)('%j is a valid reaction', (text) => {
  expect(reaction.parse(text)).toBe(text.normalize('NFC'));
});

test.each([
  ['two letters', 'ab'],
  ['two pictures', '👍👍'],
  ['a picture and a zero-width space', '👍\u200b'],
  ['one letter with 63 marks', `a${'\u0301'.repeat(63)}`],
  ['one letter with five marks', `a${'\u0315'.repeat(5)}`],
  ['a mark alone', '\u0301'],
  ['a skin alone', '🏽'],
  ['a variation selector alone', '\ufe0f'],
  ['a keycap without a key', '\u20e3'],
  ['a chain of pictures of 10 KB', Array.from({ length: 1_000 }, () => '👩').join('\u200d')],
  ['10,000 marks', `a${'\u0301'.repeat(10_000)}`],
  ['half of a character', '\ud83d'],
])('%s is not a valid reaction', (_, text) => {
  expect(reaction.safeParse(text).success).toBe(false);
});

test('characters that are hidden in a name are hidden in a reaction', () => {
  for (const [what, text] of hidden) expect(reaction.safeParse(text).success, what).toBe(false);
});
