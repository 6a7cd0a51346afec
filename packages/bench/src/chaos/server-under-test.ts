// A server process under attack, with memory and log measurements.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Target, targetOf } from '../generator/socketio-client.ts';
import { type ServerProcess, serveArgs, startServer } from '../harness/server-process.ts';
import { withInspector } from '../profiling/inspector-client.ts';
import { cpuUsage } from '../profiling/process-usage.ts';
import { httpRequest } from './http-client.ts';

export interface ServerOptions {
  folder: string;
  /** Rate limits; on by default. */
  rateLimits?: 'on' | 'off';
  /** Flags of `engawa serve` besides host, port and folder. */
  args?: readonly string[];
  /** Limit of open file descriptors of the process. */
  descriptors?: number;
  heapMegabytes?: number;
}

/** Memory of the process after a forced garbage collection. */
export interface MemorySample {
  /** Bytes of the heap and of external buffers. */
  bytes: number;
  /** Live TCP sockets. */
  sockets: number;
}

/** Allowed growth: compiled code, bounded caches, and sockets of newcomers. */
const MEMORY_BOUND = { bytes: 12 * 2 ** 20, sockets: 8 };

export const isMemoryBack = (before: MemorySample, after: MemorySample | undefined): boolean =>
  after !== undefined && after.bytes <= before.bytes + MEMORY_BOUND.bytes && after.sockets <= before.sockets + MEMORY_BOUND.sockets;

const HEAP_MEGABYTES = 512;
const ANSWER_MS = 10_000;
/** Characters of the log that are stored. */
const MAX_TAIL = 4_096;
const ERROR_LEVEL = 50;
/** Runs in the server. `queryObjects` collects garbage; the second call collects what finalizers have released. */
const SAMPLE = `(() => {
  const { queryObjects } = process.getBuiltinModule('node:v8');
  const sockets = queryObjects(process.getBuiltinModule('node:net').Socket);
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return JSON.stringify({ bytes: heapUsed + external, sockets });
})()`;

/** Measures the log on standard error and keeps its end. */
export class LogMeter {
  lines = 0;
  bytes = 0;
  /** The first lines of level error, each truncated. */
  readonly errors: string[] = [];
  tail = '';
  #rest = '';

  count(chunk: string): void {
    this.bytes += chunk.length;
    this.tail = (this.tail + chunk).slice(-MAX_TAIL);
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-MAX_TAIL);
    this.lines += lines.length;
    for (const line of lines) if (isError(line) && this.errors.length < 10) this.errors.push(line.slice(0, 1_000));
  }
}

const isError = (line: string): boolean => Number(/^\{"level":(\d+)/.exec(line)?.[1] ?? 0) >= ERROR_LEVEL;

export class ServerUnderTest {
  readonly target: Target;
  readonly pid: number;
  readonly log: LogMeter;
  readonly #process: ServerProcess;
  readonly #folder: string;

  static async start(options: ServerOptions): Promise<ServerUnderTest> {
    const log = new LogMeter();
    const env = { ENGAWA_RATE_LIMITS: options.rateLimits ?? 'on', ENGAWA_LOG_LEVEL: 'info' };
    const process = await startServer(commandOf(options), { env, onError: (chunk) => log.count(chunk) });
    return new ServerUnderTest(process, log, options.folder);
  }

  private constructor(process: ServerProcess, log: LogMeter, folder: string) {
    this.#process = process;
    this.#folder = folder;
    this.target = targetOf(process.url);
    this.pid = process.pid;
    this.log = log;
  }

  get hasExited(): boolean {
    return this.#process.hasExited();
  }

  /** Whether it answers a health check within ten seconds. */
  async isHealthy(): Promise<boolean> {
    const answered = httpRequest(this.target, { path: '/health', localAddress: '127.0.0.9' }).then(({ status }) => status === 200);
    return !this.hasExited && Promise.race([answered, sleep(ANSWER_MS, false, { ref: false })]);
  }

  /** Undefined if the process has exited or does not answer. */
  async sampleMemory(): Promise<MemorySample | undefined> {
    if (this.hasExited) return undefined;
    const evaluated = withInspector(await this.#process.inspector, (inspect) =>
      inspect<{ result: { value?: string } }>('Runtime.evaluate', { expression: SAMPLE }),
    );
    const answer = await Promise.race([evaluated.catch(() => undefined), sleep(ANSWER_MS, undefined, { ref: false })]);
    const value = answer?.result.value;
    return value === undefined ? undefined : (JSON.parse(value) as MemorySample);
  }

  /** Peak resident memory in bytes; NaN if it is unknown or the process has exited. */
  get peakResidentBytes(): number {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${this.pid}/status`))?.[1] ?? Number.NaN) * 1024;
  }

  /** CPU seconds used so far. */
  get cpuSeconds(): number {
    return cpuUsage(this.pid).cpu;
  }

  /** Bytes of its data folder. */
  get dataBytes(): number {
    return readdirSync(this.#folder).reduce((sum, name) => sum + sizeOf(join(this.#folder, name)), 0);
  }

  /** Stops the process; kills it if it does not stop. How it ends is no finding of an attack. */
  async stop(): Promise<void> {
    await this.#process.stop().catch(() => undefined);
  }
}

export async function withServerUnderTest<Result>(
  options: ServerOptions,
  use: (server: ServerUnderTest) => Promise<Result>,
): Promise<Result> {
  const server = await ServerUnderTest.start(options);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

function commandOf({ folder, args = [], descriptors, heapMegabytes = HEAP_MEGABYTES }: ServerOptions): string[] {
  const node = [process.execPath, `--max-old-space-size=${heapMegabytes}`, '--expose-gc', '--inspect=127.0.0.1:0'];
  // Running out of memory must not leave a core file.
  const shell = `ulimit -c 0; ${descriptors === undefined ? '' : `ulimit -n ${descriptors};`} exec "$@"`;
  return ['/bin/sh', '-c', shell, 'sh', ...node, ...serveArgs(folder), ...args];
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
