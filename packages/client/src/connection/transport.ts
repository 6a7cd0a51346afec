import type { ErrorPayload } from '@engawa/protocol';
import type { ConnectionError } from './connection-error.ts';

/** What a connection shows of itself. */
export interface TransportAuth {
  session: string;
}

/** How a server is reached. */
export interface TransportOptions {
  /**
   * In the order in which they are tried: `['websocket', 'polling']` when not given. A connection by polling becomes a WebSocket
   * by itself when one comes through, unless polling is all that is named.
   */
  transports?: readonly ('websocket' | 'polling')[] | undefined;
  /** Where Socket.IO is on the server; when not given, `socket.io/` behind the path of the URL: `/chat/socket.io/`. */
  path?: string | undefined;
}

/** What a connection tells. Never called from inside `open`, `close` or `ask`. */
export interface TransportListeners {
  /** There is a connection, and it may be asked. */
  onConnect(): void;
  /** The connection was lost; not told after `close`. The link tries to come back by itself. */
  onDisconnect(reason: string): void;
  /** The server would not have the connection. The link waits to be opened again. */
  onRejected(error: ErrorPayload): void;
  /** A try to connect failed, or it is not connected as well as it might. The link goes on by itself until it is closed. */
  onConnectError(error: ConnectionError): void;
  /** An event, with the first of what it carried. */
  onEvent(event: string, payload: unknown): void;
}

/** The little that the SDK needs of a connection. */
export interface Transport {
  /** Connects, and connects again after every drop. Does nothing when it is open already. */
  open(auth: TransportAuth): void;
  /** Ends the connection and every attempt at one. It may be opened again. */
  close(): void;
  /** Resolves with the acknowledgement. Rejects with a `LinkError` when there was none: what became of the ask is not known. */
  request(event: string, payload: object, timeoutMs: number): Promise<unknown>;
}

export type TransportFactory = (url: string, listeners: TransportListeners, options?: TransportOptions) => Transport;

/** No answer came: there was no connection, it dropped, or the time was over. */
export class TransportError extends Error {
  override readonly name = 'LinkError';
}
