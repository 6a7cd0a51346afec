/** The in-memory transport to a test node. */
import { ChatError } from '@engawa/protocol';
import type { Connection } from '@engawa/server';
import { type Transport, type TransportAuth, TransportError, type TransportListeners } from '../connection/transport.ts';
import type { Faults } from './faults.ts';
import { MemoryPeer } from './memory-peer.ts';
import { Pipe } from './pipe.ts';
import { type Random, randomBetween } from './random.ts';
import type { TestNode } from './test-node.ts';

/** The range of the delay before a reconnect, in milliseconds. */
const RECONNECT_DELAY_MS = [20, 500] as const;

interface MemoryTransportOptions {
  faults: () => Faults;
  random: Random;
  /** A node that is alive; undefined if there is none. */
  pickNode: () => TestNode | undefined;
  onOpen: (connection: MemoryConnection) => void;
}

type ToClient = { event: string; payload: unknown } | { requestId: number; answer: unknown };
interface ToServer {
  requestId: number;
  event: string;
  payload: unknown;
}

export class MemoryTransport implements Transport {
  readonly #options: MemoryTransportOptions;
  readonly #listeners: TransportListeners;
  #connection: MemoryConnection | undefined;
  #connecting: ReturnType<typeof setTimeout> | undefined;
  #isOpen = false;
  #auth: TransportAuth = { session: '' };

  constructor(options: MemoryTransportOptions, listeners: TransportListeners) {
    this.#options = options;
    this.#listeners = listeners;
  }

  open(auth: TransportAuth): void {
    this.#auth = auth;
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#connectIn(randomBetween(this.#options.random, this.#options.faults().delayMs));
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#connecting);
    this.#connecting = undefined;
    this.#connection?.end('closed by the client');
    this.#connection = undefined;
  }

  async request(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    if (!this.#connection) throw new TransportError('There is no connection.');
    return this.#connection.request(event, payload, timeoutMs);
  }

  #connectIn(milliseconds: number): void {
    clearTimeout(this.#connecting);
    this.#connecting = setTimeout(() => void this.#connect(), milliseconds);
  }

  async #connect(): Promise<void> {
    const attempt = this.#connecting;
    const node = this.#options.pickNode();
    if (!node) {
      this.#reconnect();
      return;
    }
    const connection = new MemoryConnection(node, this.#options, {
      onEvent: (event, payload) => this.#listeners.onEvent(event, payload),
      onEnd: (reason) => this.#onEnd(connection, reason),
    });
    const refusal = await connection.open({ ...this.#auth }).catch((error: unknown) => error);
    if (attempt !== this.#connecting) return connection.end('closed by the client');
    if (refusal !== undefined) {
      this.#isOpen = false;
      this.#listeners.onRejected((refusal instanceof ChatError ? refusal : new ChatError('internal')).toPayload());
      return;
    }
    if (!connection.isUp) return this.#reconnect();
    this.#connection = connection;
    this.#options.onOpen(connection);
    this.#listeners.onConnect();
  }

  #reconnect(): void {
    this.#connectIn(randomBetween(this.#options.random, RECONNECT_DELAY_MS));
  }

  #onEnd(connection: MemoryConnection, reason: string): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (!this.#isOpen) return;
    this.#reconnect();
    this.#listeners.onDisconnect(reason);
  }
}

/** One connection: two pipes, the pending requests, and the node's peer. */
export class MemoryConnection {
  readonly #peer: MemoryPeer;
  #connection: Connection | undefined;
  readonly #toServer: Pipe<ToServer>;
  readonly #toClient: Pipe<ToClient>;
  readonly #pendingRequests = new Map<number, (answer: unknown) => void>();
  readonly #node: TestNode;
  readonly #onEnd: (reason: string) => void;
  #lastRequestId = 0;
  #isUp = true;

  constructor(
    node: TestNode,
    { faults, random }: MemoryTransportOptions,
    { onEvent, onEnd }: { onEvent: (event: string, payload: unknown) => void; onEnd: (reason: string) => void },
  ) {
    this.#node = node;
    this.#onEnd = onEnd;
    // Requests arrive once and in order, as over any connection. Only events can be duplicated or reordered, as events from other
    // nodes are.
    this.#toServer = new Pipe({
      faults: () => ({ ...faults(), duplicate: 0, reorder: 0 }),
      random,
      deliver: (packet) => void this.#receive(packet),
    });
    this.#toClient = new Pipe({
      faults,
      random,
      deliver: (packet) => {
        if ('event' in packet) onEvent(packet.event, packet.payload);
        else this.#pendingRequests.get(packet.requestId)?.(packet.answer);
      },
    });
    this.#peer = new MemoryPeer({
      transport: node,
      isConnected: () => this.#isUp,
      send: (event, payload) => this.#toClient.send({ event, payload: jsonCopy(payload) }),
      end: (reason) => this.end(reason),
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Rejects with the `ChatError` that refuses the client. */
  async open(auth: TransportAuth): Promise<void> {
    this.#connection = await this.#node.connect(this.#peer, auth);
  }

  request(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    this.#lastRequestId += 1;
    const requestId = this.#lastRequestId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (answer: unknown) => {
        clearTimeout(timer);
        this.#pendingRequests.delete(requestId);
        if (answer === undefined) reject(new TransportError('There was no answer.'));
        else resolve(answer);
      };
      this.#pendingRequests.set(requestId, settle);
      this.#toServer.send({ requestId, event, payload: jsonCopy(payload) });
    });
  }

  /** Closes both ends. Packets in flight are lost. */
  end(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#toServer.cut();
    this.#toClient.cut();
    for (const settle of [...this.#pendingRequests.values()]) settle(undefined);
    if (this.#connection) this.#node.disconnect(this.#peer, this.#connection);
    this.#onEnd(reason);
  }

  async #receive({ requestId, event, payload }: ToServer): Promise<void> {
    const answer = this.#connection && (await this.#node.node.dispatch({ connection: this.#connection, event, payload }));
    answer?.deliver((ack) => this.#toClient.send({ requestId, answer: jsonCopy(ack) }));
  }
}

/** A copy, as after serialization. */
const jsonCopy = (payload: unknown): unknown => (payload === undefined ? undefined : (JSON.parse(JSON.stringify(payload)) as unknown));
