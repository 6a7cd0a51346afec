/** The Socket.IO transport of a node, with back-pressure and the limits of slow consumers. */
import type { CoalescingAdapter } from '@engawa/coalescing-adapter';
import type { Channel, Transport } from '../connections/peer.ts';
import type { ChatSocket, ChatSocketServer } from './chat-socket.ts';
import { type EngineConn, UnreadTracker } from './unread-tracker.ts';

/** Maximum unread frames and bytes of one client; beyond that it is disconnected. */
export const HARD_LIMIT = { frames: 4_096, bytes: 8 * 1024 * 1024 };
/** Interval at which connections are checked; shorter if the stall timeout is short. */
const CHECK_INTERVAL_MS = 1_000;
/** Interval at which drain waits are checked; longer if there are many. */
const DRAIN_POLL_MS = 20;
const DRAIN_WAITS_PER_MS = 50;

/** A client that is being disconnected has this long to read why. */
const DISCONNECT_TIMEOUT_MS = 3_000;

export interface BufferLimits {
  /** A client with more unread bytes receives its rooms from the logs. */
  softLimitBytes: number;
  /** Milliseconds in which a client with unread bytes must read something. */
  stallTimeoutMs: number;
}

interface DrainWait {
  socket: ChatSocket;
  /** Resolves when at most this many bytes are unread. */
  bytes: number;
  resolve: () => void;
}

interface SlowConsumer {
  progress: number;
  /** Consecutive checks without progress. */
  checks: number;
}

const connOf = (socket: ChatSocket): EngineConn => socket.conn as unknown as EngineConn;

/** The state that all peers of one Socket.IO server share: broadcasts, timers, and slow consumers. */
export class SocketIoTransport implements Transport {
  readonly #io: ChatSocketServer;
  readonly #limits: BufferLimits;
  readonly #unreadTracker: UnreadTracker;
  readonly #timer: NodeJS.Timeout;
  readonly #maxStalledChecks: number;
  /** Clients with unread bytes at the last check, and their progress. */
  #slowConsumers = new Map<EngineConn, SlowConsumer>();
  /** Connections that close once they have read everything, and their deadlines. */
  readonly #disconnecting = new Map<EngineConn, number>();
  readonly #drainWaits = new Set<DrainWait>();
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(io: ChatSocketServer, limits: BufferLimits) {
    this.#io = io;
    this.#limits = limits;
    this.#unreadTracker = new UnreadTracker(io.engine);
    const intervalMs = Math.min(CHECK_INTERVAL_MS, limits.stallTimeoutMs / 4);
    // Counts checks, not time: while the server is blocked, clients cannot read.
    this.#maxStalledChecks = limits.stallTimeoutMs / intervalMs;
    this.#timer = setInterval(() => this.#checkAllConnections(), intervalMs);
  }

  to(channel: string): Channel {
    return this.#io.to(channel);
  }

  /** Disconnects a client that exceeds the hard limit. It may reconnect and resume from where it was. */
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

  /** Bytes sent to the client that the operating system has not accepted yet. */
  unreadBytes(socket: ChatSocket): number {
    return (this.#io.of('/').adapter as CoalescingAdapter).bufferedBytesOf(socket.id) + this.#unreadTracker.unreadPollBytes(connOf(socket));
  }

  #isDrainedTo(socket: ChatSocket, bytes: number): boolean {
    return connOf(socket).readyState !== 'open' || this.unreadBytes(socket) <= bytes;
  }

  /** One timer for all waits. */
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

  /** Checks all connections, including those that send no requests and only receive broadcasts. */
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
