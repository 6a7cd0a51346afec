/** A chat node in this process: everything of a server but its sockets. */
import { LIMITS } from '@engawa/protocol';
import { ChatNode, type Peer, type Transport } from '@engawa/server';
import type { Faults } from './faults.ts';
import type { Random } from './random.ts';
import { createNodeStore, type SharedStore } from './shared-store.ts';

/** The server's side of an in-memory connection. */
export interface TestPeer extends Peer {
  readonly channels: Set<string>;
  end(reason: string): void;
}

interface TestNodeOptions {
  shared: SharedStore;
  faults: () => Faults;
  random: Random;
  grace: number | undefined;
  absence: number | undefined;
  largeRoom: number | undefined;
}

/** Runs the real chat node, without a process and without sockets. */
export class TestNode {
  readonly peers = new Set<TestPeer>();
  readonly node: ChatNode;
  #isAlive = true;

  constructor({ shared, faults, random, grace: graceMs, absence: absenceMs, largeRoom = LIMITS.largeRoom }: TestNodeOptions) {
    const store = createNodeStore({ shared, faults, random, isAlive: () => this.#isAlive });
    this.node = new ChatNode({
      store,
      transport: this.#createTransport(),
      limits: { ...LIMITS, largeRoom },
      ...(graceMs !== undefined && { graceMs }),
      ...(absenceMs !== undefined && { absenceMs }),
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  connect(peer: TestPeer, auth: unknown): void {
    this.node.admit(peer, auth);
    this.peers.add(peer);
    this.node.addPeer(peer);
  }

  disconnect(peer: TestPeer): void {
    if (this.peers.delete(peer) && this.#isAlive) void this.node.removePeer(peer);
  }

  /** As SIGKILL: no notification, and pending work is not finished. */
  kill(): void {
    this.#isAlive = false;
    this.node.context.leaseManager.stop();
    void this.node.retentionJob.close();
    this.node.context.roomRegistry.close();
    for (const peer of [...this.peers]) peer.end('the server was killed');
  }

  /** As SIGTERM. */
  async stop(): Promise<void> {
    await this.node.drain();
    for (const peer of [...this.peers]) peer.end('the server stopped');
    await this.node.close();
    this.#isAlive = false;
  }

  #createTransport(): Transport {
    return {
      to: (channel) => ({
        emit: (event, ...args) => {
          for (const peer of this.peers) if (peer.channels.has(channel)) peer.emit(event, ...args);
        },
      }),
      enforceBufferLimit: () => undefined,
      isOverSoftLimit: () => false,
      waitForDrain: () => Promise.resolve(),
      waitUntilRead: () => undefined,
      disconnectAfterDrain: (peer) => (peer as TestPeer).end('the server ended the connection'),
      disconnect: (peer) => (peer as TestPeer).end('the server ended the connection'),
    };
  }
}
