// The WebSocket client of the generator against the library `ws`.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { Connection } from '#generator/connection.js';
import { FrameReader } from '#generator/frames.js';

const texts = fc.array(
  fc.oneof(
    fc.string({ maxLength: 130 }),
    fc.integer({ min: 120, max: 130 }).map(repeated),
    fc.constantFrom(65_535, 65_536, 200_000).map(repeated),
  ),
  { maxLength: 12 },
);
/** How the bytes are cut: mostly into small pieces, so that heads are cut, too. */
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 40 });

function repeated(length: number): string {
  return 'x'.repeat(length);
}

/** As in RFC 6455. */
function serverFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  head[0] = 0x81;
  head[1] = { 2: payload.length, 4: 126, 10: 127 }[head.length]!;
  if (head.length === 4) head.writeUInt16BE(payload.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

test('the frames of a server are read as they were sent, wherever their bytes are cut', () => {
  fc.assert(
    fc.property(texts, cuts, (sent, lengths) => {
      const bytes = Buffer.concat(sent.map(serverFrame));
      const read: string[] = [];
      const reader = new FrameReader((buffer, start, end, opcode) => {
        expect(opcode).toBe(1);
        read.push(buffer.toString('utf8', start, end));
      });
      // As sockets read: into one buffer, which the next bytes overwrite.
      const shared = Buffer.alloc(70_000);
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const length = Math.min(lengths[turn % lengths.length]!, bytes.length - at);
        bytes.copy(shared, 0, at, at + length);
        reader.read(shared, length);
        at += length;
        shared.fill(0xff);
      }
      expect(read).toEqual(sent);
    }),
  );
});

test('an empty frame, a ping and a close frame are frames', () => {
  const read: [number, number][] = [];
  const reader = new FrameReader((_, start, end, opcode) => read.push([opcode, end - start]));
  reader.read(Buffer.from([0x81, 0, 0x89, 2, 1, 2, 0x88, 0]));
  expect(read).toEqual([
    [1, 0],
    [9, 2],
    [8, 0],
  ]);
});

test('a frame that no server of ours would send is an error', () => {
  const reader = new FrameReader(() => expect.unreachable());
  expect(() => reader.read(Buffer.from([0x81, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0]))).toThrow('too large');
  expect(() => new FrameReader(() => undefined).read(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 1]))).toThrow('mask');
});

test('a server of the library exchanges messages and pings with the client', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const received: string[] = [];
  const path = '/somewhere';
  const connected = once(server, 'connection') as Promise<[WebSocket, IncomingMessage]>;
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, path };
  const connection = new Connection(address, {
    onRead: () => undefined,
    onFrame: (bytes, start, end) => received.push(bytes.toString('utf8', start, end)),
    onEnd: (why) => received.push(why),
  });
  const [socket, request] = await connected;
  expect(request.url).toBe(path);
  for (const length of [0, 1, 125, 126, 127, 65_535]) {
    const message = once(socket, 'message') as Promise<[Buffer, boolean]>;
    connection.send(repeated(length));
    expect((await message).map(String)).toEqual([repeated(length), 'false']);
  }
  const pong = once(socket, 'pong');
  socket.ping();
  await pong;
  const texts = ['hello', repeated(70_000), ''];
  for (const text of texts) socket.send(text);
  await vi.waitFor(() => expect(received).toEqual(texts));
  socket.terminate();
  await vi.waitFor(() => expect(received).toHaveLength(texts.length + 1));
  server.close();
});
