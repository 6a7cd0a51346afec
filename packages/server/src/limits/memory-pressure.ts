/** Whether this process is about to run out of memory: then newcomers are refused, so that members can go on. */
import { Session } from 'node:inspector';
import { totalmem } from 'node:os';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';

/** Shares of a limit: pressure begins at the one and ends at the other, so that it does not come and go. */
const HIGH_SHARE = 0.85;
const LOW_SHARE = 0.75;
/** An allocator keeps what was freed: resident memory counts only where so much of the limit is really in use. */
const MIN_USED_SHARE = 0.5;
const INTERVALS_MS = { check: 1_000, collect: 10_000 };

/** What V8 takes for the young generation besides the limit that ends the process: three semi-spaces, the size of which it does not tell. */
const YOUNG_SPACES = new Set(['new_space', 'new_large_object_space']);
const SEMI_SPACE_MB = Number.parseInt(process.versions.v8, 10) < 13 ? 16 : 64;

/** Looks once a second. While `isHigh`, newcomers are refused. */
export class MemoryPressure {
  readonly #log: RateLimitedLog;
  readonly #heapLimit = oldGenerationLimit();
  readonly #processLimit = processLimit();
  readonly #timer: NodeJS.Timeout;
  readonly #collectIntervalMs: number;
  #collectAt = Infinity;
  #isHigh = false;

  /** Milliseconds. */
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

  /** Undefined when it cannot be seen now: it is in a file, which cannot be opened while descriptors are used up. */
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
    this.#log.info({}, 'there is memory again: new connections are taken');
  }

  /** V8 collects when something is allocated. After all clients have left nothing is, and their memory would count for ever. */
  #collect(): void {
    this.#collectAt = performance.now() + this.#collectIntervalMs;
    const session = new Session();
    session.connect();
    // Not from within its own answer, which is still being given.
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

/** Bytes that the container gives this process, or the machine has. Where nothing is set the container's limit is 0 or huge. */
function processLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
