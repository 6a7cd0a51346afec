/** A server as an operator starts it, in a process of its own, which a test kills, stops or freezes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ServerOptions, StoreOptions } from '@engawa/server';
import { onTestFinished } from 'vitest';
import type { NetworkPlace } from '../network-namespace.ts';
import { storeFlags } from '../stores.ts';
import { STARTED_WITHIN_MS, withTimeout } from '../wait-for.ts';

const ENGAWA = [fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url)), 'serve', '--port', '0'];
const FAST_TIMERS = [fileURLToPath(new URL('fast-timers-server.js', import.meta.url))];
/** The newest output, in characters. */
const MAX_OUTPUT = 100_000;

interface ServerProcessOptions {
  /** Further flags of `engawa serve`. */
  flags?: string[];
  /** Clients notice within a second that it does not answer. Or other options that operators cannot set. */
  fastTimers?: boolean | Pick<ServerOptions, 'graceMs' | 'absenceMs' | 'pingInterval' | 'pingTimeout'>;
  /** The server's own default if it is undefined. */
  durability?: StoreOptions['durability'];
  /** The network that it runs in, if not this machine's. */
  networkPlace?: NetworkPlace;
}

/** On a data folder, or on the Redis of a URL. It ends with the test. */
export class ServerProcess {
  /** Resolves with the URL when it listens. */
  readonly listening: Promise<string>;
  /** Resolves when the process has ended. */
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly #child: ChildProcess;
  /** The newest output, of both streams. */
  output = '';
  #url: URL | undefined;

  constructor(storeLocation: string, options: ServerProcessOptions = {}) {
    const { durability, networkPlace } = options;
    const [program = '', ...args] = [...(networkPlace?.commandPrefix ?? []), process.execPath, ...argumentsOf(storeLocation, options)];
    const env = {
      ...process.env,
      ENGAWA_RATE_LIMITS: 'off',
      ENGAWA_LOG_LEVEL: 'error',
      ...(durability && { ENGAWA_DURABILITY: durability }),
    };
    this.#child = spawn(program, args, { cwd: tmpdir(), env, stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void this.#child.kill('SIGKILL'));
    this.exited = once(this.#child, 'exit') as ServerProcess['exited'];
    this.listening = this.#waitForUrl(networkPlace);
    this.listening.catch(() => undefined);
  }

  /** Resolves when it listens. */
  static async start(storeLocation: string, { durability = 'fast', ...options }: ServerProcessOptions = {}): Promise<ServerProcess> {
    const server = new ServerProcess(storeLocation, { durability, ...options });
    await withTimeout(server.listening, 'a server to listen', STARTED_WITHIN_MS);
    return server;
  }

  get url(): string {
    if (!this.#url) throw new Error('The server does not listen yet.');
    return this.#url.origin;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Bytes of memory that it uses; 0 once it has ended. */
  get memoryBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  /** Throws if it has ended by itself. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    const [, signal] = await this.exited;
    if (signal !== 'SIGKILL') throw new Error(`The server ended by itself. ${this.output}`);
  }

  /** Stops it as a deploy does. Returns its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return (await withTimeout(this.exited, 'a server to stop', 60_000))[0];
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  #waitForUrl(networkPlace: NetworkPlace | undefined): Promise<string> {
    return new Promise((resolve, reject) => {
      const onOutput = (text: Buffer) => {
        this.output = (this.output + String(text)).slice(-MAX_OUTPUT);
        const url = this.#url ? undefined : /listening on (\S+)\n/.exec(this.output)?.[1];
        if (url === undefined) return;
        this.#url = new URL(url);
        if (networkPlace) this.#url.hostname = networkPlace.host;
        resolve(this.url);
      };
      this.#child.stdout?.on('data', onOutput);
      this.#child.stderr?.on('data', onOutput);
      void this.exited.then(() => reject(new Error(`The server ended before it listened. ${this.output}`)));
    });
  }
}

function argumentsOf(storeLocation: string, { flags = [], fastTimers = false, networkPlace }: ServerProcessOptions): string[] {
  const host = ['--host', networkPlace ? '0.0.0.0' : '127.0.0.1'];
  if (fastTimers === false) return [...ENGAWA, ...host, ...storeFlags(storeLocation), ...flags];
  return [...FAST_TIMERS, storeLocation, ...(fastTimers === true ? [] : [JSON.stringify(fastTimers)])];
}
