import type { Limits } from '@engawa/protocol';
import type { LeaseKeeper } from '../chat/leases.ts';
import type { QuotaMonitor } from '../chat/quota-monitor.ts';
import type { Caller } from '../chat/rule.ts';
import type { Store } from '../store/store.ts';
import type { AnswerMemory } from './answer-memory.ts';
import type { Connection } from './connection.ts';
import type { FanOut } from './fan-out.ts';
import type { KeyedBuckets } from './keyed-buckets.ts';
import type { QuestionQueue } from './question-queue.ts';
import type { RateLimitedLog } from './rate-limited-log.ts';
import type { Turnstile } from './turnstile.ts';
import type { Wire } from './wire.ts';

/** What a node has to answer with. */
export interface Services {
  store: Store;
  wire: Wire;
  fanOut: FanOut;
  leases: LeaseKeeper;
  /** Passed by whoever comes back. */
  turnstile: Turnstile;
  /** Where questions wait for their turn to be read for. */
  questions: QuestionQueue;
  /** What large answers and pages may take. */
  memory: AnswerMemory;
  /** How often each author may still say something in each room; undefined where rates are lifted. */
  chats: KeyedBuckets | undefined;
  limits: Limits;
  quotas: QuotaMonitor;
  node: string;
  log: RateLimitedLog;
}

/** A connection as the rules see it, under its name in the room where it has one. */
export const callerFor = ({ node, limits, quotas }: Services, connection: Connection, username: string | undefined): Caller => ({
  author: connection.identity.author,
  node,
  username,
  largeRoom: limits.largeRoom,
  headroom: quotas.headroom(connection),
});
