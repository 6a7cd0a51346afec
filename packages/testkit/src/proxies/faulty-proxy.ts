/** A network that fails on command: a TCP proxy between clients and a server, which stay as they are. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { FaultyPipe, NetworkFaults } from './faulty-pipe.ts';

interface Target {
  port: number;
  host?: string;
}

/** On a free port; ends with the test. `random` decides all random faults. */
export async function startProxy(target: Target, { random = Math.random } = {}): Promise<FaultyProxy> {
  const proxy = new FaultyProxy(target, new NetworkFaults(random));
  onTestFinished(() => proxy.stop());
  await proxy.listen();
  return proxy;
}

export class FaultyProxy {
  readonly #host: string;
  #ports: number[];
  readonly #faults: NetworkFaults;
  readonly #server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  readonly #links = new Set<ProxiedConnection>();
  #limits: Limits = NO_LIMITS;
  /** The bytes passed on, in both directions of all connections together. */
  bytes = 0;
  #flapping: NodeJS.Timeout | undefined;

  constructor({ host = '127.0.0.1', port }: Target, faults: NetworkFaults) {
    this.#host = host;
    this.#ports = [port];
    this.#faults = faults;
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connections that at least one side considers open. */
  get connections(): number {
    return this.#links.size;
  }

  /** The targets of new connections, in turn, like a balancer for connections. */
  retarget(...ports: number[]): void {
    this.#ports = ports;
  }

  /** Resets every connection, or a random share of them, on both sides; data in transit is lost. */
  cut(share = 1): void {
    for (const link of this.#links) if (this.#faults.random() < share) link.cut();
  }

  /** New connections are reset at once; existing ones stay. */
  refuse(on: boolean): void {
    this.#faults.refused = on;
  }

  /** Nothing arrives, not even the end of a connection; after the fault the pending data arrives. */
  stall(on: boolean): void {
    this.#faults.stalled = on;
    for (const link of this.#links) link.resume();
  }

  /** Existing connections pass nothing any more, without a reset: all, or those from these ports as the server sees them. Returns their number. */
  blackhole(ports?: number[]): number {
    const links = [...this.#links].filter(({ port }) => !ports || (port !== undefined && ports.includes(port)));
    for (const link of links) link.blackhole();
    return links.length;
  }

  /** Each direction has this delay, and randomly up to `jitter` more. */
  delay(ms: number, jitter = 0): void {
    this.#faults.delay = { ms, jitter };
  }

  /** The effect of lost packets above TCP: this share of chunks is delayed, with all data after them. */
  stutter(stutter: { share: number; ms: number }): void {
    this.#faults.stutter = stutter;
  }

  /** The rate of each direction of each connection; Infinity lifts it. */
  throttle(bytesPerSecond: number): void {
    this.#faults.bytesPerSecond = bytesPerSecond;
  }

  /**
   * Connections are cut when so many bytes have passed, both ways together, when nothing has passed for so long, or, new ones,
   * when they are so old.
   */
  cutAfter(limits: Partial<Limits>): void {
    this.#limits = { ...NO_LIMITS, ...limits };
    for (const link of this.#links) link.restartIdleTimer();
  }

  /** All connections are cut periodically; 0 ends it. */
  flap(everyMs: number): void {
    clearInterval(this.#flapping);
    this.#flapping = everyMs > 0 ? setInterval(() => this.cut(), everyMs) : undefined;
  }

  async stop(): Promise<void> {
    this.flap(0);
    this.refuse(true);
    this.cut();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.#faults.refused) return void client.on('error', () => undefined).resetAndDestroy();
    const server = createConnection({ host: this.#host, port: this.#nextPort(), allowHalfOpen: true });
    const link = new ProxiedConnection([client, server], this.#faults, {
      limits: () => this.#limits,
      onBytes: (bytes) => {
        this.bytes += bytes;
      },
    });
    this.#links.add(link);
    link.onClosed(() => this.#links.delete(link));
  }

  #nextPort(): number {
    const [port = 0, ...others] = this.#ports;
    this.#ports = [...others, port];
    return port;
  }
}

interface Limits {
  bytes: number;
  /** 0 means no limit, here and below. */
  idleMs: number;
  ageMs: number;
}

const NO_LIMITS: Limits = { bytes: Number.POSITIVE_INFINITY, idleMs: 0, ageMs: 0 };

/** One connection: both of its sockets, and the two directions between them. */
class ProxiedConnection {
  readonly #sockets: Socket[];
  readonly #pipes: FaultyPipe[];
  readonly #limits: () => Limits;
  readonly #onBytes: (bytes: number) => void;
  #bytesPassed = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  readonly #ageTimer: NodeJS.Timeout | undefined;

  constructor(
    [client, server]: [Socket, Socket],
    faults: NetworkFaults,
    { limits, onBytes }: { limits: () => Limits; onBytes: (bytes: number) => void },
  ) {
    const forward = (bytes: Buffer, to: Socket) => this.#forward(bytes, to);
    this.#sockets = [client, server];
    this.#pipes = [new FaultyPipe(client, server, faults, forward), new FaultyPipe(server, client, faults, forward)];
    this.#limits = limits;
    this.#onBytes = onBytes;
    // An error is followed by 'close', which is passed on as a reset.
    for (const socket of this.#sockets) socket.setNoDelay().on('error', () => undefined);
    this.restartIdleTimer();
    const { ageMs } = limits();
    if (ageMs > 0) this.#ageTimer = setTimeout(() => this.cut(), ageMs);
  }

  /** The port of the proxy, as the server sees it. */
  get port(): number | undefined {
    return this.#sockets[1]?.localPort;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  blackhole(): void {
    for (const way of this.#pipes) way.blackhole();
  }

  resume(): void {
    for (const way of this.#pipes) way.resume();
  }

  /** The allowed silence begins now. */
  restartIdleTimer(): void {
    clearTimeout(this.#idleTimer);
    const { idleMs } = this.#limits();
    if (idleMs > 0) this.#idleTimer = setTimeout(() => this.cut(), idleMs);
  }

  onClosed(then: () => void): void {
    let open = this.#sockets.length;
    const onSocketClosed = () => {
      open -= 1;
      if (open > 0) return;
      clearTimeout(this.#idleTimer);
      clearTimeout(this.#ageTimer);
      then();
    };
    for (const socket of this.#sockets) socket.once('close', onSocketClosed);
  }

  #forward(bytes: Buffer, to: Socket): boolean {
    const remaining = this.#limits().bytes - this.#bytesPassed;
    this.#bytesPassed += bytes.length;
    this.#onBytes(bytes.length);
    this.restartIdleTimer();
    const takesMore = to.write(bytes.subarray(0, Math.max(remaining, 0)));
    if (bytes.length >= remaining) this.cut();
    return takesMore;
  }
}
