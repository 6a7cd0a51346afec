/** Mentions of a name in a text. */

import { mentions } from '@engawa/protocol/mentions';
import { seed } from '@engawa/testkit/seed';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test.each([
  ['hi aya', 'aya', true],
  ['@aya: look', 'aya', true],
  ['AYA!', 'aya', true],
  ['ａｙａ さん', 'aya', true],
  ['ayaさん、こんにちは', 'aya', true],
  ['綾香さん', '綾香', true],
  ['papaya', 'aya', false],
  ['ayako', 'aya', false],
  ['aya_2', 'aya', false],
  ['手綾', '綾', false],
  ['@綾 さん', '綾', true],
  ['see a.b-c (d)', 'a.b-c (d)', true],
  ['see axb-c (d)', 'a.b-c (d)', false],
])('%j mentions %j: %j', (text, name, wanted) => {
  expect(mentions(text, name)).toBe(wanted);
});

test('any name can be searched for in any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'binary' }), (name, text) => {
      expect(typeof mentions(text, name)).toBe('boolean');
    }),
    { seed },
  );
});
