/** The transport interface: what the SDK needs of a connection to a server. */
import type { ErrorPayload } from '@engawa/protocol';
import type { ConnectionError } from './connection-error.ts';

/** How a connection authenticates. */
export interface TransportAuth {
  session: string;
}

/** How to reach a server. */
export interface TransportOptions {
  /**
   * The transports in the order in which they are tried; `['websocket', 'polling']` by default. A polling connection upgrades to
   * WebSocket when one connects, unless only `polling` is given.
   */
  transports?: readonly ('websocket' | 'polling')[] | undefined;
  /** The path of Socket.IO on the server. By default `socket.io/` below the path of the URL: `/chat/socket.io/`. */
  path?: string | undefined;
}

/** The callbacks of a transport. They are never called from inside `open`, `close` or `request`. */
export interface TransportListeners {
  /** There is a connection, and requests may be sent. */
  onConnect(): void;
  /** The connection was lost; not called after `close`. The transport reconnects by itself. */
  onDisconnect(reason: string): void;
  /** The server rejected the connection. The transport waits for the next `open`. */
  onRejected(error: ErrorPayload): void;
  /** An attempt failed, or the connection does not use the preferred transport. The transport retries until it is closed. */
  onConnectError(error: ConnectionError): void;
  /** An event, with its first argument. */
  onEvent(event: string, payload: unknown): void;
}

/** A connection to a server. */
export interface Transport {
  /** Connects, and reconnects after every drop. Does nothing when it is already open. */
  open(auth: TransportAuth): void;
  /** Ends the connection and all attempts. The transport can be opened again. */
  close(): void;
  /** Resolves with the acknowledgement. Rejects with a `TransportError` without one: then the outcome is unknown. */
  request(event: string, payload: object, timeoutMs: number): Promise<unknown>;
}

export type TransportFactory = (url: string, listeners: TransportListeners, options?: TransportOptions) => Transport;

/** There was no answer: no connection, a drop, or a time-out. */
export class TransportError extends Error {
  override readonly name = 'LinkError';
}
