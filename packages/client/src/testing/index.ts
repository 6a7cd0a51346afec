/** An in-process test server with injected faults, for tests of front ends. */
import type { Store } from '@engawa/server';
import type { TransportFactory } from '../connection/transport.ts';
import { type Faults, NO_FAULTS } from './faults.ts';
import { type MemoryConnection, MemoryTransport } from './memory-transport.ts';
import { randomFrom } from './random.ts';
import { SharedStore } from './shared-store.ts';
import { TestNode } from './test-node.ts';

export { type Faults, NO_FAULTS } from './faults.ts';
export { type Random, randomFrom } from './random.ts';

export interface TestServerOptions {
  /** The seed of all random choices. The same seed, faults and sequence of calls give the same faults. */
  seed?: number;
  /** The number of server processes, which share one store. Each connection picks one of them at random. */
  nodes?: number;
  /** No faults by default. */
  faults?: Partial<Faults>;
  /** Milliseconds for which the name of a disconnected member stays reserved; 30,000 by default. */
  grace?: number;
  /** Milliseconds after that in which they stay a member, unless another user joins under the name; a day by default. */
  absence?: number;
  /** Members from which on a room is large; 200 by default. */
  largeRoomThreshold?: number;
}

/** A server in this process, with a store in memory, and connections with injected faults. */
export interface TestServer {
  /** For `connect(url, { createTransport: server.createTransport })`; the URL has no effect. */
  readonly createTransport: TransportFactory;
  /** The faults from now on. */
  faults: Faults;
  /** The store, for inspection. */
  readonly store: Store;
  /** Drops every connection. */
  cut(): void;
  /** Kills a process as `kill -9` does; a random one if no index is given. It stays down until `start`. */
  kill(node?: number): void;
  /** Stops a process as a deploy does: it answers the pending requests, and tells clients when to reconnect. */
  stop(node?: number): Promise<void>;
  /** Starts every process that is down. */
  start(): void;
  /**
   * `replicate` takes a copy of the store; `failOver` returns to it and loses all later writes, as a failover to a replica that
   * lags behind.
   */
  replicate(): void;
  failOver(): Promise<void>;
  /** Ends all faults, and starts every process. */
  clearFaults(): void;
  /** Stops the server. */
  close(): Promise<void>;
}

const FAULT_INTERVAL_MS = 100;
const RESTART_MS = 2_000;

export function startTestServer({
  seed = 1,
  nodes = 1,
  faults = {},
  grace,
  absence,
  largeRoomThreshold,
}: TestServerOptions = {}): TestServer {
  const random = randomFrom(seed);
  const shared = new SharedStore();
  let currentFaults: Faults = { ...NO_FAULTS, ...faults };
  const environment = { faults: () => currentFaults, random };
  const newNode = () => new TestNode({ shared, ...environment, grace, absence, largeRoomThreshold });
  const testNodes = Array.from({ length: nodes }, newNode);
  let connections: MemoryConnection[] = [];

  const alive = () => testNodes.filter(({ isAlive }) => isAlive);
  const pickRandom = <Item>(items: Item[]): Item | undefined => items[Math.floor(random() * items.length)];
  const restart = (node: TestNode) => {
    const index = testNodes.indexOf(node);
    if (index >= 0 && !node.isAlive) testNodes[index] = newNode();
  };

  const faultTimer = setInterval(() => {
    connections = connections.filter(({ isUp }) => isUp);
    const happens = (perSecond: number) => random() < (perSecond * FAULT_INTERVAL_MS) / 1000;
    for (const connection of connections) if (happens(currentFaults.dropsPerSecond)) connection.end('the connection dropped');
    const killed = happens(currentFaults.killsPerSecond) ? pickRandom(alive()) : undefined;
    killed?.kill();
    if (killed) setTimeout(() => restart(killed), random() * RESTART_MS);
  }, FAULT_INTERVAL_MS);

  return {
    createTransport: (_, listeners) =>
      new MemoryTransport(
        { ...environment, pickNode: () => pickRandom(alive()), onOpen: (connection) => connections.push(connection) },
        listeners,
      ),
    get faults() {
      return currentFaults;
    },
    set faults(next) {
      currentFaults = next;
    },
    get store() {
      return shared.primary;
    },
    cut: () => {
      for (const connection of connections) connection.end('the connection dropped');
    },
    kill: (node) => (node === undefined ? pickRandom(alive()) : testNodes[node])?.kill(),
    stop: async (node) => (node === undefined ? pickRandom(alive()) : testNodes[node])?.stop(),
    start: () => testNodes.forEach(restart),
    replicate: () => shared.replicate(),
    failOver: () => shared.failOver(),
    clearFaults: () => {
      currentFaults = NO_FAULTS;
      testNodes.forEach(restart);
    },
    close: async () => {
      clearInterval(faultTimer);
      for (const node of alive()) node.kill();
      await shared.primary.close();
    },
  };
}
