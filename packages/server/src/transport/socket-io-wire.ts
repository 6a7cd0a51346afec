import type { FanOutAdapter } from '@engawa/fan-out';
import type { Server } from 'socket.io';
import type { Peer, Wire } from './wire.ts';

/** What may wait for a client that does not read, whatever it is. */
export const UNREAD = { frames: 4_096, bytes: 8 * 1024 * 1024 };
const LOOK_EVERY_MS = 1_000;
/** Who reads slowly is looked after so often. */
const LOOK_AFTER_MS = 20;

export interface Patience {
  /** Bytes that may wait for a client before it is told from the logs what happens in its rooms. */
  waiting: number;
  /** Milliseconds in which such a client must have read something. */
  stuck: number;
}

interface Connection {
  writeBuffer: { data?: string | Buffer }[];
  readyState: string;
  close(discard?: boolean): void;
}

const connectionTo = (peer: Peer): Connection => (peer as unknown as { conn: Connection }).conn;

/** Socket.IO, as a node needs it. */
export class SocketIoWire implements Wire {
  readonly #io: Server;
  readonly #patience: Patience;
  readonly #timer: NodeJS.Timeout;

  constructor(io: Server, patience: Patience) {
    this.#io = io;
    this.#patience = patience;
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
    if (connection.writeBuffer.length > UNREAD.frames || this.#waitingFor(peer) > UNREAD.bytes) connection.close(true);
  }

  isFull(peer: Peer): boolean {
    return this.#waitingFor(peer) > this.#patience.waiting;
  }

  async drained(peer: Peer): Promise<void> {
    const { waiting: most, stuck } = this.#patience;
    const connection = connectionTo(peer);
    let before = Infinity;
    let readAt = performance.now();
    for (;;) {
      const waiting = this.#waitingFor(peer);
      if (connection.readyState !== 'open' || waiting <= most / 2) return;
      if (waiting < before) readAt = performance.now();
      else if (performance.now() - readAt > stuck) connection.close(true);
      before = waiting;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AFTER_MS));
    }
  }

  end(peer: Peer): void {
    connectionTo(peer).close(true);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #waitingFor(peer: Peer): number {
    return (this.#io.of('/').adapter as FanOutAdapter).waitingFor(peer.id);
  }
}
