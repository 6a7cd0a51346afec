/** The application context: everything that handlers of a node need. */
import type { Limits } from '@engawa/protocol';
import type { LeaseManager } from '../background/lease-manager.ts';
import type { QuotaMonitor } from '../background/quota-monitor.ts';
import type { Connection } from '../connections/connection.ts';
import type { Caller } from '../domain/command.ts';
import type { AdmissionQueue } from '../limits/admission-queue.ts';
import type { KeyedTokenBuckets } from '../limits/keyed-token-buckets.ts';
import type { ResponseMemory } from '../limits/response-memory.ts';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';
import type { RoomRegistry } from '../rooms/room-registry.ts';
import type { Store } from '../store/contract.ts';
import type { QueryScheduler } from './query-scheduler.ts';

/** The state of a node that handlers use. */
export interface AppContext {
  store: Store;
  roomRegistry: RoomRegistry;
  leaseManager: LeaseManager;
  /** Limits how many returning clients are handled at a time. */
  admissionQueue: AdmissionQueue;
  /** Runs queries in time slices. */
  queryScheduler: QueryScheduler;
  /** The memory that large responses and pages may use. */
  responseMemory: ResponseMemory;
  /** The rate of each author in each room; undefined if rate limits are off. */
  chatBuckets: KeyedTokenBuckets | undefined;
  limits: Limits;
  quotaMonitor: QuotaMonitor;
  node: string;
  log: RateLimitedLog;
}

/** The caller of a rule: a connection, with its name in the room if it has one. */
export const createCaller = ({ node, limits, quotaMonitor }: AppContext, connection: Connection, username: string | undefined): Caller => ({
  author: connection.identity.author,
  node,
  username,
  largeRoomThreshold: limits.largeRoom,
  headroom: quotaMonitor.headroom(connection),
});
