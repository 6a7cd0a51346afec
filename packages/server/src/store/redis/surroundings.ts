import type { KeyNames } from './keys.ts';
import type { RedisClient } from './nodes.ts';

export interface RedisContext {
  redis: RedisClient;
  keys: KeyNames;
  /** Milliseconds since 1970, or '' for the clock of the server that is asked. */
  now: () => string;
}
