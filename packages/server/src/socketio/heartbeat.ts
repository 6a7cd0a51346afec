/** The heartbeat: one timer pings all connections, and closes those that do not answer. */

/** Connections are pinged in so many portions, one after the other, once around in each interval. */
const PORTIONS_PER_INTERVAL = 50;

/** What is used of a connection of Engine.IO, some of which it calls private. */
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
 * One timer pings all connections, where Engine.IO has one or two for each. What is promised stays: a ping every `interval`,
 * and who answers none within `timeout` is given up; anything else that comes from him meanwhile gives him as long again,
 * once. Both may come late by a portion of the interval.
 */
export class Heartbeat {
  readonly #timeout: number;
  readonly #portions: Set<PingedConnection>[] = Array.from({ length: PORTIONS_PER_INTERVAL }, () => new Set());
  /** Who has yet to answer, and until when: those whose time is over first come first. */
  readonly #awaitingPong = new Map<PingedConnection, number>();
  /** Those of them who were given more time. */
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

  /** Pings the connection from now on, instead of its own timers; one that is built otherwise than we know keeps those. */
  add(connection: PingedConnection): void {
    if (!isSupported(connection)) return;
    clearTimeout(connection.pingIntervalTimer ?? undefined);
    // Without it Engine.IO pings no more, and without a ping it waits for no answer.
    connection.pingIntervalTimer = null;
    // The portion that was pinged last comes after a whole interval.
    this.#portions[this.#pingedPortions % PORTIONS_PER_INTERVAL]?.add(connection);
    connection.on('packet', this.#onPacket);
    connection.on('close', this.#onClose);
    // The answer may have gone with the old transport; the library does not wait for it either.
    if (connection.transport.name === 'polling') connection.on('upgrade', this.#onUpgrade);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A timer that comes late is not late for all that follow: what should have had its turn by now has it. */
  #pingDuePortions(): void {
    const now = performance.now();
    this.#closeTimedOut(now);
    const due = Math.floor((now - this.#startedAt) / this.#portionMs);
    // After a standstill of more than an interval nobody is pinged twice.
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

  // One function for all connections, each `this` in its turn.
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

/** In version 3 of the protocol clients ping. Of one that has ended already no end would be heard. */
const isSupported = (connection: PingedConnection): boolean =>
  connection.readyState === 'open' &&
  connection.protocol === 4 &&
  connection.pingIntervalTimer instanceof Object &&
  connection.pingTimeoutTimer === null &&
  typeof connection.sendPacket === 'function' &&
  typeof connection.onClose === 'function';
