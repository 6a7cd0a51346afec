/**
 * What a client has not read of what was sent to it, and whether it goes on reading. What is used here of Engine.IO, ws and
 * Node's streams beyond what they document is looked at first; where it is not found, only what waits is known.
 */
import type { ServerResponse } from 'node:http';
import type { Server } from 'socket.io';

/** Node's own sockets see by these whether a write makes progress. */
interface TcpHandle {
  /** Bytes that were given to the system's queue, and those of them that it has not taken. */
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

/** A connection of Engine.IO. */
export interface Conn {
  readonly readyState: string;
  readonly writeBuffer: readonly { data?: string | Buffer }[];
  readonly transport: {
    readonly name: string;
    /** While a poll waits for its answer. */
    readonly res?: ServerResponse | null;
    /** Of a WebSocket. */
    readonly socket?: { readonly _socket?: { readonly _handle?: TcpHandle | null } };
  };
  close(discard?: boolean): void;
}

/** The answer to the last poll of a connection. To Engine.IO it is gone once it was written, whether anybody reads it or not. */
interface PollAnswer {
  response: ServerResponse;
  bytes: number;
  /** How many came before it. */
  number: number;
}

export class Unread {
  readonly #polls = new WeakMap<Conn, PollAnswer>();

  constructor(engine: Server['engine']) {
    engine.on('flush', (conn: Conn, packets: Conn['writeBuffer']) => {
      const { res } = conn.transport;
      if (conn.transport.name === 'polling' && res) this.#answer(conn, res, packets);
    });
  }

  /** Bytes of an answer to a poll that the system has not taken. */
  polledBytes(conn: Conn): number {
    const answer = this.#polls.get(conn);
    return !answer || answer.response.writableFinished || answer.response.destroyed ? 0 : answer.bytes;
  }

  /** Changes whenever the system took something of what waits for the client: it takes as much as the client reads. */
  progressOf(conn: Conn): number {
    const answer = this.#polls.get(conn);
    if (conn.transport.name !== 'polling' || !answer) return takenFrom(conn.transport.socket?._socket?._handle);
    return answer.number + takenFrom((answer.response.socket as { _handle?: TcpHandle | null } | null)?._handle);
  }

  /** A client polls again when it has read the answer before: one that does not read them must not have many. */
  #answer(conn: Conn, response: ServerResponse, packets: Conn['writeBuffer']): void {
    const before = this.#polls.get(conn);
    // Not now: Engine.IO is about to write this one.
    if (this.polledBytes(conn) > 0) process.nextTick(() => conn.close(true));
    const bytes = packets.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    this.#polls.set(conn, { response, bytes, number: (before?.number ?? 0) + 1 });
  }
}

const takenFrom = (handle: TcpHandle | null | undefined): number => (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
