/** Dependencies that the parts of the Redis store share. */
import type { KeyNames } from './key-names.ts';
import type { RedisClient } from './redis-client.ts';

export interface RedisContext {
  redis: RedisClient;
  keys: KeyNames;
  /** Milliseconds since 1970, or '' for the clock of the Redis server. */
  now: () => string;
}
