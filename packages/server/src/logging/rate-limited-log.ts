/** A log that clients cannot fill: of each kind of line the first is written, then one a second with a count. */
import type { Logger } from 'pino';

const COUNT_INTERVAL_MS = 1_000;
/** Kinds that are told apart at once. Messages are constant, so there are far fewer. */
const MOST_KINDS = 200;
const OVERFLOW_MESSAGE = 'more kinds of lines than are told apart';

type Level = 'debug' | 'info' | 'warn' | 'error';

interface Kind {
  level: Level;
  message: string;
  /** Lines that were not written since the last one. */
  count: number;
}

/**
 * Everything in the server that a client can cause is logged through one of these. The kind of a line is its message, which
 * must be constant: what differs belongs into the fields.
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

  /** One that is limited already stays as it is. */
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

  /** The log beneath, for what the server says of itself and no client can make it say again and again. */
  get unlimited(): Logger {
    return this.#log;
  }

  /** Writes what was counted so far. */
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

  /** A kind of which nothing came for so long is forgotten: its next line is a first one. */
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
