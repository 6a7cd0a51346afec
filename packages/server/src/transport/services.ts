import type { Limits } from '@engawa/protocol';
import type { LeaseManager } from '../chat/leases.ts';
import type { QuotaMonitor } from '../chat/quota-monitor.ts';
import type { Caller } from '../chat/rule.ts';
import type { Store } from '../store/store.ts';
import type { ResponseMemory } from './answer-memory.ts';
import type { Connection } from './connection.ts';
import type { RoomRegistry } from './fan-out.ts';
import type { KeyedTokenBuckets } from './keyed-buckets.ts';
import type { QueryScheduler } from './question-queue.ts';
import type { RateLimitedLog } from './rate-limited-log.ts';
import type { AdmissionQueue } from './turnstile.ts';
import type { Transport } from './wire.ts';

/** What a node has to answer with. */
export interface AppContext {
  store: Store;
  transport: Transport;
  roomRegistry: RoomRegistry;
  leaseManager: LeaseManager;
  /** Passed by whoever comes back. */
  admissionQueue: AdmissionQueue;
  /** Where questions wait for their turn to be read for. */
  queryScheduler: QueryScheduler;
  /** What large answers and pages may take. */
  responseMemory: ResponseMemory;
  /** How often each author may still say something in each room; undefined where rates are lifted. */
  chatBuckets: KeyedTokenBuckets | undefined;
  limits: Limits;
  quotaMonitor: QuotaMonitor;
  node: string;
  log: RateLimitedLog;
}

/** A connection as the rules see it, under its name in the room where it has one. */
export const createCaller = ({ node, limits, quotaMonitor }: AppContext, connection: Connection, username: string | undefined): Caller => ({
  author: connection.identity.author,
  node,
  username,
  largeRoomThreshold: limits.largeRoom,
  headroom: quotaMonitor.headroom(connection),
});
