/** Connections are pinged in so many portions, one after the other, once around in each interval. */
const PORTIONS = 50;

/** What is used of a connection of Engine.IO, some of which it calls private. */
export interface Pinged {
  readonly protocol: number;
  readonly readyState: string;
  readonly transport: { readonly name: string };
  pingIntervalTimer: NodeJS.Timeout | null;
  pingTimeoutTimer: NodeJS.Timeout | null;
  sendPacket(type: 'ping'): void;
  onClose(reason: string): void;
  on(event: 'packet' | 'close' | 'upgrade', listener: (this: Pinged, packet: { type: string }) => void): unknown;
}

/**
 * One timer pings all connections, where Engine.IO has one or two for each. What is promised stays: a ping every `interval`,
 * and who answers none within `timeout` is given up; anything else that comes from him meanwhile gives him as long again,
 * once. Both may come late by a portion of the interval.
 */
export class Heartbeat {
  readonly #timeout: number;
  readonly #portions: Set<Pinged>[] = Array.from({ length: PORTIONS }, () => new Set());
  /** Who has yet to answer, and until when: those whose time is over first come first. */
  readonly #asked = new Map<Pinged, number>();
  /** Those of them who were given more time. */
  readonly #excused = new Set<Pinged>();
  readonly #timer: NodeJS.Timeout;
  readonly #portionMs: number;
  readonly #begun = performance.now();
  #turns = 0;

  /** Milliseconds. */
  constructor({ interval, timeout }: { interval: number; timeout: number }) {
    this.#timeout = timeout;
    this.#portionMs = interval / PORTIONS;
    this.#timer = setInterval(() => this.#beat(), this.#portionMs);
  }

  /** Pings the connection from now on, instead of its own timers; one that is built otherwise than we know keeps those. */
  take(connection: Pinged): void {
    if (!isKnown(connection)) return;
    clearTimeout(connection.pingIntervalTimer ?? undefined);
    // Without it Engine.IO pings no more, and without a ping it waits for no answer.
    connection.pingIntervalTimer = null;
    // The portion that was pinged last comes after a whole interval.
    this.#portions[this.#turns % PORTIONS]?.add(connection);
    connection.on('packet', this.#onPacket);
    connection.on('close', this.#onClose);
    // The answer may have gone with the old transport; the library does not wait for it either.
    if (connection.transport.name === 'polling') connection.on('upgrade', this.#onUpgrade);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A timer that comes late is not late for all that follow: what should have had its turn by now has it. */
  #beat(): void {
    const now = performance.now();
    this.#giveUp(now);
    const due = Math.floor((now - this.#begun) / this.#portionMs);
    // After a standstill of more than an interval nobody is pinged twice.
    this.#turns = Math.max(this.#turns, due - PORTIONS);
    for (; this.#turns < due; this.#turns += 1) this.#ping(this.#portions[(this.#turns + 1) % PORTIONS] ?? [], now + this.#timeout);
  }

  #ping(portion: Iterable<Pinged>, until: number): void {
    for (const connection of portion) {
      if (this.#asked.has(connection)) continue;
      this.#asked.set(connection, until);
      connection.sendPacket('ping');
    }
  }

  #giveUp(now: number): void {
    for (const [connection, until] of this.#asked) {
      if (until > now) return;
      connection.onClose('ping timeout');
    }
  }

  #forget(connection: Pinged): void {
    this.#asked.delete(connection);
    this.#excused.delete(connection);
  }

  #heard(connection: Pinged, type: string): void {
    if (!this.#asked.has(connection)) return;
    if (type === 'pong') this.#forget(connection);
    else if (!this.#excused.has(connection)) {
      this.#excused.add(connection);
      this.#asked.delete(connection);
      this.#asked.set(connection, performance.now() + this.#timeout);
    }
  }

  #lose(connection: Pinged): void {
    this.#forget(connection);
    for (const portion of this.#portions) portion.delete(connection);
  }

  // One function for all connections, each `this` in its turn.
  readonly #onPacket = ofThis(({ connection, packet }) => this.#heard(connection, packet.type));
  readonly #onClose = ofThis(({ connection }) => this.#lose(connection));
  readonly #onUpgrade = ofThis(({ connection }) => this.#forget(connection));
}

interface Heard {
  connection: Pinged;
  packet: { type: string };
}

const ofThis = (hear: (heard: Heard) => void) =>
  function (this: Pinged, packet: { type: string }): void {
    hear({ connection: this, packet });
  };

/** In version 3 of the protocol clients ping. Of one that has ended already no end would be heard. */
const isKnown = (connection: Pinged): boolean =>
  connection.readyState === 'open' &&
  connection.protocol === 4 &&
  connection.pingIntervalTimer instanceof Object &&
  connection.pingTimeoutTimer === null &&
  typeof connection.sendPacket === 'function' &&
  typeof connection.onClose === 'function';
