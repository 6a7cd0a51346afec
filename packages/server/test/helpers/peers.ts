/** A transport in memory: its peers record what is sent to them, and drain on demand. */
import { LIMITS } from '@engawa/protocol';
import type { Channel, Peer, Transport } from '@engawa/server';
import { Connection } from '#connections/connection.js';
import { ByteBudget } from '#limits/byte-budget.js';

export class RecordingTransport implements Transport {
  readonly peers = new Set<RecordingPeer>();

  newPeer(): RecordingPeer {
    const peer = new RecordingPeer(this);
    this.peers.add(peer);
    return peer;
  }

  to(channel: string): Channel {
    return {
      emit: (event, ...args) => {
        for (const peer of this.peers) if (peer.channels.has(channel)) peer.emit(event, ...args);
      },
    };
  }
}

export class RecordingPeer implements Peer {
  readonly transport: Transport;
  readonly channels = new Set<string>();
  readonly sent: [event: string, ...args: unknown[]][] = [];
  isConnected = true;
  isOverSoftLimit = false;
  /** What `waitForDrain` waits for. */
  drained: Promise<void> = Promise.resolve();
  /** What `waitUntilRead` waits for. */
  read: Promise<void> | undefined;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  emit(event: string, ...args: unknown[]): void {
    this.sent.push([event, ...args]);
  }

  join(channel: string): void {
    this.channels.add(channel);
  }

  leave(channel: string): void {
    this.channels.delete(channel);
  }

  async waitForDrain(): Promise<void> {
    await this.drained;
  }

  waitUntilRead(): Promise<void> | undefined {
    return this.read;
  }

  disconnectAfterDrain(): void {
    this.disconnect();
  }

  disconnect(): void {
    this.isConnected = false;
  }
}

type ConnectionOptions = Partial<ConstructorParameters<typeof Connection>[1]>;

/** A connection of this author without rate limits, unless options say otherwise. */
export const newConnection = (author: string, options: ConnectionOptions = {}): Connection =>
  new Connection(
    { session: author, author },
    {
      peer: new RecordingTransport().newPeer(),
      limits: { ...LIMITS, rates: null },
      address: undefined,
      nodeQueuedBytes: new ByteBudget(1_024),
      ...options,
    },
  );
