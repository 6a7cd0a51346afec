/** The interfaces Peer (one client connection) and Transport (what carries events to peers). */

/** One connection, as a node needs it. A socket of Socket.IO is one; the test server of the client has others. */
export interface Peer {
  readonly id: string;
  readonly connected: boolean;
  /** Set when the peer is admitted. */
  data: unknown;
  emit(event: string, ...args: unknown[]): unknown;
  join(channel: string): unknown;
  leave(channel: string): unknown;
}

/** What carries events to peers. */
export interface Transport {
  /** Everybody who joined the channel. */
  to(channel: string): { emit(event: string, ...args: unknown[]): unknown };
  /** Something was sent to the peer: ends connections that never read. */
  enforceBufferLimit(peer: Peer): void;
  /** Whether as much of what its rooms are told waits for the peer as may. */
  isOverSoftLimit(peer: Peer): boolean;
  /** Resolves when the peer has read so much that it may be told more, or is gone. */
  waitForDrain(peer: Peer): Promise<void>;
  /** Undefined when no more than so many bytes wait for the peer; else resolves when that is so, or when it is gone. */
  waitUntilRead(peer: Peer, bytes: number): Promise<void> | undefined;
  /** Ends the connection once the client has read what was sent to it, or soon in any case. */
  disconnectAfterDrain(peer: Peer): void;
  /** Ends the connection; a client may come back. */
  disconnect(peer: Peer): void;
}
