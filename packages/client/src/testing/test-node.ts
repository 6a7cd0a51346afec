/** A chat node in this process: everything of a server but its sockets. */
import { LIMITS } from '@engawa/protocol';
import { type Channel, ChatNode, type Connection, type Transport } from '@engawa/server';
import type { Faults } from './faults.ts';
import type { MemoryPeer } from './memory-peer.ts';
import type { Random } from './random.ts';
import { createNodeStore, type SharedStore } from './shared-store.ts';

interface TestNodeOptions {
  shared: SharedStore;
  faults: () => Faults;
  random: Random;
  grace: number | undefined;
  absence: number | undefined;
  largeRoomThreshold: number | undefined;
}

/** Runs the real chat node, without a process and without sockets. */
export class TestNode implements Transport {
  readonly node: ChatNode;
  readonly #peers = new Set<MemoryPeer>();
  #isAlive = true;

  constructor({ shared, faults, random, grace: graceMs, absence: absenceMs, largeRoomThreshold = LIMITS.largeRoom }: TestNodeOptions) {
    const store = createNodeStore({ shared, faults, random, isAlive: () => this.#isAlive });
    this.node = new ChatNode({
      store,
      limits: { ...LIMITS, largeRoom: largeRoomThreshold },
      ...(graceMs !== undefined && { graceMs }),
      ...(absenceMs !== undefined && { absenceMs }),
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Rejects with the `ChatError` that refuses the client. */
  async connect(peer: MemoryPeer, auth: unknown): Promise<Connection> {
    const connection = await this.node.admit(peer, { auth });
    if (!this.#isAlive) peer.end('the server was killed');
    if (!peer.isConnected) return connection;
    this.#peers.add(peer);
    this.node.addConnection(connection);
    return connection;
  }

  disconnect(peer: MemoryPeer, connection: Connection): void {
    if (this.#peers.delete(peer) && this.#isAlive) void this.node.removeConnection(connection);
  }

  to(channel: string): Channel {
    return {
      emit: (event, payload) => {
        for (const peer of this.#peers) if (peer.channels.has(channel)) peer.emit(event, payload);
      },
    };
  }

  /** As SIGKILL: no notification, and pending work is not finished. */
  kill(): void {
    this.#isAlive = false;
    this.node.context.leaseManager.stop();
    void this.node.retentionJob.close();
    this.node.context.roomRegistry.close();
    for (const peer of [...this.#peers]) peer.end('the server was killed');
  }

  /** As SIGTERM. */
  async stop(): Promise<void> {
    await this.node.drain();
    for (const peer of [...this.#peers]) peer.end('the server stopped');
    await this.node.close();
    this.#isAlive = false;
  }
}
