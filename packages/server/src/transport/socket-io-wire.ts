import type { Server } from 'socket.io';
import type { Peer, Wire } from './wire.ts';

/** What may wait for a client that does not read. */
const UNREAD = { frames: 4_096, bytes: 8 * 1024 * 1024 };
/** What waits for a client that is sent more: enough to keep its connection busy. */
const ENOUGH = { frames: 256, bytes: 512 * 1024 };
const LOOK_EVERY_MS = 1_000;

interface Connection {
  writeBuffer: { data?: string | Buffer }[];
  readyState: string;
  close(discard?: boolean): void;
  once(event: 'drain' | 'close', listener: () => void): void;
  off(event: 'drain' | 'close', listener: () => void): void;
}

const connectionTo = (peer: Peer): Connection => (peer as unknown as { conn: Connection }).conn;

const isOver = ({ writeBuffer }: Connection, { frames, bytes }: typeof UNREAD): boolean =>
  writeBuffer.length > frames || lengthOf(writeBuffer) > bytes;

const lengthOf = (packets: Connection['writeBuffer']): number => packets.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);

/** Socket.IO, as a node needs it. */
export class SocketIoWire implements Wire {
  readonly #io: Server;
  readonly #timer: NodeJS.Timeout;

  constructor(io: Server) {
    this.#io = io;
    // For those who ask nothing, and are only told what happens in their rooms.
    this.#timer = setInterval(() => {
      for (const socket of io.sockets.sockets.values()) this.sent(socket);
    }, LOOK_EVERY_MS);
  }

  to(channel: string): ReturnType<Wire['to']> {
    return this.#io.to(channel);
  }

  /**
   * Ends the connection of a client for whom more would have to be kept: memory is for those who read. He may come back
   * and read on from where he was.
   */
  sent(peer: Peer): void {
    const connection = connectionTo(peer);
    if (isOver(connection, UNREAD)) connection.close(true);
  }

  async drained(peer: Peer): Promise<void> {
    const connection = connectionTo(peer);
    while (connection.readyState === 'open' && isOver(connection, ENOUGH)) await drainOrClose(connection);
  }

  end(peer: Peer): void {
    connectionTo(peer).close(true);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function drainOrClose(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      connection.off('drain', done);
      connection.off('close', done);
      resolve();
    };
    connection.once('drain', done);
    connection.once('close', done);
  });
}
