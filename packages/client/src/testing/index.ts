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
  /** What all choices come from. The same seed, faults and course of your program give the same faults again. */
  seed?: number;
  /** Server processes that share one store; each client is on any of them. */
  nodes?: number;
  /** None, when not given. */
  faults?: Partial<Faults>;
  /** Milliseconds that a name is kept for somebody who dropped; 30,000 when not given. */
  grace?: number;
  /** Milliseconds that they stay a member after that, as long as nobody else joins under the name; a day when not given. */
  absence?: number;
  /** Members from which on a room is large; 200 when not given. */
  largeRoom?: number;
}

/** A server in this process, on a store in memory, and connections that fail as you wish. */
export interface TestServer {
  /** For `connect(url, { link: server.link })`; the URL says nothing. */
  readonly createTransport: TransportFactory;
  /** What goes wrong from now on. */
  faults: Faults;
  /** The store, to look into. */
  readonly store: Store;
  /** Drops every connection now. */
  cut(): void;
  /** Kills a process as by `kill -9`, any that is alive when it is not said which; it stays down until it is started. */
  kill(node?: number): void;
  /** Stops a process as a deploy does: it answers what was asked, and says when to come back. */
  stop(node?: number): Promise<void>;
  /** Starts every process that is down. */
  start(): void;
  /** Remembers what is in the store, and forgets all that came after: what a replica does that becomes the primary too early. */
  replicate(): void;
  failOver(): Promise<void>;
  /** Nothing goes wrong any more, and every process is up. */
  clearFaults(): void;
  /** Ends everything. */
  close(): Promise<void>;
}

const FAULT_INTERVAL_MS = 100;
const RESTART_MS = 2_000;

export function startTestServer({ seed = 1, nodes = 1, faults = {}, grace, absence, largeRoom }: TestServerOptions = {}): TestServer {
  const random = randomFrom(seed);
  const shared = new SharedStore();
  let currentFaults: Faults = { ...NO_FAULTS, ...faults };
  const environment = { faults: () => currentFaults, random };
  const newNode = () => new TestNode({ shared, ...environment, grace, absence, largeRoom });
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
