import type { KeyNames } from './key-names.ts';
import type { RedisClient } from './redis-client.ts';

export interface RedisContext {
  redis: RedisClient;
  keys: KeyNames;
  /** Milliseconds since 1970, or '' for the clock of the server that is asked. */
  now: () => string;
}
