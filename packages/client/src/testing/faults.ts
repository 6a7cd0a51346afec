/** The faults that a test server can inject, with their rates. */

export interface Faults {
  /** The range of a packet's delay, in milliseconds. */
  delayMs: readonly [least: number, most: number];
  /**
   * Shares of packets, from 0 to 1. `lose`: never arrive. `duplicate`, `reorder`: arrive twice, or after later ones; only events
   * of the server.
   */
  lose: number;
  duplicate: number;
  reorder: number;
  /** The bandwidth of each direction of a connection, in bytes of JSON; `Infinity` by default. */
  bytesPerSecond?: number;
  /** The rate at which each connection drops. Packets in flight are lost. */
  dropsPerSecond: number;
  /** The rate at which a server process is killed, as by `kill -9`. It restarts within two seconds. */
  killsPerSecond: number;
}

export const NO_FAULTS: Faults = { delayMs: [0, 0], lose: 0, duplicate: 0, reorder: 0, dropsPerSecond: 0, killsPerSecond: 0 };
