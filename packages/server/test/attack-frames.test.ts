/** Hostile WebSocket frames (attack list, groups 16 to 25): each ends its own connection or none, and others are unharmed. */
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { LIMITS } from '@engawa/protocol';
import { attack, connectRaw, openRawWebSocket, type RawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { until, withTimeout } from '@engawa/testkit/processes/server';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, countResources, startWithBystanders } from './helpers/bystanders.ts';

const FIN = 0x80;
const [RSV1, RSV2, RSV3] = [0x40, 0x20, 0x10];
const [CONTINUATION, TEXT, CLOSE, PING] = [0x0, 0x1, 0x8, 0x9];
const MASKED = 0x80;
const NO_MASK = [0, 0, 0, 0];

/** A frame whose payload is shorter than 126 bytes, masked with zeros. */
const frame = (first: number, payload: string | number[] = []): Buffer => {
  const bytes = Buffer.from(payload as number[]);
  return Buffer.concat([Buffer.from([first, MASKED | bytes.length, ...NO_MASK]), bytes]);
};

/** The head of a frame that claims a length of eight bytes. */
function claiming(length: bigint): Buffer {
  const head = Buffer.from([FIN | TEXT, MASKED | 127, ...Array.from({ length: 8 }, () => 0), ...NO_MASK]);
  head.writeBigUInt64BE(length, 2);
  return head;
}

const closing = (code: number, reason: number[] = []): Buffer => frame(FIN | CLOSE, [code >> 8, code & 0xff, ...reason]);

/** Bypasses the library, which does not send such frames. */
const write = ({ socket }: RawWebSocket, bytes: Buffer): boolean => (socket as unknown as { _socket: Socket })._socket.write(bytes);

const malformed: Record<string, [what: string, bytes: Buffer][]> = {
  '16: reserved bits and opcodes': [
    ['RSV1 without an extension', frame(FIN | RSV1 | TEXT, '40')],
    ['RSV2', frame(FIN | RSV2 | TEXT, '40')],
    ['RSV3', frame(FIN | RSV3 | TEXT, '40')],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer] => [`opcode ${opcode}`, frame(FIN | opcode)]),
  ],
  '17: a frame without a mask': [['a text', Buffer.from([FIN | TEXT, 2, 0x34, 0x30])]],
  '18: control frames': [
    ['a ping of 126 bytes', Buffer.concat([Buffer.from([FIN | PING, MASKED | 126, 0, 126, ...NO_MASK]), Buffer.alloc(126)])],
    ['a fragmented ping', frame(PING)],
    ['a fragmented close', frame(CLOSE, [3, 232])],
  ],
  '19: fragments': [
    ['a continuation of nothing', frame(FIN | CONTINUATION, '40')],
    ['a message inside a message', Buffer.concat([frame(TEXT, '4'), frame(FIN | TEXT, '40')])],
    ['endless fragments of one byte', Buffer.concat([frame(TEXT, '4'), ...Array.from({ length: 10_000 }, () => frame(CONTINUATION, '2'))])],
    ['endless fragments of none', Buffer.concat([frame(TEXT, '4'), ...Array.from({ length: 10_000 }, () => frame(CONTINUATION))])],
  ],
  '21: lengths': [
    ['2^63 - 1 bytes', claiming(2n ** 63n - 1n)],
    ['2^64 - 1 bytes', claiming(2n ** 64n - 1n)],
    ['2^32 bytes', claiming(2n ** 32n)],
    ['one byte more than a frame may have', claiming(BigInt(LIMITS.frameBytes) + 1n)],
  ],
  '22: text that is not UTF-8': [
    ['an overlong NUL', frame(FIN | TEXT, [0x34, 0xc0, 0x80])],
    ['a surrogate', frame(FIN | TEXT, [0x34, 0xed, 0xa0, 0x80])],
    ['a byte that never is', frame(FIN | TEXT, [0x34, 0xf5])],
    ['half a character', frame(FIN | TEXT, [0x34, 0xe3, 0x81])],
  ],
  '23: goodbyes': [
    ...[0, 999, 1004, 1005, 1006, 1015, 5_000, 65_535].map((code): [string, Buffer] => [`code ${code}`, closing(code)]),
    ['one byte', frame(FIN | CLOSE, [3])],
    ['a reason that is not UTF-8', closing(1000, [0xff, 0xfe])],
  ],
};

describe.each(Object.entries(malformed))('%s', (_, cases) => {
  test.each(cases)('%s ends the connection that sent it, and no other', async (__, bytes) => {
    const setup = await startWithBystanders();
    const before = countResources(setup);
    const attacker = await openRawWebSocket(setup.url, { headers: ATTACKER_HEADERS });
    write(attacker, bytes);
    await withTimeout(attacker.closed, 'the end of the connection');
    await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of it');
    await setup.expectUnharmed();
  });
});

test('20: a packet sent byte by byte is understood, and one of 64 KiB ends at most its own connection', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const attacker = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  for (const byte of frame(FIN | TEXT, '427["list:rooms",{}]')) {
    write(attacker, Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await withTimeout(attacker.waitForPacket(/^437\[/), 'the answer');
  const large = Buffer.concat([Buffer.from([FIN | TEXT, MASKED | 126, 0xff, 0xff, ...NO_MASK]), Buffer.alloc(65_535, '4')]);
  for (const byte of large) if (attacker.socket.readyState === attacker.socket.OPEN) write(attacker, Buffer.from([byte]));
  await withTimeout(attacker.closed, 'the end of the connection');
  await expectUnharmed();
});

test('19: a packet in a few fragments with a ping between them is understood', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const attacker = await connectRaw(await openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  write(attacker, Buffer.concat([frame(TEXT, '427["list'), frame(FIN | PING, 'x'), frame(CONTINUATION, ':rooms"'), frame(FIN, ',{}]')]));
  await withTimeout(attacker.waitForPacket(/^437\[/), 'the answer');
  await expectUnharmed();
});

test('24: a client that sends pings and reads no pong is disconnected or no longer answered, and nothing is buffered for it', async () => {
  const setup = await startWithBystanders();
  const before = countResources(setup);
  const attacker = await connectRaw(await openRawWebSocket(setup.url, { headers: ATTACKER_HEADERS }));
  attacker.socket.pause();
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(FIN | PING, 'x'.repeat(125))));
  for (let times = 0; times < 5; times += 1) write(attacker, pings);
  await setup.expectUnharmed();
  attacker.socket.terminate();
  await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of it');
});

test('25: compression is not negotiated, so no frame is inflated', async () => {
  const { url, expectUnharmed } = await startWithBystanders();
  const attacker = await openRawWebSocket(url, { headers: { ...ATTACKER_HEADERS, 'sec-websocket-extensions': 'permessage-deflate' } });
  expect(attacker.socket.extensions).toBe('');
  expect(await attack(await connectRaw(attacker), [])).toEqual([]);
  await expectUnharmed();
});
