/** Frames without a meaning cost time too: a connection that sends more of them than any client needs is closed. */
import { LIMITS } from '@engawa/protocol';
import { connectRaw, openRawPolling, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { withTimeout } from '@engawa/testkit/processes/server';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ATTACKER_HEADERS, startWithBystanders } from './helpers/bystanders.ts';

const { burst } = LIMITS.rates.frames;
const frames = (count: number, frame: string): string[] => Array.from({ length: count }, () => frame);
/** Below the burst, including the frames of the handshake. */
const SOME = burst - 100;
const MANY = burst + 1_000;

const packets = ['3', '6', '43[]', '431[1]', '41/x,', '42["x"]'];

test.each(packets)('a connection that sends many packets %s is closed, one that sends some is not', async (packet) => {
  const { url, expectUnharmed } = await startWithBystanders();
  const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  await raw.send(...frames(MANY, packet));
  await withTimeout(raw.closed, 'it is closed');
  await expectUnharmed();
});

test.each(['pong', 'ping'] as const)('one that sends many frames of the kind %s is closed', async (kind) => {
  const { url, expectUnharmed } = await startWithBystanders();
  const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  for (const _ of frames(MANY, kind)) raw.socket[kind]();
  await withTimeout(raw.closed, 'it is closed');
  await expectUnharmed();
});

test('frames of all kinds count together, and each closed connection is logged once', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const { url, expectUnharmed } = await startWithBystanders({ log });
  const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  for (const _ of frames(burst / 2, 'pong')) raw.socket.pong();
  await raw.send(...frames(burst / 2 + 1_000, '3'));
  await withTimeout(raw.closed, 'it is closed');
  expect(lines.filter((line) => line.includes('too many frames'))).toHaveLength(1);
  await expectUnharmed();
});

test('a polling connection that posts many packets is closed, however few are in each body', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const raw = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
  let posted = 0;
  while (posted < MANY && (await raw.postBody(frames(500, '43[]').join('\x1e'))) === 200) posted += 500;
  await withTimeout(raw.closed, 'it is closed');
  expect(posted).toBeLessThanOrEqual(burst + 500);
  await expectUnharmed();
});

test('a connection that sends some frames, or any number with the rates lifted, is not closed', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  await raw.send(...frames(SOME, '3'), '427["list:rooms",{}]');
  await raw.waitForPacket(/^437\[\{"ok":true/);
  await expectUnharmed();

  const lifted = await startWithBystanders({ rateLimits: 'off' });
  const free = await connectRaw(await openRawWebSocket(lifted.url, { headers: ATTACKER_HEADERS }));
  await free.send(...frames(5 * MANY, '3'), '427["list:rooms",{}]');
  await free.waitForPacket(/^437\[\{"ok":true/);
});

test('a client that disconnects and connects again on the same connection is closed, since its rates would restart', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const raw = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  await raw.send('41', '40');
  await withTimeout(raw.closed, 'it is closed');
  await expectUnharmed();
});
