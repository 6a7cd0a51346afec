import { LIMITS } from '@engawa/protocol';
import { Node, type Peer, type Wire } from '@engawa/server';
import type { Faults } from './faults.ts';
import type { Random } from './random.ts';
import { nodeStore, type SharedStore } from './shared-store.ts';

/** The server's side of a connection in this process. */
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

/** A server process, without the process: everything of it but the sockets is real. */
export class TestNode {
  readonly peers = new Set<TestPeer>();
  readonly node: Node;
  #isAlive = true;

  constructor({ shared, faults, random, grace, absence, largeRoom = LIMITS.largeRoom }: TestNodeOptions) {
    const store = nodeStore({ shared, faults, random, isAlive: () => this.#isAlive });
    this.node = new Node({
      store,
      wire: this.#wire(),
      limits: { ...LIMITS, largeRoom },
      ...(grace !== undefined && { grace }),
      ...(absence !== undefined && { absence }),
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  connect(peer: TestPeer, auth: unknown): void {
    this.node.admit(peer, auth);
    this.peers.add(peer);
    this.node.connected(peer);
  }

  disconnect(peer: TestPeer): void {
    if (this.peers.delete(peer) && this.#isAlive) void this.node.disconnected(peer);
  }

  /** As by SIGKILL: nobody is told, nothing is finished. */
  kill(): void {
    this.#isAlive = false;
    this.node.services.leases.stop();
    void this.node.retention.close();
    this.node.services.fanOut.close();
    for (const peer of [...this.peers]) peer.end('the server was killed');
  }

  /** As by SIGTERM. */
  async stop(): Promise<void> {
    await this.node.settle();
    for (const peer of [...this.peers]) peer.end('the server stopped');
    await this.node.close();
    this.#isAlive = false;
  }

  #wire(): Wire {
    return {
      to: (channel) => ({
        emit: (event, ...args) => {
          for (const peer of this.peers) if (peer.channels.has(channel)) peer.emit(event, ...args);
        },
      }),
      sent: () => undefined,
      isFull: () => false,
      drained: () => Promise.resolve(),
      readTo: () => undefined,
      dismiss: (peer) => (peer as TestPeer).end('the server ended the connection'),
      end: (peer) => (peer as TestPeer).end('the server ended the connection'),
    };
  }
}
