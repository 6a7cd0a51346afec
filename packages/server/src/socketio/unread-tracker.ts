/**
 * Tracks what a client has not read yet of what was sent to it, and whether it makes progress.
 *
 * Undocumented fields of Engine.IO, ws and Node's streams are checked before use. Where they are missing, only the bytes in our own
 * buffers are known.
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
export interface EngineConn {
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
interface PollResponse {
  response: ServerResponse;
  bytes: number;
  /** How many came before it. */
  precedingCount: number;
}

export class UnreadTracker {
  readonly #lastResponses = new WeakMap<EngineConn, PollResponse>();

  constructor(engine: Server['engine']) {
    engine.on('flush', (conn: EngineConn, packets: EngineConn['writeBuffer']) => {
      const { res } = conn.transport;
      if (conn.transport.name === 'polling' && res) this.#trackPollResponse(conn, res, packets);
    });
  }

  /** Bytes of an answer to a poll that the system has not taken. */
  unreadPollBytes(conn: EngineConn): number {
    const answer = this.#lastResponses.get(conn);
    return !answer || answer.response.writableFinished || answer.response.destroyed ? 0 : answer.bytes;
  }

  /** Changes whenever the system took something of what waits for the client: it takes as much as the client reads. */
  readProgressOf(conn: EngineConn): number {
    const answer = this.#lastResponses.get(conn);
    if (conn.transport.name !== 'polling' || !answer) return bytesTakenFrom(conn.transport.socket?._socket?._handle);
    return answer.precedingCount + bytesTakenFrom((answer.response.socket as { _handle?: TcpHandle | null } | null)?._handle);
  }

  /** A client polls again when it has read the answer before: one that does not read them must not have many. */
  #trackPollResponse(conn: EngineConn, response: ServerResponse, packets: EngineConn['writeBuffer']): void {
    const before = this.#lastResponses.get(conn);
    // Not now: Engine.IO is about to write this one.
    if (this.unreadPollBytes(conn) > 0) process.nextTick(() => conn.close(true));
    const bytes = packets.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    this.#lastResponses.set(conn, { response, bytes, precedingCount: (before?.precedingCount ?? 0) + 1 });
  }
}

const bytesTakenFrom = (handle: TcpHandle | null | undefined): number => (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
