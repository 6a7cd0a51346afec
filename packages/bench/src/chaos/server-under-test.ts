// A server process under attack, with memory and log measurements.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveArgs } from '../harness/server-process.ts';
import { spawnChild } from '../processes/child-processes.ts';
import { withInspector } from '../profiling/inspector-client.ts';
import { cpuUsage } from '../profiling/process-usage.ts';
import { httpRequest } from './http-client.ts';
import { type Target, targetOf } from './socketio-client.ts';

export interface ServerOptions {
  folder: string;
  /** Rate limits; on by default. */
  limits?: 'on' | 'off';
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
const START_MS = 20_000;
const STOP_MS = 4_000;
const ANSWER_MS = 10_000;
/** Characters of the log that are kept. */
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

  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => this.#count(chunk.toString()));
  }

  #count(chunk: string): void {
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
  readonly #child: ChildProcess;
  readonly #inspector: string;
  readonly #folder: string;

  static async start(options: ServerOptions): Promise<ServerUnderTest> {
    const child = spawn(options);
    const log = new LogMeter(child.stderr as Readable);
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`The server did not start: ${log.tail}`)));
    const [inspector, url] = await Promise.race([
      Promise.all([matchIn(child.stderr, /Debugger listening on (ws:\S+)\n/), matchIn(child.stdout, /listening on (http:\S+)\n/)]),
      ended,
      sleep(START_MS, undefined, { ref: false }).then(() => Promise.reject(new Error(`The server did not listen in time: ${log.tail}`))),
    ]);
    ended.catch(() => undefined);
    return new ServerUnderTest(child, { log, inspector, target: targetOf(url), folder: options.folder });
  }

  private constructor(
    child: ChildProcess,
    { log, inspector, target, folder }: { log: LogMeter; inspector: string; target: Target; folder: string },
  ) {
    this.#child = child;
    this.#inspector = inspector;
    this.#folder = folder;
    this.target = target;
    this.log = log;
    this.pid = Number(child.pid);
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Whether it answers a health check within ten seconds. */
  async isHealthy(): Promise<boolean> {
    const answered = httpRequest(this.target, { path: '/health', localAddress: '127.0.0.9' }).then(({ status }) => status === 200);
    return !this.hasExited && Promise.race([answered, sleep(ANSWER_MS, false, { ref: false })]);
  }

  /** Undefined if the process has exited or does not answer. */
  async sampleMemory(): Promise<MemorySample | undefined> {
    if (this.hasExited) return undefined;
    const evaluated = withInspector(this.#inspector, (inspect) =>
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

  /** Stops the process; kills it if it does not stop. */
  async stop(): Promise<void> {
    if (this.hasExited) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(timer);
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

function spawn({ folder, limits = 'on', args = [], descriptors, heapMegabytes = HEAP_MEGABYTES }: ServerOptions): ChildProcess {
  const node = [process.execPath, `--max-old-space-size=${heapMegabytes}`, '--expose-gc', '--inspect=127.0.0.1:0'];
  // Running out of memory must not leave a core file.
  const shell = `ulimit -c 0; ${descriptors === undefined ? '' : `ulimit -n ${descriptors};`} exec "$@"`;
  return spawnChild('/bin/sh', ['-c', shell, 'sh', ...node, ...serveArgs(folder), ...args], {
    env: { ...process.env, ENGAWA_LIMITS: limits, ENGAWA_LOG: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The first match of the pattern in a stream. */
function matchIn(stream: Readable | null, pattern: RegExp): Promise<string> {
  let head = '';
  return new Promise((resolve) => {
    function read(chunk: Buffer): void {
      head += chunk.toString();
      const [, found] = pattern.exec(head) ?? [];
      if (found === undefined) return;
      stream?.off('data', read);
      stream?.resume();
      resolve(found);
    }
    stream?.on('data', read);
  });
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
