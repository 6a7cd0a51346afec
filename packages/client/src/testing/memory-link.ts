import { ChatError } from '@engawa/protocol';
import { type Link, type LinkAuth, LinkError, type LinkListeners } from '../link.ts';
import type { Faults } from './faults.ts';
import { Pipe } from './pipe.ts';
import { between, type Random } from './random.ts';
import type { TestNode, TestPeer } from './test-node.ts';

/** How soon a link tries again: milliseconds, at least and at most. */
const AGAIN_MS = [20, 500] as const;

interface Surroundings {
  faults: () => Faults;
  random: Random;
  /** A node that is alive, if there is one. */
  pick: () => TestNode | undefined;
  opened: (connection: MemoryConnection) => void;
}

type ToClient = { event: string; payload: unknown } | { answers: number; answer: unknown };
interface ToServer {
  ask: number;
  event: string;
  payload: unknown;
}

/** A link to a node in this process. */
export class MemoryLink implements Link {
  readonly #surroundings: Surroundings;
  readonly #listeners: LinkListeners;
  #connection: MemoryConnection | undefined;
  #connecting: ReturnType<typeof setTimeout> | undefined;
  #isOpen = false;
  #auth: LinkAuth = { session: '' };

  constructor(surroundings: Surroundings, listeners: LinkListeners) {
    this.#surroundings = surroundings;
    this.#listeners = listeners;
  }

  open(auth: LinkAuth): void {
    this.#auth = auth;
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#connectIn(between(this.#surroundings.random, this.#surroundings.faults().delayMs));
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#connecting);
    this.#connection?.end('closed by the client');
    this.#connection = undefined;
  }

  async ask(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    if (!this.#connection) throw new LinkError('There is no connection.');
    return this.#connection.ask(event, payload, timeoutMs);
  }

  #connectIn(milliseconds: number): void {
    clearTimeout(this.#connecting);
    this.#connecting = setTimeout(() => this.#connect(), milliseconds);
  }

  #connect(): void {
    const node = this.#surroundings.pick();
    if (!node) {
      this.#connectAgain();
      return;
    }
    const connection = new MemoryConnection(node, this.#surroundings, {
      heard: (event, payload) => this.#listeners.heard(event, payload),
      ended: (reason) => this.#ended(connection, reason),
    });
    try {
      node.connect(connection.peer, { ...this.#auth });
    } catch (error) {
      this.#isOpen = false;
      this.#listeners.refused((error instanceof ChatError ? error : new ChatError('internal')).toWire());
      return;
    }
    this.#connection = connection;
    this.#surroundings.opened(connection);
    this.#listeners.up();
  }

  #connectAgain(): void {
    this.#connectIn(between(this.#surroundings.random, AGAIN_MS));
  }

  #ended(connection: MemoryConnection, reason: string): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (!this.#isOpen) return;
    this.#connectAgain();
    this.#listeners.down(reason);
  }
}

/** One connection: two pipes, what is being asked, and the peer that the node knows. */
export class MemoryConnection {
  readonly peer: TestPeer;
  readonly #toServer: Pipe<ToServer>;
  readonly #toClient: Pipe<ToClient>;
  readonly #asks = new Map<number, (answer: unknown) => void>();
  readonly #node: TestNode;
  readonly #ended: (reason: string) => void;
  #asked = 0;
  #isUp = true;

  constructor(
    node: TestNode,
    { faults, random }: Surroundings,
    { heard, ended }: { heard: (event: string, payload: unknown) => void; ended: (reason: string) => void },
  ) {
    this.#node = node;
    this.#ended = ended;
    // What is asked comes once and in order, as over any connection; what a server tells may come as it comes from others.
    this.#toServer = new Pipe({
      faults: () => ({ ...faults(), duplicate: 0, reorder: 0 }),
      random,
      deliver: (packet) => this.#receive(packet),
    });
    this.#toClient = new Pipe({
      faults,
      random,
      deliver: (packet) => {
        if ('event' in packet) heard(packet.event, packet.payload);
        else this.#asks.get(packet.answers)?.(packet.answer);
      },
    });
    this.peer = this.#newPeer();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  ask(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    this.#asked += 1;
    const ask = this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (answer: unknown) => {
        clearTimeout(timer);
        this.#asks.delete(ask);
        if (answer === undefined) reject(new LinkError('There was no answer.'));
        else resolve(answer);
      };
      this.#asks.set(ask, settle);
      this.#toServer.send({ ask, event, payload: copyOf(payload) });
    });
  }

  /** Both ends learn of it, and what is on its way is lost. */
  end(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#toServer.cut();
    this.#toClient.cut();
    for (const settle of [...this.#asks.values()]) settle(undefined);
    this.#node.disconnect(this.peer);
    this.#ended(reason);
  }

  #receive({ ask, event, payload }: ToServer): void {
    const acknowledge = (answer: unknown) => this.#toClient.send({ answers: ask, answer: copyOf(answer) });
    this.#node.node.receive(this.peer, event, [payload, acknowledge]);
  }

  #newPeer(): TestPeer {
    const channels = new Set<string>();
    const isUp = () => this.#isUp;
    return {
      id: '',
      data: undefined,
      channels,
      get connected() {
        return isUp();
      },
      emit: (event, ...[payload]) => this.#isUp && this.#toClient.send({ event, payload: copyOf(payload) }),
      join: (channel) => channels.add(channel),
      leave: (channel) => channels.delete(channel),
      end: (reason) => this.end(reason),
    };
  }
}

/** As it would come over a wire. */
const copyOf = (payload: unknown): unknown => (payload === undefined ? undefined : (JSON.parse(JSON.stringify(payload)) as unknown));
