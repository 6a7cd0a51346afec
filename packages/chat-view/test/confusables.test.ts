// Tests of confusable names.
import { findConfusables } from '@engawa/chat-view';
import { expect, test } from 'vitest';

test.each([
  [['aya', 'аyа']],
  [['admin', 'ａｄｍｉｎ']],
  [['google', 'ɡoogle']],
  [['lan', 'Ian']],
  [['b0b', 'bob']],
  [['ニコ', '二コ']],
  [['カメ', '力メ', 'ｶﾒ']],
  [['ロ', '口']],
  [['エ', '工']],
  [['ト', '卜']],
  [['タ', '夕']],
  [['ハ', '八']],
  [['イ', '亻']],
  [['ー', '一']],
  [['aya', 'aya\u200b', 'a\u2060ya']],
])('%s are confusable', (names) => expect([...findConfusables([...names, 'chiyo', 'dan'])].sort()).toEqual([...names].sort()));

test('names that differ visibly are not confusable', () => {
  expect(findConfusables(['aya', 'ayá', 'ben', 'Ben2', 'ben3', '縁側', '縁', 'user1', 'user2', 'aya'])).toEqual(new Set());
});
