/** The heartbeat: one timer pings all connections, and closes those that do not answer. */

/** Number of portions in which connections are pinged, one after the other, in each interval. */
const PORTIONS_PER_INTERVAL = 50;

/** The fields of an Engine.IO connection that are used here; some of them are private. */
export interface PingedConnection {
  readonly protocol: number;
  readonly readyState: string;
  readonly transport: { readonly name: string };
  pingIntervalTimer: NodeJS.Timeout | null;
  pingTimeoutTimer: NodeJS.Timeout | null;
  sendPacket(type: 'ping'): void;
  onClose(reason: string): void;
  on(event: 'packet' | 'close' | 'upgrade', listener: (this: PingedConnection, packet: { type: string }) => void): unknown;
}

/**
 * One timer pings all connections, instead of one or two timers of Engine.IO for each. The guarantees are the same: a ping every
 * `interval`; a client that does not answer within `timeout` is disconnected. Any other packet meanwhile extends the time once.
 * Both may be late by a portion of the interval.
 */
export class Heartbeat {
  readonly #timeout: number;
  readonly #portions: Set<PingedConnection>[] = Array.from({ length: PORTIONS_PER_INTERVAL }, () => new Set());
  /** Connections that have not answered yet, and their deadlines, earliest first. */
  readonly #awaitingPong = new Map<PingedConnection, number>();
  /** Connections whose deadline was extended. */
  readonly #extended = new Set<PingedConnection>();
  readonly #timer: NodeJS.Timeout;
  readonly #portionMs: number;
  readonly #startedAt = performance.now();
  #pingedPortions = 0;

  /** Milliseconds. */
  constructor({ interval, timeout }: { interval: number; timeout: number }) {
    this.#timeout = timeout;
    this.#portionMs = interval / PORTIONS_PER_INTERVAL;
    this.#timer = setInterval(() => this.#pingDuePortions(), this.#portionMs);
  }

  /** Pings the connection from now on, instead of its own timers. A connection with an unknown structure keeps its timers. */
  add(connection: PingedConnection): void {
    if (!isSupported(connection)) return;
    clearTimeout(connection.pingIntervalTimer ?? undefined);
    // Without this timer Engine.IO sends no pings and waits for no pongs.
    connection.pingIntervalTimer = null;
    // The portion that was pinged last: its next ping follows after a whole interval.
    this.#portions[this.#pingedPortions % PORTIONS_PER_INTERVAL]?.add(connection);
    connection.on('packet', this.#onPacket);
    connection.on('close', this.#onClose);
    // The pong may have been lost with the old transport; Engine.IO does not wait for it either.
    if (connection.transport.name === 'polling') connection.on('upgrade', this.#onUpgrade);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A late timer does not delay later portions: all portions that are due by now are pinged. */
  #pingDuePortions(): void {
    const now = performance.now();
    this.#closeTimedOut(now);
    const due = Math.floor((now - this.#startedAt) / this.#portionMs);
    // After a pause of more than an interval no connection is pinged twice.
    this.#pingedPortions = Math.max(this.#pingedPortions, due - PORTIONS_PER_INTERVAL);
    for (; this.#pingedPortions < due; this.#pingedPortions += 1)
      this.#pingPortion(this.#portions[(this.#pingedPortions + 1) % PORTIONS_PER_INTERVAL] ?? [], now + this.#timeout);
  }

  #pingPortion(portion: Iterable<PingedConnection>, until: number): void {
    for (const connection of portion) {
      if (this.#awaitingPong.has(connection)) continue;
      this.#awaitingPong.set(connection, until);
      connection.sendPacket('ping');
    }
  }

  #closeTimedOut(now: number): void {
    for (const [connection, until] of this.#awaitingPong) {
      if (until > now) return;
      connection.onClose('ping timeout');
    }
  }

  #clearPending(connection: PingedConnection): void {
    this.#awaitingPong.delete(connection);
    this.#extended.delete(connection);
  }

  #handlePacket(connection: PingedConnection, type: string): void {
    if (!this.#awaitingPong.has(connection)) return;
    if (type === 'pong') this.#clearPending(connection);
    else if (!this.#extended.has(connection)) {
      this.#extended.add(connection);
      this.#awaitingPong.delete(connection);
      this.#awaitingPong.set(connection, performance.now() + this.#timeout);
    }
  }

  #remove(connection: PingedConnection): void {
    this.#clearPending(connection);
    for (const portion of this.#portions) portion.delete(connection);
  }

  // Shared listeners; `this` is the connection.
  readonly #onPacket = withConnection(({ connection, packet }) => this.#handlePacket(connection, packet.type));
  readonly #onClose = withConnection(({ connection }) => this.#remove(connection));
  readonly #onUpgrade = withConnection(({ connection }) => this.#clearPending(connection));
}

interface ReceivedPacket {
  connection: PingedConnection;
  packet: { type: string };
}

const withConnection = (handle: (received: ReceivedPacket) => void) =>
  function (this: PingedConnection, packet: { type: string }): void {
    handle({ connection: this, packet });
  };

/** In protocol version 3 clients send the pings. A connection that is already closed emits no 'close'. */
const isSupported = (connection: PingedConnection): boolean =>
  connection.readyState === 'open' &&
  connection.protocol === 4 &&
  connection.pingIntervalTimer instanceof Object &&
  connection.pingTimeoutTimer === null &&
  typeof connection.sendPacket === 'function' &&
  typeof connection.onClose === 'function';
