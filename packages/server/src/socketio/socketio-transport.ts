/** The Socket.IO transport of a node, with back-pressure and the limits of slow consumers. */
import type { CoalescingAdapter } from '@engawa/coalescing-adapter';
import type { Channel, Transport } from '../connections/peer.ts';
import type { ChatSocket, ChatSocketServer } from './chat-socket.ts';
import { type EngineConn, UnreadTracker } from './unread-tracker.ts';

/** What may wait for a client that does not read, whatever it is. */
export const HARD_LIMIT = { frames: 4_096, bytes: 8 * 1024 * 1024 };
/** Every connection is looked after so often, or more often where patience is shorter. */
const CHECK_INTERVAL_MS = 1_000;
/** Who is waited for is looked after so often; the more they are, the less often. */
const DRAIN_POLL_MS = 20;
const DRAIN_WAITS_PER_MS = 50;

/** Who is dismissed has so long to read why. */
const DISCONNECT_TIMEOUT_MS = 3_000;

export interface BufferLimits {
  /** Bytes that may wait for a client before it is told from the logs what happens in its rooms. */
  softLimitBytes: number;
  /** Milliseconds in which a client that something waits for must have read something. */
  stallTimeoutMs: number;
}

interface DrainWait {
  socket: ChatSocket;
  /** Until no more than so many wait for it. */
  bytes: number;
  resolve: () => void;
}

interface SlowConsumer {
  progress: number;
  /** In so many looks after each other it was the same. */
  checks: number;
}

const connOf = (socket: ChatSocket): EngineConn => socket.conn as unknown as EngineConn;

/** What the peers of one Socket.IO server share: its broadcasts, the timers, and what is known of slow consumers. */
export class SocketIoTransport implements Transport {
  readonly #io: ChatSocketServer;
  readonly #limits: BufferLimits;
  readonly #unreadTracker: UnreadTracker;
  readonly #timer: NodeJS.Timeout;
  readonly #maxStalledChecks: number;
  /** Who had not read all when they were last looked after, and how far they had read. */
  #slowConsumers = new Map<EngineConn, SlowConsumer>();
  /** Those that are to end once they have read what they were sent, and until when they may take. */
  readonly #disconnecting = new Map<EngineConn, number>();
  readonly #drainWaits = new Set<DrainWait>();
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(io: ChatSocketServer, limits: BufferLimits) {
    this.#io = io;
    this.#limits = limits;
    this.#unreadTracker = new UnreadTracker(io.engine);
    const intervalMs = Math.min(CHECK_INTERVAL_MS, limits.stallTimeoutMs / 4);
    // Not by the clock: while the server stands still, nobody can read what it does not write.
    this.#maxStalledChecks = limits.stallTimeoutMs / intervalMs;
    this.#timer = setInterval(() => this.#checkAllConnections(), intervalMs);
  }

  to(channel: string): Channel {
    return this.#io.to(channel);
  }

  /**
   * Ends the connection of a client for whom more would have to be kept: memory is for those who read. It may come back and
   * read on from where it was.
   */
  enforceBufferLimit(socket: ChatSocket): void {
    const conn = connOf(socket);
    if (isOverHardLimit(conn, this.unreadBytes(socket))) conn.close(true);
  }

  isOverSoftLimit(socket: ChatSocket): boolean {
    return this.unreadBytes(socket) > this.#limits.softLimitBytes;
  }

  async waitForDrain(socket: ChatSocket): Promise<void> {
    await this.waitUntilRead(socket, this.#limits.softLimitBytes / 2);
  }

  waitUntilRead(socket: ChatSocket, bytes: number): Promise<void> | undefined {
    if (this.#isDrainedTo(socket, bytes)) return undefined;
    return new Promise((resolve) => {
      this.#drainWaits.add({ socket, bytes, resolve });
      this.#scheduleDrainCheck();
    });
  }

  disconnectAfterDrain(socket: ChatSocket): void {
    const conn = connOf(socket);
    conn.close();
    this.#disconnecting.set(conn, performance.now() + DISCONNECT_TIMEOUT_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#drainTimer);
    for (const { resolve } of this.#drainWaits) resolve();
    this.#drainWaits.clear();
  }

  /** Bytes that the system has not taken yet of what was sent to the client. */
  unreadBytes(socket: ChatSocket): number {
    return (this.#io.of('/').adapter as CoalescingAdapter).bufferedBytesOf(socket.id) + this.#unreadTracker.unreadPollBytes(connOf(socket));
  }

  #isDrainedTo(socket: ChatSocket, bytes: number): boolean {
    return connOf(socket).readyState !== 'open' || this.unreadBytes(socket) <= bytes;
  }

  /** One timer for all that are waited for. */
  #scheduleDrainCheck(): void {
    this.#drainTimer ??= setTimeout(() => this.#checkDrainWaits(), DRAIN_POLL_MS + this.#drainWaits.size / DRAIN_WAITS_PER_MS);
  }

  #checkDrainWaits(): void {
    this.#drainTimer = undefined;
    for (const wait of this.#drainWaits) {
      if (!this.#isDrainedTo(wait.socket, wait.bytes)) continue;
      this.#drainWaits.delete(wait);
      wait.resolve();
    }
    if (this.#drainWaits.size > 0) this.#scheduleDrainCheck();
  }

  /** Those, too, who ask nothing, and are only told what happens in their rooms. */
  #checkAllConnections(): void {
    const slowConsumers = new Map<EngineConn, SlowConsumer>();
    for (const socket of this.#io.sockets.sockets.values()) {
      const unreadBytes = this.unreadBytes(socket);
      if (unreadBytes === 0) continue;
      const conn = connOf(socket);
      const progress = this.#unreadTracker.readProgressOf(conn);
      const before = this.#slowConsumers.get(conn);
      const checks = before?.progress === progress ? before.checks + 1 : 0;
      if (checks > this.#maxStalledChecks || isOverHardLimit(conn, unreadBytes)) conn.close(true);
      else slowConsumers.set(conn, { progress, checks });
    }
    this.#slowConsumers = slowConsumers;
    this.#closeDisconnecting();
  }

  #closeDisconnecting(): void {
    const now = performance.now();
    for (const [conn, until] of this.#disconnecting) {
      if (conn.readyState !== 'closed' && now < until) continue;
      this.#disconnecting.delete(conn);
      conn.close(true);
    }
  }
}

const isOverHardLimit = ({ writeBuffer }: EngineConn, unreadBytes: number): boolean =>
  writeBuffer.length > HARD_LIMIT.frames || unreadBytes > HARD_LIMIT.bytes;
