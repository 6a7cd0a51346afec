/** Which names are confusable, and which are not. */

import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { comparisonForms } from '#domain/confusables.js';
import { foldName } from '#domain/room-keys.js';

const areConfusable = (one: string, other: string): boolean => comparisonForms(one).some((form) => comparisonForms(other).includes(form));

test.each([
  ['Latin and Cyrillic', 'paypal', 'раураl'],
  ['one Cyrillic letter', 'admin', 'аdmin'],
  ['a Greek letter', 'nova', 'nοva'],
  ['Cherokee', 'AYA', 'ᎪᎽᎪ'],
  ['a letter of phonetics', 'google', 'ɡoogle'],
  ['two letters for one', 'modern', 'rnodern'],
  ['a capital I and an l', 'Iris', 'lris'],
  ['a one and an l', 'user1', 'userl'],
  ['a bar and an l', 'al', 'a|'],
  ['zeros and capital Os', 'O0', '00'],
  ['a zero and an o', 'bob', 'b0b'],
  ['case', 'Aya', 'aya'],
  ['width', 'ａｄｍｉｎ', 'admin'],
  ['width and a capital I', 'Ｉris', 'lris'],
  ['half-width kana', 'ｶﾒ', 'カメ'],
  ['hiragana and katakana', 'へ', 'ヘ'],
  ['mathematical letters', '𝐚𝓎𝖆', 'aya'],
  ['a zero-width space', 'ay\u200ba', 'aya'],
  ['a right-to-left override', 'aya\u202e', 'aya'],
  ['a soft hyphen and a confusable', 'a\u00adуa', 'aya'],
  ['spaces', 'aya mori', 'aya   mori'],
  ['kinds of spaces', 'aya mori', 'aya\u3000mori'],
  ['an Ogham space', 'aya mori', 'aya\u1680mori'],
  ['apostrophes', "O'Brien", 'O’Brien'],
  ['hyphens', 'Jean-Luc', 'Jean‐Luc'],
  ['a caron and a breve', 'ǎ', 'ă'],
  ['a letter that folds to a confusable', 'Γ', 'y'],
  ['a stroke', 'Łukasz', 'l\u0338ukasz'],
  ['Cyrillic in capitals', 'МАRIА', 'MARIA'],
])('%s: %j is confusable with %j', (_, one, other) => {
  expect([areConfusable(one, other), areConfusable(other, one)]).toEqual([true, true]);
});

test.each([
  ['katakana and Han', 'カメ', '力メ'],
  ['katakana and Han', 'ニコ', '二コ'],
  ['katakana and Han', 'ロ', '口'],
  ['katakana and Han', 'エ', '工'],
  ['katakana and Han', 'ト', '卜'],
  ['katakana and Han', 'タ', '夕'],
  ['katakana and Han', 'ハ', '八'],
  ['katakana and Han', 'イ', '亻'],
  ['katakana and a stroke', 'ノ', '丿'],
  ['a long vowel and a one', 'ー', '一'],
  ['accents', 'José', 'Jose'],
  ['umlauts', 'Ömer', 'Omer'],
  ['i and l', 'iris', 'lris'],
  ['numbers', 'member-10', 'member-11'],
  ['a number and one more digit', 'user1', 'user10'],
  ['letters of one script', 'Анна', 'Инна'],
  ['nothing in common', 'aya', 'ben'],
])('%s: %j is not confusable with %j', (_, one, other) => {
  expect([areConfusable(one, other), areConfusable(other, one)]).toEqual([false, false]);
});

test('no two numbers are confusable, with any prefix', () => {
  for (const before of ['', 'm', 'user', 'guest ', 'member-', 'ol']) {
    const known = new Map<string, number>();
    for (let number = 0; number < 12_000; number += 1) {
      const forms = comparisonForms(`${before}${number}`);
      expect(forms.filter((form) => known.has(form))).toEqual([]);
      for (const form of forms) known.set(form, number);
    }
  }
});

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'aAаΑIl1|0OoOrnmｍé́カ力 \u200b') }));

test('a text is confusable with its folded form, and folding is idempotent', () => {
  fc.assert(
    fc.property(text, (each) => {
      expect(areConfusable(each, foldName(each))).toBe(true);
      for (const form of comparisonForms(each)) expect([foldName(form), comparisonForms(form)[0]]).toEqual([form, form]);
    }),
    { numRuns: 5_000, seed },
  );
});

test('common names have one form', () => {
  for (const name of ['aya', 'Aya Mori', 'member-2', "O'Brien", 'josé', '山田太郎', 'カメ', '🙂'])
    expect(comparisonForms(name)).toHaveLength(1);
});
