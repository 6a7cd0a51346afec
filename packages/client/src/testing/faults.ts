/** What goes wrong, and how often. */
export interface Faults {
  /** How long a packet is on its way, in milliseconds: at least, and at most. */
  delayMs: readonly [least: number, most: number];
  /** Shares of packets, from 0 to 1: that never arrive; and of what servers say, that arrive twice, or after later ones. */
  lose: number;
  duplicate: number;
  reorder: number;
  /** Bytes of JSON that each direction of a connection takes in a second; `Infinity` when nothing is said. */
  bytesPerSecond?: number;
  /** How often each connection drops. What is on its way then is lost. */
  dropsPerSecond: number;
  /** How often a server process is killed, as by `kill -9`. It starts again within two seconds. */
  killsPerSecond: number;
}

export const NO_FAULTS: Faults = { delayMs: [0, 0], lose: 0, duplicate: 0, reorder: 0, dropsPerSecond: 0, killsPerSecond: 0 };
