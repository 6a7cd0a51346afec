/** The packets of a handshake are written together. */
import type { Socket as TcpSocket } from 'node:net';
import { openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { expect, test } from 'vitest';
import { startWithBystanders } from './helpers/bystanders.ts';

test('the answer to an upgrade waits for the open packet, and both are written together', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders();
  const arriving = new Promise<{ tcpSocket: TcpSocket; waiting: number }>((resolve) => {
    io.engine.once('connection', ({ transport }: { transport: { socket: { _socket: TcpSocket } } }) => {
      const { _socket: tcpSocket } = transport.socket;
      resolve({ tcpSocket, waiting: tcpSocket.writableLength });
    });
  });
  const client = await openRawWebSocket(url);
  const opening = await client.waitForPacket(/^0/);
  const { tcpSocket, waiting } = await arriving;
  expect(waiting).toBe(tcpSocket.bytesWritten);
  expect(waiting).toBeGreaterThan('HTTP/1.1 101'.length + opening.length);
  expect(tcpSocket).toMatchObject({ writableCorked: 0, writableLength: 0 });
  await expectUnharmed();
});
