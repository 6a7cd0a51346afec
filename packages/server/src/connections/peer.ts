/** The interfaces that a transport implements: Peer (one client as it is sent to) and Transport (broadcasts to channels). */

/** The sending side of one connection. It bounds the unread bytes of the client; each transport measures them in its own way. */
export interface Peer {
  readonly isConnected: boolean;
  /** Carries the broadcasts to the channels that the peer joins. */
  readonly transport: Transport;
  emit(event: string, ...args: unknown[]): void;
  join(channel: string): void;
  leave(channel: string): void;
  /** Whether so many bytes are unread that broadcasts must stop. */
  readonly isOverSoftLimit: boolean;
  /** Resolves when broadcasts may begin again, or when the client is disconnected. */
  waitForDrain(): Promise<void>;
  /** Undefined if at most this many bytes are unread; otherwise resolves when that is so, or when the client is disconnected. */
  waitUntilRead(bytes: number): Promise<void> | undefined;
  /** Closes the connection once the client has read what was sent to it, or after a short timeout. */
  disconnectAfterDrain(): void;
  /** Closes the connection; the client may connect again. */
  disconnect(): void;
}

/** Carries events to all of its peers that joined a channel. */
export interface Transport {
  to(channel: string): Channel;
}

export interface Channel {
  emit(event: string, ...args: unknown[]): unknown;
}
