/** A log that clients cannot flood: one line of each kind a second, then a count. */
import type { Logger } from 'pino';

const COUNT_INTERVAL_MS = 1_000;
/** Largest number of kinds. Messages are constant, so there are far fewer. */
const MOST_KINDS = 200;
const OVERFLOW_MESSAGE = 'too many different kinds of log lines';

type Level = 'debug' | 'info' | 'warn' | 'error';

interface Kind {
  level: Level;
  message: string;
  /** Lines that were suppressed since the last one. */
  count: number;
}

/**
 * Every log line that a client can cause goes through such a log. The kind of a line is its message, which must be constant:
 * variable data belongs in the fields.
 */
export class RateLimitedLog {
  readonly #log: Logger;
  readonly #intervalMs: number;
  readonly #kinds = new Map<string, Kind>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(log: Logger, intervalMs: number) {
    this.#log = log;
    this.#intervalMs = intervalMs;
  }

  /** A log that is already limited is returned as it is. */
  static wrap(log: Logger | RateLimitedLog, intervalMs = COUNT_INTERVAL_MS): RateLimitedLog {
    return log instanceof RateLimitedLog ? log : new RateLimitedLog(log, intervalMs);
  }

  debug(fields: object, message: string): void {
    this.#write('debug', fields, message);
  }

  info(fields: object, message: string): void {
    this.#write('info', fields, message);
  }

  warn(fields: object, message: string): void {
    this.#write('warn', fields, message);
  }

  error(fields: object, message: string): void {
    this.#write('error', fields, message);
  }

  /** The underlying log, for lines that clients cannot cause repeatedly. */
  get unlimited(): Logger {
    return this.#log;
  }

  /** Writes the remaining counts. */
  close(): void {
    for (const kind of this.#kinds.values()) this.#writeCount(kind);
    this.#kinds.clear();
    clearInterval(this.#timer);
  }

  #write(level: Level, fields: object, message: string): void {
    if (!this.#log.isLevelEnabled(level)) return;
    const name = this.#kinds.has(message) || this.#kinds.size < MOST_KINDS ? message : OVERFLOW_MESSAGE;
    const known = this.#kinds.get(name);
    if (known) {
      known.count += 1;
      return;
    }
    this.#kinds.set(name, { level, message: name, count: 0 });
    if (this.#kinds.size === 1) this.#timer = setInterval(() => this.#writeCounts(), this.#intervalMs).unref();
    this.#log[level](fields, message);
  }

  /** Writes the counts. A kind without lines in this interval is dropped; its next line is written at once. */
  #writeCounts(): void {
    for (const [name, kind] of this.#kinds) {
      if (kind.count === 0) this.#kinds.delete(name);
      else this.#writeCount(kind);
    }
    if (this.#kinds.size === 0) clearInterval(this.#timer);
  }

  #writeCount(kind: Kind): void {
    if (kind.count > 0) this.#log[kind.level]({ count: kind.count }, kind.message);
    kind.count = 0;
  }
}
