/** A real Redis server in a process of its own: Debian's `redis-server`, or a sentinel. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkPlace } from '../network-namespace.ts';
import { until } from '../wait-for.ts';
import { formatReply, type Reply, sendRedisCommand } from './redis-call.ts';

/** On Linux the kernel ends a server whose parent is gone, even if that was killed. */
const PROGRAM = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', 'redis-server'] : ['redis-server'];
const LOCALHOST: NetworkPlace = { host: '127.0.0.1', peerAddress: '127.0.0.1', commandPrefix: [] };
const START_MS = 10_000;
const LOG_LINES = 20;

export interface RedisSetup {
  /** Its own folder, made here. */
  dir: string;
  /** On this machine and in its network, when not given. */
  networkPlace?: NetworkPlace | undefined;
  port: number;
  /** Its configuration, line by line. */
  lines: string[];
  args?: string[];
  password: string;
  /** The file of the authority, if it speaks TLS. */
  ca: string | undefined;
}

const runningChildren = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of runningChildren) child.kill('SIGKILL');
});
// The test runner was killed: no process is left to stop them.
process.once('disconnect', () => process.exit());

export class RedisServer {
  readonly port: number;
  readonly dir: string;
  /** `redis://127.0.0.1:port`, or `rediss:`; with the password, if there is one. */
  readonly url: string;
  /** The file of the authority to trust, if it speaks TLS. */
  readonly ca: string | undefined;
  readonly networkPlace: NetworkPlace;
  readonly #args: string[];
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #isPaused = false;

  constructor({ dir, networkPlace = LOCALHOST, port, lines, args = [], password, ca }: RedisSetup) {
    this.networkPlace = networkPlace;
    this.port = port;
    this.dir = dir;
    this.ca = ca;
    this.url = password ? this.urlAs('', password) : `${this.#scheme}://${this.address}`;
    this.#args = [join(dir, 'redis.conf'), ...args];
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'redis.conf'), `${lines.join('\n')}\n`);
  }

  get address(): string {
    return `${this.networkPlace.host}:${this.port}`;
  }

  /** Its process is there and not paused, so it can be asked. */
  get isRunning(): boolean {
    return this.#hasProcess && !this.#isPaused;
  }

  urlAs(user: string, password: string): string {
    return `${this.#scheme}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${this.address}`;
  }

  /** Resolves when it answers; again on the same port and folder, after it has ended. */
  async start(): Promise<void> {
    if (this.#hasProcess) throw new Error(`Redis on port ${this.port} is running already.`);
    const log = openSync(this.#log, 'a');
    const [program = '', ...args] = [...this.networkPlace.commandPrefix, ...PROGRAM, ...this.#args];
    const child = spawn(program, args, { cwd: this.dir, stdio: ['ignore', log, log] });
    closeSync(log);
    runningChildren.add(child);
    this.#child = child;
    this.#isPaused = false;
    this.#exited = once(child, 'exit')
      .catch((error: Error) => writeFileSync(this.#log, error.message, { flag: 'a' }))
      .finally(() => runningChildren.delete(child));
    await this.#waitUntilReady();
  }

  /** As `redis-cli` prints it; rejects with what the server refused, `NOPERM …` for example. Every call is a connection of its own. */
  async runCommand(...args: (string | number)[]): Promise<string> {
    return formatReply(await this.runRaw(...args));
  }

  /** The same, as it is. */
  async runRaw(...args: (string | number)[]): Promise<Reply> {
    return sendRedisCommand(this, args);
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM; resolves when it is gone. */
  async shutdown(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** SIGSTOP: connections stay, nothing is answered. */
  freeze(): void {
    this.#signal('SIGSTOP');
    this.#isPaused = true;
  }

  /** SIGCONT */
  thaw(): void {
    this.#signal('SIGCONT');
    this.#isPaused = false;
  }

  /** Ends it, whatever state it is in, and deletes its folder. */
  async close(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
    this.#child = undefined;
    rmSync(this.dir, { recursive: true, force: true });
  }

  get #scheme(): string {
    return this.ca === undefined ? 'redis' : 'rediss';
  }

  get #log(): string {
    return join(this.dir, 'redis.log');
  }

  get #hasProcess(): boolean {
    return this.#child !== undefined && runningChildren.has(this.#child);
  }

  async #waitUntilReady(): Promise<void> {
    try {
      await until(async () => !this.#hasProcess || (await this.#isReady()), 'it answered', START_MS);
      if (!this.#hasProcess) throw new Error('its process ended');
    } catch (error) {
      throw new Error(`Redis on port ${this.port} did not start: ${(error as Error).message}\n${this.#logTail()}`, { cause: error });
    }
  }

  /** A refusal is an answer too, unless it says that the data are not there yet. */
  async #isReady(): Promise<boolean> {
    return this.runCommand('PING').then(
      () => true,
      ({ message }: Error) => /^(?:NOAUTH|NOPERM|WRONGPASS)/.test(message),
    );
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#signal(signal);
    if (this.#isPaused) this.#signal('SIGCONT');
    await this.#exited;
    this.#child = undefined;
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.#hasProcess) throw new Error(`Redis on port ${this.port} is not running.\n${this.#logTail()}`);
    this.#child?.kill(signal);
  }

  #logTail(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n') : '';
  }
}
