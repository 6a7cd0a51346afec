import type { Keys } from './keys.ts';
import type { Nodes } from './nodes.ts';

export interface Surroundings {
  nodes: Nodes;
  keys: Keys;
  /** Milliseconds since 1970, or '' for the clock of the server that is asked. */
  now: () => string;
}
