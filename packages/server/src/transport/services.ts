import type { Limits } from '@engawa/protocol';
import type { Logger } from 'pino';
import type { LeaseKeeper } from '../chat/leases.ts';
import type { Store } from '../store/store.ts';
import type { FanOut } from './fan-out.ts';
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
  limits: Limits;
  node: string;
  log: Logger;
}
