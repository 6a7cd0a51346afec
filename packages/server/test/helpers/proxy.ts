/** A network that fails on command: a TCP proxy between clients and a server, which stay as they are. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { Faults, FaultyWay } from './faulty-way.ts';

interface Target {
  port: number;
  host?: string;
}

/** On a free port; ends with the test. What happens by chance is chosen by `random`. */
export async function startProxy(target: Target, { random = Math.random } = {}): Promise<FaultyProxy> {
  const proxy = new FaultyProxy(target, new Faults(random));
  onTestFinished(() => proxy.stop());
  await proxy.listen();
  return proxy;
}

export class FaultyProxy {
  readonly #target: Required<Target>;
  readonly #faults: Faults;
  readonly #server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  readonly #links = new Set<Link>();
  #limits: Limits = { bytes: Number.POSITIVE_INFINITY, idleMs: 0 };
  #flapping: NodeJS.Timeout | undefined;

  constructor(target: Target, faults: Faults) {
    this.#target = { host: '127.0.0.1', ...target };
    this.#faults = faults;
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Those that one side, or both, take to be open. */
  get connections(): number {
    return this.#links.size;
  }

  /** Where new connections lead. */
  retarget(port: number): void {
    this.#target.port = port;
  }

  /** Every connection, or by chance this share of them, is reset for both sides; what was under way is lost. */
  cut(share = 1): void {
    for (const link of this.#links) if (this.#faults.random() < share) link.cut();
  }

  /** New connections are reset at once; old ones stay. */
  refuse(on: boolean): void {
    this.#faults.refused = on;
  }

  /** Nothing arrives, not even that the other side is gone, and nobody is told; once it is over, what was sent arrives. */
  stall(on: boolean): void {
    this.#faults.stalled = on;
    for (const link of this.#links) link.carryOn();
  }

  /** Each way takes so long, and by chance up to `jitter` longer. */
  delay(ms: number, jitter = 0): void {
    this.#faults.delay = { ms, jitter };
  }

  /** What lost packets look like above TCP: this share of chunks waits, with all that comes after them. */
  stutter(stutter: { share: number; ms: number }): void {
    this.#faults.stutter = stutter;
  }

  /** Each way of each connection; Infinity lifts it. */
  throttle(bytesPerSecond: number): void {
    this.#faults.bytesPerSecond = bytesPerSecond;
  }

  /** Connections are cut when so many bytes have passed, both ways together, or when nothing has passed for so long. */
  cutAfter({ bytes = Number.POSITIVE_INFINITY, idleMs = 0 }: Partial<Limits>): void {
    this.#limits = { bytes, idleMs };
    for (const link of this.#links) link.watch();
  }

  /** Everything is cut again and again; 0 ends it. */
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
    const link = new Link([client, createConnection({ ...this.#target, allowHalfOpen: true })], this.#faults, () => this.#limits);
    this.#links.add(link);
    link.onceClosed(() => this.#links.delete(link));
  }
}

interface Limits {
  bytes: number;
  idleMs: number;
}

/** One connection: both its sockets, and the two ways between them. */
class Link {
  readonly #sockets: Socket[];
  readonly #ways: FaultyWay[];
  readonly #limits: () => Limits;
  #passed = 0;
  #silence: NodeJS.Timeout | undefined;

  constructor([client, server]: [Socket, Socket], faults: Faults, limits: () => Limits) {
    const handOn = (bytes: Buffer, to: Socket) => this.#handOn(bytes, to);
    this.#sockets = [client, server];
    this.#ways = [new FaultyWay(client, server, faults, handOn), new FaultyWay(server, client, faults, handOn)];
    this.#limits = limits;
    // An error is followed by 'close', which is handed on as a reset.
    for (const socket of this.#sockets) socket.setNoDelay().on('error', () => undefined);
    this.watch();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  carryOn(): void {
    for (const way of this.#ways) way.carryOn();
  }

  /** The silence that is allowed begins now. */
  watch(): void {
    clearTimeout(this.#silence);
    const { idleMs } = this.#limits();
    if (idleMs > 0) this.#silence = setTimeout(() => this.cut(), idleMs);
  }

  onceClosed(then: () => void): void {
    let open = this.#sockets.length;
    const closed = () => {
      open -= 1;
      if (open > 0) return;
      clearTimeout(this.#silence);
      then();
    };
    for (const socket of this.#sockets) socket.once('close', closed);
  }

  #handOn(bytes: Buffer, to: Socket): boolean {
    const allowed = this.#limits().bytes - this.#passed;
    this.#passed += bytes.length;
    this.watch();
    const takesMore = to.write(bytes.subarray(0, Math.max(allowed, 0)));
    if (bytes.length >= allowed) this.cut();
    return takesMore;
  }
}
