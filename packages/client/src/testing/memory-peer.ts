/** The sending side of an in-memory connection, as the chat node uses it. */
import type { Peer, Transport } from '@engawa/server';

interface MemoryPeerOptions {
  transport: Transport;
  isConnected: () => boolean;
  send: (event: string, payload: unknown) => void;
  end: (reason: string) => void;
}

/** Nothing waits here: a packet is under way as soon as it is sent. */
export class MemoryPeer implements Peer {
  readonly transport: Transport;
  readonly channels = new Set<string>();
  readonly isOverSoftLimit = false;
  readonly #options: MemoryPeerOptions;

  constructor(options: MemoryPeerOptions) {
    this.transport = options.transport;
    this.#options = options;
  }

  get isConnected(): boolean {
    return this.#options.isConnected();
  }

  /** The offset of an entry is for Socket.IO's own client. */
  emit(event: string, payload: unknown): void {
    if (this.isConnected) this.#options.send(event, payload);
  }

  join(channel: string): void {
    this.channels.add(channel);
  }

  leave(channel: string): void {
    this.channels.delete(channel);
  }

  async waitForDrain(): Promise<void> {}

  waitUntilRead(): undefined {
    return undefined;
  }

  disconnectAfterDrain(): void {
    this.disconnect();
  }

  disconnect(): void {
    this.end('the server ended the connection');
  }

  end(reason: string): void {
    this.#options.end(reason);
  }
}
