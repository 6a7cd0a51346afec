// Tests of long rooms: they open at once and can be read completely, and the view stays at its position.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Draft, openMemory, type Store } from '@engawa/server';
import { startServer, until } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { joinVeranda, openChat, sendChat, typeLine } from './helpers/chat.ts';
import type { Pty } from './helpers/pty.ts';

const CHATS = 100_000;

/** Resident memory of a process, in bytes. */
const memoryOf = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

/** The rows of the timeline, without the room list. */
const body = (pty: Pty): string[] =>
  pty
    .screen()
    .slice(1, -3)
    .map((row) => row.slice(24));

/** The numbers at the start of the visible chats, from the top. */
const numbers = (pty: Pty): number[] =>
  body(pty)
    .flatMap((row) => (/│ (\d+) /.exec(row)?.[1] ?? []) as string)
    .map(Number);

const OWN = { by: 'aya', author: 'author-of-all' };

/** Writes the room as the server would after this many chats of aya, but in large batches. */
async function fill(store: Store): Promise<void> {
  const keyUpdates: Draft['keyUpdates'] = [['settings', { owner: OWN.author, topic: '' }]];
  const epoch = await append(store, null, [{ ...OWN, id: randomUUID(), kind: 'create:room', body: {}, keyUpdates }]);
  for (let written = 0; written < CHATS; written += 1_000)
    await append(
      store,
      epoch,
      Array.from({ length: 1_000 }, (_, each) => chat(written + each + 1)),
    );
}

const chat = (number: number): Draft => ({
  ...OWN,
  id: randomUUID(),
  kind: 'create:chat',
  body: { message: `${number} xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` },
  listed: true,
});

async function append(store: Store, epoch: string | null, drafts: Draft[]): Promise<string> {
  const appended = await store.append('veranda', { epoch, expectedVersions: [], drafts });
  if (appended.outcome === 'stale') throw new Error('Another process writes to the room.');
  return appended.epoch;
}

const isWithoutHole = (all: number[]): boolean => all.every((each, at) => each === (all[0] ?? 0) + at);

test('a room of 100,000 chats opens at once and is read to its start and back in bounded memory', async () => {
  const store = openMemory();
  await fill(store);
  const { url } = await startServer({ store, rateLimits: 'off' });
  const aya = openChat(url, { as: 'reader' });
  await aya.waitForText(`│ ${CHATS} xx`);
  const opened = memoryOf(aya.pid);
  const moves = (isThere: (first: number) => boolean) =>
    until(() => isThere(numbers(aya)[0] ?? 0) && isWithoutHole(numbers(aya)), 'it has moved, without a hole');
  for (let first = CHATS; first > CHATS - 2_300; [first = 0] = numbers(aya)) {
    aya.press('pageup');
    await moves((now) => now < first);
  }
  aya.press('home');
  await aya.waitForText('│ 1 xx');
  for (let first = 1; first < 400; [first = 0] = numbers(aya)) {
    aya.press('pagedown');
    await moves((now) => now > first);
  }
  aya.press('end');
  await aya.waitForText(`│ ${CHATS} xx`);
  await aya.waitForNoText('newest (End)');
  expect(memoryOf(aya.pid) - opened).toBeLessThan(64 * 1024 * 1024);
});

test('a reader of old chats is not moved by new ones and sees edits, deletions and reactions there', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  const seqs: number[] = [];
  for (let from = 0; from < 2_400; from += 100) {
    seqs.push(...(await Promise.all(Array.from({ length: 100 }, (_, each) => sendChat(ben, `${from + each} old`)))));
  }
  const aya = openChat(url);
  await aya.waitForText('│ 2399 old');
  aya.press('home');
  await aya.waitForText('│ 0 old');
  aya.press('pagedown');
  await aya.waitForText('│ 30 old');
  const before = body(aya);
  const middle = (numbers(aya)[0] ?? 0) + 10;
  for (let from = 0; from < 2_200; from += 100)
    await Promise.all(Array.from({ length: 100 }, (_, each) => sendChat(ben, `${from + each} new`)));
  await aya.waitForText('↓ 999+ new (End)');
  expect(body(aya)).toEqual(before);
  await ben.edit(seqs[middle] ?? 0, `${middle} old, and edited`);
  await ben.delete(seqs[middle + 1] ?? 0);
  await ben.react(seqs[middle + 2] ?? 0, '🌸');
  await aya.waitForText(`│ ${middle} old, and edited (edited)`);
  await aya.waitForText('│ (deleted)');
  await aya.waitForText('🌸 1');
  aya.press('end');
  await aya.waitForText('│ 2199 new');
  await aya.waitForNoText('(End)');
  aya.press('home');
  await aya.waitForText('│ 0 old');
});

test('slightly scrolled back, the view is not moved by new chats, and End leads to them', async () => {
  const { url } = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(url);
  for (let each = 0; each < 80; each += 1) await sendChat(ben, `${each} old`);
  const aya = openChat(url);
  await aya.waitForText('│ 79 old');
  aya.wheel('up', { column: 50, row: 10 });
  await aya.waitForNoText('│ 79 old');
  const before = body(aya);
  for (let each = 0; each < 3; each += 1) await sendChat(ben, `${each} new\nof\nlines`);
  await aya.waitForText('↓ 3 new (End)');
  expect(body(aya)).toEqual(before);
  // So many that the visible chats are dropped from the newest ones in memory.
  for (let from = 0; from < 2_100; from += 100)
    await Promise.all(Array.from({ length: 100 }, (_, each) => sendChat(ben, `${from + each} newer`)));
  await aya.waitForText('↓ 999+ new (End)');
  expect(body(aya)).toEqual(before);
  aya.press('end');
  await aya.waitForText('│ 2099 newer');
});

test('a deleted room is not confused with a new one of the same id: joining it starts anew', async () => {
  const first = await startServer({ rateLimits: 'off' });
  const ben = await joinVeranda(first.url);
  for (let each = 0; each < 60; each += 1) await sendChat(ben, `${each} of the old room`);
  const aya = openChat(first.url);
  await aya.waitForText('│ 59 of the old room');
  aya.press('pageup');
  await aya.waitForNoText('│ 59 of the old room');
  await first.stop();
  await aya.waitForText('reconnecting');
  const { url } = await startServer({ rateLimits: 'off', port: Number(new URL(first.url).port) });
  const noa = await joinVeranda(url, 'noa');
  await sendChat(noa, 'of the new room');
  await aya.waitForText('Room does not exist', 20_000);
  await aya.waitForText('● connected');
  expect(aya.screen().join('\n')).not.toContain('of the new room');
  typeLine(aya, '/join veranda');
  await aya.waitForText('│ of the new room');
  expect(aya.screen().join('\n')).not.toContain('of the old room');
  typeLine(aya, 'hello, new room');
  await aya.waitForText(/│ hello, new room$/m);
  aya.press('home');
  await aya.waitForText('│ of the new room');
  expect(aya.screen().join('\n')).not.toContain('of the old room');
});
