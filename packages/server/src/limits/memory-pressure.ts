/**
 * Detects that this process is about to run out of memory. New connections are then refused, so that the existing ones can be
 * served.
 */
import { Session } from 'node:inspector';
import { totalmem } from 'node:os';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';

/** Shares of a limit at which memory pressure begins and ends. They differ, so that it does not flap. */
const HIGH_SHARE = 0.85;
const LOW_SHARE = 0.75;
/** The allocator may retain freed memory: resident memory counts only if at least this share of the limit is really in use. */
const MIN_USED_SHARE = 0.5;
const INTERVALS_MS = { check: 1_000, collect: 10_000 };

/**
 * The young generation of V8 comes on top of the heap limit that ends the process: three semi-spaces. V8 does not report their
 * size.
 */
const YOUNG_SPACES = new Set(['new_space', 'new_large_object_space']);
const SEMI_SPACE_MB = Number.parseInt(process.versions.v8, 10) < 13 ? 16 : 64;

/** Checks memory once a second. While `isHigh`, new connections are refused. */
export class MemoryPressure {
  readonly #log: RateLimitedLog;
  readonly #heapLimit = oldGenerationLimit();
  readonly #processLimit = processLimit();
  readonly #timer: NodeJS.Timeout;
  readonly #collectIntervalMs: number;
  #collectAt = Infinity;
  #isHigh = false;

  /** Intervals in milliseconds. */
  constructor(log: RateLimitedLog, { check, collect } = INTERVALS_MS) {
    this.#log = log;
    this.#collectIntervalMs = collect;
    this.#timer = setInterval(() => this.#check(), check).unref();
  }

  get isHigh(): boolean {
    return this.#isHigh;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const share = this.#usedShare();
    if (share === undefined) return;
    if (!this.#isHigh && share >= HIGH_SHARE) this.#enterPressure(share);
    else if (this.#isHigh && share < LOW_SHARE) this.#leavePressure();
    else if (performance.now() >= this.#collectAt) this.#collect();
  }

  /** Undefined if the value cannot be read: it comes from a file, which cannot be opened if file descriptors are used up. */
  #usedShare(): number | undefined {
    const usage = memoryUsage();
    if (!usage) return undefined;
    const { heapUsed, external, rss } = usage;
    const isInUse = heapUsed + external >= MIN_USED_SHARE * this.#processLimit;
    return Math.max(oldGenerationUsed() / this.#heapLimit, isInUse ? rss / this.#processLimit : 0);
  }

  #enterPressure(share: number): void {
    this.#isHigh = true;
    this.#collectAt = performance.now() + this.#collectIntervalMs;
    const fields = { used: `${Math.round(100 * share)} %`, heapLimit: this.#heapLimit, processLimit: this.#processLimit };
    this.#log.warn(fields, 'memory is nearly used up: new connections are refused until some is free');
  }

  #leavePressure(): void {
    this.#isHigh = false;
    this.#collectAt = Infinity;
    this.#log.info({}, 'memory is available again: new connections are accepted');
  }

  /**
   * V8 collects garbage only on allocation. After all clients have left, nothing is allocated, and their memory would count
   * forever.
   */
  #collect(): void {
    this.#collectAt = performance.now() + this.#collectIntervalMs;
    const session = new Session();
    session.connect();
    // Do not disconnect inside the callback: the session is still delivering it.
    session.post('HeapProfiler.collectGarbage', () => void setImmediate(() => session.disconnect()));
  }
}

function memoryUsage(): NodeJS.MemoryUsage | undefined {
  try {
    return process.memoryUsage();
  } catch {
    return undefined;
  }
}

function oldGenerationUsed(): number {
  let bytes = 0;
  for (const { space_name: name, space_used_size: used } of getHeapSpaceStatistics()) if (!YOUNG_SPACES.has(name)) bytes += used;
  return bytes;
}

function oldGenerationLimit(): number {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  const semiSpace = Number(/--max[-_]semi[-_]space[-_]size[= ](\d+)/.exec(flags)?.[1] ?? SEMI_SPACE_MB);
  return getHeapStatistics().heap_size_limit - 3 * semiSpace * 1024 ** 2;
}

/** Memory limit of the container or the machine, in bytes. Without a container limit, the value is 0 or huge. */
function processLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
