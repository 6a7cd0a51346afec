/** Connections take turns: however much one sends, the requests of others run in between. */

import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { until } from '@engawa/testkit/processes/server';
import { expect, test, vi } from 'vitest';
import { exceedsJsonLimits } from '#api/json-size.js';
import { ATTACKER_HEADERS, startWithBystanders } from './helpers/bystanders.ts';

const MESSAGE = `42["no:such",{"text":"${'x'.repeat(60_000)}"}]`;
const MESSAGES = 200;
const SENDERS = 16;
const FEW_MESSAGES = 30;

test('of a client that sends megabytes at once, a few messages are read in each turn of the event loop, until all are read', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders({ rateLimits: 'off' });
  const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  const [socket] = [...io.sockets.sockets.values()].slice(-1);
  let turn = 0;
  const turns: number[] = [];
  socket?.conn.on('packet', () => turns.push(turn));
  const next = () => {
    turn += 1;
    if (turns.length < MESSAGES) setImmediate(next);
  };
  setImmediate(next);
  // The buffers of the operating system are full before the first read.
  await raw.send(...Array.from({ length: MESSAGES }, () => MESSAGE));
  await until(() => turns.length === MESSAGES, 'all are read');
  const counts = new Map<number, number>();
  for (const each of turns) counts.set(each, (counts.get(each) ?? 0) + 1);
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(4);
  await expectUnharmed();
});

test('of many clients that send megabytes, a few are read in each turn of the event loop, until all are read', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders({ rateLimits: 'off' });
  const senders = await Promise.all(
    Array.from({ length: SENDERS }, async () => connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }))),
  );
  let turn = 0;
  const turns: number[] = [];
  for (const socket of [...io.sockets.sockets.values()].slice(-SENDERS)) socket.conn.on('packet', () => turns.push(turn));
  const next = () => {
    turn += 1;
    if (turns.length < SENDERS * FEW_MESSAGES) setImmediate(next);
  };
  setImmediate(next);
  for (const raw of senders) void raw.send(...Array.from({ length: FEW_MESSAGES }, () => MESSAGE));
  await until(() => turns.length === SENDERS * FEW_MESSAGES, 'all are read');
  const counts = new Map<number, number>();
  for (const each of turns) counts.set(each, (counts.get(each) ?? 0) + 1);
  // Each is read once until all of them wait.
  const later = [...counts.values()].slice(3);
  expect(Math.max(...later)).toBeLessThanOrEqual(8);
  await expectUnharmed();
});

test('binary data in a payload is not scanned byte by byte', () => {
  const looking = vi.spyOn(Object, 'values');
  expect(exceedsJsonLimits({ maxLevels: 3, maxValues: 10 }, { a: [Buffer.alloc(64)] })).toBe(false);
  const looked = looking.mock.calls.length;
  looking.mockRestore();
  expect(looked).toBe(2);
  expect(exceedsJsonLimits({ maxLevels: 2, maxValues: 10 }, { a: [[1]] })).toBe(true);
});
