// Tests of a malicious server: all that it sends is displayed as text.

import { createTempFolder } from '@engawa/testkit/folders';
import { startStubServer } from '@engawa/testkit/processes/stub-server';
import { expect, test } from 'vitest';
import { ENGAWA, openChat, typeLine } from './helpers/chat.ts';
import { findUnsafeOutput } from './helpers/escape-sequence-check.ts';
import { openPty } from './helpers/pty.ts';

const EVIL = 'evil\u001b]52;c;cm0=\u0007\u001b[3J\u009b5m\u0090x\u009c\nnext\r\u202eline\u2066\u200b\u0000\b\u007f\ud800 漢';
const EPOCH = 'an-epoch';

const refusal = { ok: false, error: { code: EVIL, message: EVIL, retryable: false } };

const place = { roomId: 'veranda', epoch: EPOCH, seq: 2, tail: 'tail' };
const membership = { username: 'aya', role: 'member', topic: EVIL, retention: {}, members: 2, asOf: 2, online: 2, read: 1 };
const chat = { seq: 2, id: 'tail', at: Date.now(), username: EVIL, by: EVIL, message: EVIL, reactions: [{ reaction: EVIL, count: 1 }] };
const answers: Record<string, object> = {
  'list:chats': { ...place, chats: [chat], asOf: 2, hasMore: { before: false, after: false } },
  'list:members': {
    roomId: 'veranda',
    members: [{ username: EVIL, role: 'owner', presence: 'online' }],
    count: 1,
    hasMore: false,
    asOf: 2,
  },
  'list:rooms': { rooms: [{ roomId: EVIL, topic: EVIL, members: 1, online: 1 }], hasMore: false },
  'create:room': { ...place, ...membership },
  'add:member': { ...place, ...membership },
};

test('reasons for a refused connection or room are displayed as text', async () => {
  const { url, refuseConnections } = await startStubServer(() => refusal);
  const refused = openChat(url);
  await refused.waitForText('evil');
  expect(findUnsafeOutput(refused.output())).toEqual([]);
  refuseConnections(refusal.error);
  const late = openChat(url);
  await late.waitForText('evil');
  expect(findUnsafeOutput(late.output())).toEqual([]);
});

test('names, chats, topics and refusals that no honest server sends are displayed as text', async () => {
  const { url } = await startStubServer((event) => (answers[event] ? { ok: true, ...answers[event] } : refusal));
  const aya = openChat(url);
  await aya.waitForText('evil');
  typeLine(aya, '/who');
  await aya.waitForText('Who is here');
  aya.press('escape');
  await aya.waitForNoText('Who is here');
  typeLine(aya, '/rooms');
  await aya.waitForText('Go to a room');
  await aya.waitForText(/1 member/);
  aya.press('escape');
  await aya.waitForNoText('Go to a room');
  typeLine(aya, 'a chat that it refuses');
  await aya.waitForText('not sent');
  typeLine(aya, '/topic');
  await aya.waitForText('Topic: evil');
  typeLine(aya, '/react 🍵');
  await aya.waitForText('Not done: ');
  expect(aya.title()).not.toContain('evil');
  expect(aya.screen().at(-1)).toMatch(/^ ● connected .* aya · \/help$/);
  expect(findUnsafeOutput(aya.output())).toEqual([]);
});

test.each([['rooms'], ['who', 'veranda'], ['read', 'veranda'], ['chat', 'veranda', '--plain']])(
  'engawa %s prints only text from a malicious server',
  async (...args) => {
    const { url } = await startStubServer((event) => (answers[event] ? { ok: true, ...answers[event] } : refusal));
    const env = { HOME: createTempFolder() };
    const lines = openPty(process.execPath, [ENGAWA, ...args, '--as', 'aya', '--server', url], { columns: 100, env });
    await lines.waitForText('evil');
    if (args[0] === 'chat') lines.press('ctrl+d');
    await lines.exited;
    // Readline needs only these sequences to edit a line.
    expect(findUnsafeOutput(lines.output().replace(/\u001b\[\d*[CDGKJ]|\u001b\[\?2004[hl]|\r\n?|\n/g, ''))).toEqual([]);
  },
);
