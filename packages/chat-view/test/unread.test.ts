// Tests of the unread count.
import { countUnread, formatUnread } from '@engawa/chat-view';
import type { Chat } from '@engawa/client';
import { expect, test } from 'vitest';

const chat = (seq: number, fields: Partial<Chat> = {}): Chat => ({ seq, id: `${seq}`, at: seq, username: 'ben', message: 'hi', ...fields });
const count = (chats: Chat[], { readSeq = 0, hasOlder = false } = {}) => countUnread(chats, { readSeq, me: 'aya', hasOlder });

test('chats of others after the last read one are unread, but for deleted ones', () => {
  const deleted = chat(5, { message: null, deleted: true });
  const chats = [chat(2), chat(3), chat(4, { username: 'aya' }), deleted, chat(7, { message: '@aya, are you there?' })];
  expect(count(chats)).toEqual({ count: 3, hasMore: false, mentions: 1 });
  expect(count(chats, { readSeq: 2 })).toEqual({ count: 2, hasMore: false, mentions: 1 });
  expect(count(chats, { readSeq: 7 })).toEqual({ count: 0, hasMore: false, mentions: 0 });
});

test('the count is incomplete if the last read chat is not loaded, or above 999', () => {
  expect(formatUnread(count([chat(2), chat(3)], { hasOlder: true }))).toBe('2+');
  expect(formatUnread(count([chat(2), chat(3)], { hasOlder: true, readSeq: 2 }))).toBe('1');
  const many = Array.from({ length: 1_001 }, (_, index) => chat(index + 2));
  expect(formatUnread(count(many))).toBe('999+');
});
