/** Corks the TCP socket so that several packets for one client go out in one write. */
import type { IncomingMessage } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import type { Server, Socket } from 'socket.io';

/**
 * What waits for one client goes in one write to the kernel, however many packets it is: acknowledgements of chats that were
 * kept by the same wait for the disk, above all. Engine.IO hands them to its transport one by one, between these two events.
 */
export function corkWrites(engine: Server['engine']): void {
  let corked: TcpSocket | undefined;
  engine.on('flush', (conn: Socket['conn'], packets: unknown[]) => {
    if (packets.length < 2 || corked) return;
    corked = tcpSocketOf(conn);
    corked?.cork();
  });
  engine.on('drain', () => {
    corked?.uncork();
    corked = undefined;
  });
  // So do the answer to an upgrade and the packet that opens the connection, which follows before the next tick.
  engine.on('initial_headers', (_: object, { headers, socket }: IncomingMessage) => {
    if (headers.upgrade === undefined) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  });
}

/** The TCP socket of a WebSocket, where ws 8 keeps it; polling has none. */
const tcpSocketOf = (conn: Socket['conn']): TcpSocket | undefined =>
  (conn as unknown as { transport: { socket?: { _socket?: TcpSocket } } }).transport.socket?._socket;
