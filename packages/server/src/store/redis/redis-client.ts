/** The client that routes commands to the Redis server with the partition: single, Sentinel or Cluster. */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { ClientOfflineError, ErrorReply } from '@redis/client';
import { StoreError } from '../contract.ts';
import {
  type Command,
  Connection,
  type ConnectionSession,
  type ConnectOptions,
  NotConnectedError,
  type Reply,
  ReplyLostError,
} from './redis-connection.ts';
import type { Script } from './scripts.ts';
import { discoverTopology, type Topology } from './topology.ts';

/** How long one operation is retried across failovers and slot migrations, in milliseconds. */
const DEADLINE_MS = 10_000;
const BACKOFF_MS = { min: 20, max: 500 };
const READY_TIMEOUT_MS = 500;
/** Interval at which a cluster is asked for its topology without any sign of a change, in milliseconds. */
const TOPOLOGY_POLL_MS = 60_000;

/** What to do about an error: refresh the topology, wait, retry with the source of the script, or fail. */
type ErrorAction = 'refresh' | 'retry' | 'loadScript' | 'replyLost' | 'fail';

const ACTION_BY_ERROR: Record<string, ErrorAction> = {
  MOVED: 'refresh',
  READONLY: 'refresh',
  CLUSTERDOWN: 'refresh',
  MASTERDOWN: 'refresh',
  TRYAGAIN: 'retry',
  LOADING: 'retry',
  BUSY: 'retry',
  NOREPLICAS: 'retry',
  NOSCRIPT: 'loadScript',
};

export interface ScriptCall {
  partition: number;
  keys: string[];
  args: string[];
  /** Whether the command may be sent twice: reads, and writes that the store recognizes. */
  isRepeatable: boolean;
}

/** The servers of one Redis, of any kind. Sends each command to the server with its partition. */
export class RedisClient {
  readonly #options: ConnectOptions;
  readonly #connections = new Map<string, Connection>();
  readonly #listeners = new Set<() => void>();
  /** The run id of the server of a connection, which changes with each start. */
  readonly #runIds = new WeakMap<Connection, string | undefined>();
  readonly #timer: NodeJS.Timeout;
  readonly #inFlight = new Set<Promise<unknown>>();
  #topology: Topology;
  #refreshing: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: ConnectOptions, topology: Topology) {
    this.#options = options;
    this.#topology = topology;
    this.#timer = setInterval(() => void this.refreshTopology({ isRoutine: true }).catch(options.onError), TOPOLOGY_POLL_MS).unref();
    if (topology.isStatic) clearInterval(this.#timer);
    for (const address of topology.addresses) this.#connectionFor(address);
  }

  /** Discovers the topology; rejects if no server replies. */
  static async open(options: ConnectOptions): Promise<RedisClient> {
    try {
      return new RedisClient(options, await discoverTopology(options));
    } catch (error) {
      throw unusableError(options.target.seeds.join(', '), error);
    }
  }

  get isCluster(): boolean {
    return this.#topology.isCluster;
  }

  /** Whether all servers are connected, as far as is known. */
  get isReady(): boolean {
    return !this.#isClosed && [...this.#topology.addresses].every((address) => this.#connections.get(address)?.isReady);
  }

  /** Addresses of the servers that accept writes. */
  get addresses(): string[] {
    return [...this.#topology.addresses];
  }

  addressOf(partition: number): string | undefined {
    return this.#topology.addressOf(partition);
  }

  /** Calls back whenever partitions moved to another server, or a server restarted: either may have lost the latest writes. */
  onTopologyChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Runs a script in a partition. */
  async runScript(script: Script, call: ScriptCall): Promise<Reply> {
    return (await this.runScriptOnSession(script, call)).reply;
  }

  /** Runs a script, and resolves also with the session that it ran on. */
  async runScriptOnSession(
    script: Script,
    { partition, keys, args, isRepeatable }: ScriptCall,
  ): Promise<{ reply: Reply; session: ConnectionSession }> {
    const parameters = [String(keys.length), ...keys, ...args];
    const buildCommand = (withSource: boolean): Command =>
      withSource ? ['EVAL', script.source, ...parameters] : ['EVALSHA', script.sha, ...parameters];
    return this.#sendTracked(partition, buildCommand, isRepeatable);
  }

  /** Sends one command to a partition. It may be sent twice. */
  async send(partition: number, command: Command): Promise<Reply> {
    return (await this.#sendTracked(partition, () => command, true)).reply;
  }

  /** Sends a command whose loss is harmless. */
  sendAndForget(partition: number, command: Command): void {
    this.#track(this.#sendOnce(this.#topology.addressOf(partition), command, false)).catch(() => undefined);
  }

  /** Sends a command to one server, about the server itself. */
  async sendTo(address: string, command: Command): Promise<Reply> {
    const connection = this.#connectionFor(address);
    try {
      await connection.waitUntilReady(READY_TIMEOUT_MS);
      return unwrapReply((await connection.send([command]))[0]);
    } catch (error) {
      throw unusableError(address, error);
    }
  }

  /** Asks for the topology again; `isRoutine`: without any sign of a change. */
  async refreshTopology({ isRoutine = false } = {}): Promise<void> {
    this.#refreshing ??= this.#discover(isRoutine).finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
  }

  /** Closes after all pending commands, and commands that they cause, are done. */
  async close(): Promise<void> {
    while (this.#inFlight.size > 0) {
      await Promise.allSettled(this.#inFlight);
      await nextTurn();
    }
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const connection of this.#connections.values()) connection.close();
  }

  async #sendTracked(
    partition: number,
    buildCommand: (withSource: boolean) => Command,
    isRepeatable: boolean,
  ): Promise<{ reply: Reply; session: ConnectionSession }> {
    return this.#track(this.#sendWithRetries(partition, buildCommand, isRepeatable));
  }

  async #track<Result>(sending: Promise<Result>): Promise<Result> {
    this.#inFlight.add(sending);
    return sending.finally(() => this.#inFlight.delete(sending));
  }

  async #sendWithRetries(
    partition: number,
    buildCommand: (withSource: boolean) => Command,
    isRepeatable: boolean,
  ): Promise<{ reply: Reply; session: ConnectionSession }> {
    const deadline = performance.now() + DEADLINE_MS;
    let [withSource, wasReplyLost, redirect] = [false, false, undefined as string | undefined];
    for (let attempt = 0; ; attempt += 1) {
      if (this.#isClosed) throw new StoreError(wasReplyLost ? 'outcome_unknown' : 'closed', 'The store is closed.');
      try {
        return await this.#sendOnce(redirect ?? this.#topology.addressOf(partition), buildCommand(withSource), redirect !== undefined);
      } catch (error) {
        redirect = askRedirectOf(error);
        const action = actionFor(error);
        wasReplyLost ||= action === 'replyLost';
        if (wasReplyLost && !isRepeatable)
          throw new StoreError('outcome_unknown', 'The connection to Redis was lost before the reply.', error);
        if (action === 'fail') throw toStoreError(error);
        if (performance.now() > deadline)
          throw new StoreError(wasReplyLost ? 'outcome_unknown' : 'busy', 'Redis cannot be reached.', error);
        if (action === 'loadScript') withSource = true;
        if (action === 'refresh' || action === 'replyLost') await this.refreshTopology().catch(this.#options.onError);
        if (attempt > 0 && redirect === undefined) await pause(Math.min(BACKOFF_MS.min * 2 ** attempt, BACKOFF_MS.max));
      }
    }
  }

  async #sendOnce(address: string | undefined, command: Command, isAsking: boolean): Promise<{ reply: Reply; session: ConnectionSession }> {
    if (address === undefined) throw new NotConnectedError('No server has this partition.');
    const connection = this.#connectionFor(address);
    if (!connection.isReady && !(await connection.waitUntilReady(READY_TIMEOUT_MS)))
      throw new NotConnectedError(`${address} cannot be reached.`);
    const { session } = connection;
    const settled = await connection.send(isAsking ? [['ASKING'], command] : [command]);
    return { reply: unwrapReply(settled.at(-1)), session };
  }

  #connectionFor(address: string): Connection {
    const known = this.#connections.get(address);
    if (known) return known;
    const connection = new Connection(this.#options, address);
    connection.onReady(
      () => void this.#detectRestart(connection).catch((error: unknown) => this.#isClosed || this.#options.onError(error)),
    );
    this.#connections.set(address, connection);
    return connection;
  }

  async #detectRestart(connection: Connection): Promise<void> {
    const [info] = await connection.send([['INFO', 'server']]);
    const runId = /^run_id:(\w+)/m.exec(String(unwrapReply(info)))?.[1];
    const previousRunId = this.#runIds.get(connection);
    this.#runIds.set(connection, runId);
    if (previousRunId !== undefined && previousRunId !== runId) this.#notifyTopologyChange();
  }

  async #discover(isRoutine: boolean): Promise<void> {
    const previous = this.#topology;
    const topology = await discoverTopology(this.#options, { current: previous, isRoutine });
    if (this.#isClosed || topology.equals(previous)) return;
    this.#topology = topology;
    for (const [address, connection] of this.#connections) {
      if (topology.addresses.has(address)) continue;
      connection.close();
      this.#connections.delete(address);
    }
    for (const address of topology.addresses) this.#connectionFor(address);
    this.#notifyTopologyChange();
  }

  #notifyTopologyChange(): void {
    for (const listener of this.#listeners) listener();
  }
}

export function unwrapReply(settled: PromiseSettledResult<Reply> | undefined): Reply {
  if (settled?.status === 'fulfilled') return settled.value;
  const reason = settled?.reason as Error;
  if (reason instanceof ErrorReply) throw reason;
  if (reason instanceof ClientOfflineError) throw new NotConnectedError(reason.message);
  if (reason.message === 'The queue is full') throw new StoreError('busy', 'Too many operations are queued for Redis.');
  throw new ReplyLostError('The connection was lost before the reply.', { cause: reason });
}

/** The first word of an error reply is its code. Errors of scripts have it after a prefix. */
const errorCodeOf = (error: ErrorReply): string => /^(?:ERR )?(?:user_script:\d+: )?-?([A-Z]+)/.exec(error.message)?.[1] ?? '';

function actionFor(error: unknown): ErrorAction {
  if (error instanceof ReplyLostError) return 'replyLost';
  if (error instanceof NotConnectedError) return 'refresh';
  if (!(error instanceof ErrorReply)) return 'fail';
  return askRedirectOf(error) === undefined ? (ACTION_BY_ERROR[errorCodeOf(error)] ?? 'fail') : 'retry';
}

/** An ASK redirection: while a slot migrates, this one command must go to the target server. */
const askRedirectOf = (error: unknown): string | undefined =>
  error instanceof ErrorReply ? /^ASK \d+ (\S+)$/.exec(error.message)?.[1] : undefined;

/** Errors of untrusted certificates; other TLS errors are network errors. */
const CERTIFICATE_ERROR = /^(?:ERR_TLS|CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)_/;

const isNotRedis = (message: string): boolean => message.includes('RESP type');

/** Reason `busy` if the server may be available later; `failed` if an operator must fix something first. */
function unusableError(address: string, error: unknown): StoreError {
  const { message, code = '' } = error as NodeJS.ErrnoException;
  const needsOperator = (error instanceof ErrorReply && actionFor(error) === 'fail') || CERTIFICATE_ERROR.test(code) || isNotRedis(message);
  return new StoreError(needsOperator ? 'failed' : 'busy', `Redis at ${address} cannot be used: ${message}`, error);
}

function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const isFull = error instanceof ErrorReply && /\bOOM\b|\bMISCONF\b/.test(message);
  return new StoreError(isFull ? 'full' : 'failed', `Redis refuses the operation: ${message}`, error);
}
