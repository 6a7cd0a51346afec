import type { FanOutAdapter } from '@engawa/fan-out';
import type { Server } from 'socket.io';
import { type Conn, Unread } from './unread.ts';
import type { Peer, Wire } from './wire.ts';

/** What may wait for a client that does not read, whatever it is. */
export const UNREAD = { frames: 4_096, bytes: 8 * 1024 * 1024 };
/** Every connection is looked after so often, or more often where patience is shorter. */
const LOOK_EVERY_MS = 1_000;
/** Who is waited for is looked after so often; the more they are, the less often. */
const LOOK_AFTER_MS = 20;
const LOOKS_PER_MS = 50;

/** Who is dismissed has so long to read why. */
const DISMISSED_MS = 3_000;

export interface Patience {
  /** Bytes that may wait for a client before it is told from the logs what happens in its rooms. */
  waiting: number;
  /** Milliseconds in which a client that something waits for must have read something. */
  stuck: number;
}

interface Wait {
  peer: Peer;
  /** Until no more than so many wait for it. */
  bytes: number;
  resolve: () => void;
}

interface Behind {
  progress: number;
  /** In so many looks after each other it was the same. */
  looks: number;
}

const connTo = (peer: Peer): Conn => (peer as unknown as { conn: Conn }).conn;

/** Socket.IO, as a node needs it. */
export class SocketIoWire implements Wire {
  readonly #io: Server;
  readonly #patience: Patience;
  readonly #unread: Unread;
  readonly #timer: NodeJS.Timeout;
  readonly #mostLooks: number;
  /** Who had not read all when they were last looked after, and how far they had read. */
  #behind = new Map<Conn, Behind>();
  /** Those that are to end once they have read what they were sent, and until when they may take. */
  readonly #dismissed = new Map<Conn, number>();
  readonly #waits = new Set<Wait>();
  #looking: NodeJS.Timeout | undefined;

  constructor(io: Server, patience: Patience) {
    this.#io = io;
    this.#patience = patience;
    this.#unread = new Unread(io.engine);
    const every = Math.min(LOOK_EVERY_MS, patience.stuck / 4);
    // Not by the clock: while the server stands still, nobody can read what it does not write.
    this.#mostLooks = patience.stuck / every;
    this.#timer = setInterval(() => this.#lookAfterAll(), every);
  }

  to(channel: string): ReturnType<Wire['to']> {
    return this.#io.to(channel);
  }

  /**
   * Ends the connection of a client for whom more would have to be kept: memory is for those who read. It may come back and
   * read on from where it was.
   */
  sent(peer: Peer): void {
    const conn = connTo(peer);
    if (isTooMuch(conn, this.waitingFor(peer))) conn.close(true);
  }

  isFull(peer: Peer): boolean {
    return this.waitingFor(peer) > this.#patience.waiting;
  }

  async drained(peer: Peer): Promise<void> {
    await this.readTo(peer, this.#patience.waiting / 2);
  }

  readTo(peer: Peer, bytes: number): Promise<void> | undefined {
    if (this.#hasRead(peer, bytes)) return undefined;
    return new Promise((resolve) => {
      this.#waits.add({ peer, bytes, resolve });
      this.#lookSoon();
    });
  }

  dismiss(peer: Peer): void {
    const conn = connTo(peer);
    conn.close();
    this.#dismissed.set(conn, performance.now() + DISMISSED_MS);
  }

  end(peer: Peer): void {
    connTo(peer).close(true);
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#looking);
    for (const { resolve } of this.#waits) resolve();
    this.#waits.clear();
  }

  /** Bytes that the system has not taken yet of what was sent to the peer. */
  waitingFor(peer: Peer): number {
    return (this.#io.of('/').adapter as FanOutAdapter).waitingFor(peer.id) + this.#unread.polledBytes(connTo(peer));
  }

  #hasRead(peer: Peer, bytes: number): boolean {
    return connTo(peer).readyState !== 'open' || this.waitingFor(peer) <= bytes;
  }

  /** One timer for all, while somebody is waited for. */
  #lookSoon(): void {
    this.#looking ??= setTimeout(() => this.#look(), LOOK_AFTER_MS + this.#waits.size / LOOKS_PER_MS);
  }

  #look(): void {
    this.#looking = undefined;
    for (const wait of this.#waits) {
      if (!this.#hasRead(wait.peer, wait.bytes)) continue;
      this.#waits.delete(wait);
      wait.resolve();
    }
    if (this.#waits.size > 0) this.#lookSoon();
  }

  /** Those, too, who ask nothing, and are only told what happens in their rooms. */
  #lookAfterAll(): void {
    const behind = new Map<Conn, Behind>();
    for (const socket of this.#io.sockets.sockets.values()) {
      const waiting = this.waitingFor(socket);
      if (waiting === 0) continue;
      const conn = connTo(socket);
      const progress = this.#unread.progressOf(conn);
      const before = this.#behind.get(conn);
      const looks = before?.progress === progress ? before.looks + 1 : 0;
      if (looks > this.#mostLooks || isTooMuch(conn, waiting)) conn.close(true);
      else behind.set(conn, { progress, looks });
    }
    this.#behind = behind;
    this.#endDismissed();
  }

  #endDismissed(): void {
    const now = performance.now();
    for (const [conn, until] of this.#dismissed) {
      if (conn.readyState !== 'closed' && now < until) continue;
      this.#dismissed.delete(conn);
      conn.close(true);
    }
  }
}

const isTooMuch = ({ writeBuffer }: Conn, waiting: number): boolean => writeBuffer.length > UNREAD.frames || waiting > UNREAD.bytes;
