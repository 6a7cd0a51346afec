/**
 * Tracks what a client has not read yet of what was sent to it, and whether it makes progress.
 *
 * Undocumented fields of Engine.IO, ws and Node's streams are checked before use. Where they are missing, only the bytes in our own
 * buffers are known.
 */
import type { ServerResponse } from 'node:http';
import type { Server } from 'socket.io';

/** Private fields by which Node's sockets detect whether a write makes progress. */
interface TcpHandle {
  /** Bytes that were written, and those that the system has not accepted yet. */
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

/** The fields of an Engine.IO connection that are used here. */
export interface EngineConn {
  readonly readyState: string;
  readonly writeBuffer: readonly { data?: string | Buffer }[];
  readonly transport: {
    readonly name: string;
    /** Set while a polling request waits for its response. */
    readonly res?: ServerResponse | null;
    /** Set if the transport is a WebSocket. */
    readonly socket?: { readonly _socket?: { readonly _handle?: TcpHandle | null } };
  };
  close(discard?: boolean): void;
}

/** The response to the last poll of a connection. Engine.IO forgets it once it is written, whether the client reads it or not. */
interface PollResponse {
  response: ServerResponse;
  bytes: number;
  /** How many responses came before it. */
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

  /** Bytes of a poll response that the system has not accepted. */
  unreadPollBytes(conn: EngineConn): number {
    const answer = this.#lastResponses.get(conn);
    return !answer || answer.response.writableFinished || answer.response.destroyed ? 0 : answer.bytes;
  }

  /** Changes whenever the system accepts more bytes for the client, which it does as the client reads. */
  readProgressOf(conn: EngineConn): number {
    const answer = this.#lastResponses.get(conn);
    if (conn.transport.name !== 'polling' || !answer) return bytesTakenFrom(conn.transport.socket?._socket?._handle);
    return answer.precedingCount + bytesTakenFrom((answer.response.socket as { _handle?: TcpHandle | null } | null)?._handle);
  }

  /** A well-behaved client polls again when it has read the previous response: one that does not read must not collect many. */
  #trackPollResponse(conn: EngineConn, response: ServerResponse, packets: EngineConn['writeBuffer']): void {
    const before = this.#lastResponses.get(conn);
    // Deferred: Engine.IO is about to write this response.
    if (this.unreadPollBytes(conn) > 0) process.nextTick(() => conn.close(true));
    const bytes = packets.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    this.#lastResponses.set(conn, { response, bytes, precedingCount: (before?.precedingCount ?? 0) + 1 });
  }
}

const bytesTakenFrom = (handle: TcpHandle | null | undefined): number => (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
