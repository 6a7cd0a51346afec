/** Corks the TCP socket so that several packets for one client go out in one write. */
import type { IncomingMessage } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import type { Server, Socket } from 'socket.io';

/**
 * All packets that wait for one client go out in one write to the kernel: above all the acknowledgements of chats that shared
 * one fsync. Engine.IO passes packets to its transport one by one, between these two events.
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
  // The response to an upgrade is corked, too, with the packet that opens the connection: it follows in the same turn.
  engine.on('initial_headers', (_: object, { headers, socket }: IncomingMessage) => {
    if (headers.upgrade === undefined) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  });
}

/** The TCP socket of a WebSocket, in a private field of ws 8; undefined with polling. */
const tcpSocketOf = (conn: Socket['conn']): TcpSocket | undefined =>
  (conn as unknown as { transport: { socket?: { _socket?: TcpSocket } } }).transport.socket?._socket;
