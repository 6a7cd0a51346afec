/** One chat node: the domain, bound to a store and to the connections of this node, over any transports. */
import { randomUUID } from 'node:crypto';
import { LIMITS, type Limits, type ServerNotice } from '@engawa/protocol';
import { type Logger, pino } from 'pino';
import type { Answer } from './api/answer.ts';
import type { AppContext } from './api/context.ts';
import { type ClientRequest, dispatch } from './api/dispatch.ts';
import { QueryScheduler } from './api/query-scheduler.ts';
import { ABSENCE_MS, GRACE_MS, LeaseManager } from './background/lease-manager.ts';
import { QuotaMonitor } from './background/quota-monitor.ts';
import { RetentionJob, SWEEP_INTERVAL_MS } from './background/retention-job.ts';
import { Connection } from './connections/connection.ts';
import { type Authenticator, type ClientHandshake, GuestAuthenticator } from './connections/identity.ts';
import type { Peer } from './connections/peer.ts';
import { RecoveryTokens } from './connections/recovery-tokens.ts';
import { DEFAULT_ROOM_LIFETIMES, type RoomLifetimes } from './domain/room-expiry.ts';
import type { AddressLimiter } from './limits/address-limiter.ts';
import { AdmissionQueue } from './limits/admission-queue.ts';
import { ByteBudget } from './limits/byte-budget.ts';
import { KeyedTokenBuckets } from './limits/keyed-token-buckets.ts';
import { ResponseMemory } from './limits/response-memory.ts';
import { RateLimitedLog } from './logging/rate-limited-log.ts';
import { RoomRegistry } from './rooms/room-registry.ts';
import type { Store } from './store/contract.ts';

/** Milliseconds that running requests have to finish when the node closes. */
const DRAIN_TIMEOUT_MS = 10_000;
/** Number of token buckets, one for each author in each room. */
const MAX_TRACKED_AUTHORS = 100_000;
/** Bytes of waiting requests, of all connections together. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** When the node closes, this many clients reconnect in each millisecond. */
const RECONNECTS_PER_MS = 1;

export interface ChatNodeOptions {
  store: Store;
  /** Default: no log. */
  log?: Logger | RateLimitedLog;
  limits?: Limits;
  /** Milliseconds for which a guest's name stays reserved after the connection has ended. */
  graceMs?: number;
  /** Milliseconds that the guest stays a member after that, unless another client joins under the name. */
  absenceMs?: number;
  /** Interval of the retention job, in milliseconds. */
  trimIntervalMs?: number;
  /** Interval at which the usage of the store is read, in milliseconds. */
  usageRefreshMs?: number;
  lifetimes?: RoomLifetimes;
}

/** What a transport knows about a connecting client. */
interface PeerInfo {
  address?: AddressLimiter | undefined;
  /** Whether the client can use the offset of an entry: see `socketio/recovery-offsets.ts`. */
  canUseOffsets?: boolean;
}

export class ChatNode {
  readonly context: AppContext;
  readonly retentionJob: RetentionJob;
  readonly recoveryTokens: RecoveryTokens;
  readonly #authenticator: Authenticator;
  /** Bytes of waiting requests, of all connections together. */
  readonly #queuedBytes = new ByteBudget(MAX_QUEUED_BYTES);
  readonly #connections = new Set<Connection>();

  constructor({
    store,
    log: logger = pino({ level: 'silent' }),
    limits = LIMITS,
    graceMs = GRACE_MS,
    absenceMs = ABSENCE_MS,
    trimIntervalMs = SWEEP_INTERVAL_MS,
    usageRefreshMs,
    lifetimes = DEFAULT_ROOM_LIFETIMES,
  }: ChatNodeOptions) {
    this.recoveryTokens = new RecoveryTokens(() => store.secret());
    this.#authenticator = new GuestAuthenticator(this.recoveryTokens);
    const node = randomUUID();
    const log = RateLimitedLog.wrap(logger);
    const onError = (error: unknown): undefined => {
      log.error({ err: error }, 'a task in the background failed');
    };
    const { largeRoom: largeRoomThreshold } = limits;
    const responseMemory = new ResponseMemory();
    const chatBuckets = limits.rates?.chats ? new KeyedTokenBuckets(limits.rates.chats, MAX_TRACKED_AUTHORS) : undefined;
    const roomRegistry = new RoomRegistry({ store, responseMemory, node, graceMs, largeRoomThreshold, onError });
    const hasLocalMembers = () => roomRegistry.hasRooms;
    const announceOffline = (room: string, username: string) => roomRegistry.announceOffline(room, username);
    const leaseManager = new LeaseManager({
      store,
      node,
      graceMs,
      absenceMs,
      largeRoomThreshold,
      hasLocalMembers,
      announceOffline,
      onError,
    });
    const readLocalRooms = () => roomRegistry.readPositions();
    this.retentionJob = new RetentionJob({
      store,
      bounds: limits.retention,
      lifetimes,
      readLocalRooms,
      intervalMs: trimIntervalMs,
      onError,
    });
    const quotaMonitor = new QuotaMonitor({ store, quotas: limits.quotas, refreshDelayMs: usageRefreshMs, log: log.unlimited, onError });
    const [admissionQueue, queryScheduler] = [new AdmissionQueue(), new QueryScheduler()];
    this.context = {
      store,
      roomRegistry,
      leaseManager,
      quotaMonitor,
      admissionQueue,
      queryScheduler,
      responseMemory,
      chatBuckets,
      limits,
      node,
      log,
    };
  }

  /**
   * Authenticates a client. Rejects with the `ChatError` that refuses it, or with a `StoreError`. The connection takes part from
   * `addConnection` on.
   */
  async admit(peer: Peer, handshake: ClientHandshake, { address, canUseOffsets }: PeerInfo = {}): Promise<Connection> {
    const identity = await this.#authenticator.authenticate(handshake);
    const { limits } = this.context;
    return new Connection(identity, { peer, limits, address, nodeQueuedBytes: this.#queuedBytes, canUseOffsets });
  }

  addConnection(connection: Connection): void {
    this.#connections.add(connection);
  }

  /** See `dispatch`. */
  dispatch(request: ClientRequest): Promise<Answer | undefined> {
    return dispatch(this.context, request);
  }

  async removeConnection(connection: Connection): Promise<void> {
    this.#connections.delete(connection);
    await this.context.roomRegistry.detachConnection(connection);
  }

  /** Completes running requests, and tells each client when to reconnect. Resolves when the connections may be closed. */
  async drain(): Promise<void> {
    const connections = [...this.#connections];
    for (const { peer } of connections) {
      const reconnectAfterMs = Math.round((Math.random() * connections.length) / RECONNECTS_PER_MS);
      peer.emit('server:closing', { reconnectAfterMs } satisfies ServerNotice<'server:closing'>);
    }
    const timeout = new Promise((resolve) => setTimeout(resolve, DRAIN_TIMEOUT_MS).unref());
    await Promise.race([timeout, Promise.all(connections.map((connection) => connection.waitUntilIdle()))]);
  }

  /** Releases all leases and other resources. The store stays open. */
  async close(): Promise<void> {
    this.context.leaseManager.stop();
    this.context.quotaMonitor.close();
    await Promise.all([this.retentionJob.close(), ...[...this.#connections].map((connection) => this.removeConnection(connection))]);
    this.context.roomRegistry.close();
    this.context.log.close();
  }
}
