/** One connection to one Redis server, with reconnect and liveness check. */
import { createClient } from '@redis/client';
import { hostAndPort, type RedisTarget } from './redis-url.ts';

export type Reply = string | number | null | Reply[];
export type Command = string[];

export interface ConnectOptions {
  target: RedisTarget;
  /** CA certificates to trust in addition to those of Node. */
  ca?: string | undefined;
  onError: (error: unknown) => void;
  /** The connection does not reconnect. */
  isSingleUse?: boolean;
  /** A connection that only receives messages: it is pinged from time to time, and given up if it does not reply. */
  isSubscriber?: boolean;
}

const CONNECT_TIMEOUT_MS = 3_000;
/** If a reply takes longer, the connection is given up: the server may be dead without having closed it. */
const REPLY_TIMEOUT_MS = 5_000;
const LIVENESS_CHECK_MS = 1_000;
const RECONNECT_MS = { min: 50, max: 1_000 };
const PING_MS = 30_000;
const SOCKET_TIMEOUT_MS = 75_000;
/** Commands that may wait for their replies on one connection. */
const MAX_QUEUED_COMMANDS = 20_000;

const reconnectDelay = (attempt: number): number =>
  Math.min(RECONNECT_MS.min * 2 ** attempt, RECONNECT_MS.max) * (0.75 + Math.random() / 2);

/** The connection was lost while a command waited for its reply. The command may have been executed. */
export class ReplyLostError extends Error {
  override readonly name = 'ReplyLostError';
}

/** There is no connection, so nothing was sent. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError';
}

export function createConnection({ target, ca, onError, isSingleUse = false, isSubscriber = false }: ConnectOptions, address: string) {
  const { username, password, database, tls } = target;
  const client = createClient({
    socket: {
      ...hostAndPort(address),
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectStrategy: isSingleUse ? false : reconnectDelay,
      ...(isSubscriber && { socketTimeout: SOCKET_TIMEOUT_MS }),
      ...(tls && { tls: true as const, ...(ca !== undefined && { ca }) }),
    },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    // All versions support the older protocol, and it is sufficient.
    RESP: 2,
    ...(isSubscriber && { pingInterval: PING_MS }),
    commandsQueueMaxLength: MAX_QUEUED_COMMANDS,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0 },
  });
  client.on('error', onError);
  return client;
}

/** One connection between two reconnects: later commands are executed after earlier ones, or fail. */
export interface ConnectionSession {
  send(command: Command): Promise<PromiseSettledResult<Reply>>;
}

/**
 * A connection for commands to one server. It reconnects by itself, and never returns the reply of a command of an earlier
 * session.
 */
export class Connection {
  readonly address: string;
  readonly #options: ConnectOptions;
  #client: ReturnType<typeof createConnection>;
  #session: ConnectionSession = this.#newSession();
  /** Callers that wait until it is ready. */
  readonly #readyWaiters = new Set<(isReady: boolean) => void>();
  #onReady: () => void = () => undefined;
  #inFlight = 0;
  #lastReplyAt = performance.now();
  readonly #livenessTimer: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: ConnectOptions, address: string) {
    this.#options = options;
    this.address = address;
    this.#client = this.#open();
    this.#livenessTimer = setInterval(() => this.#reconnectIfDead(), LIVENESS_CHECK_MS).unref();
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  get session(): ConnectionSession {
    return this.#session;
  }

  /** Resolves with true when it is ready, or with false after the timeout. */
  async waitUntilReady(timeoutMs: number): Promise<boolean> {
    if (this.isReady) return true;
    return new Promise((resolve) => {
      const settle = (isReady: boolean) => {
        clearTimeout(timer);
        this.#readyWaiters.delete(settle);
        resolve(isReady);
      };
      const timer = setTimeout(() => settle(false), timeoutMs);
      this.#readyWaiters.add(settle);
    });
  }

  /** Calls back after each connect. */
  onReady(listener: () => void): void {
    this.#onReady = listener;
  }

  /** Sends the commands in order, with no others in between, and returns the reply or error of each. */
  async send(commands: Command[]): Promise<PromiseSettledResult<Reply>[]> {
    if (!this.#client.isReady) throw new NotConnectedError(`There is no connection to ${this.address}.`);
    if (this.#inFlight === 0) this.#lastReplyAt = performance.now();
    this.#inFlight += commands.length;
    const client = this.#client;
    const settled = await Promise.allSettled(commands.map((command) => client.sendCommand<Reply>(command)));
    this.#inFlight -= commands.length;
    this.#lastReplyAt = performance.now();
    return settled;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#livenessTimer);
    this.#client.destroy();
  }

  #open() {
    const client = createConnection(this.#options, this.address);
    client.on('ready', () => {
      this.#session = this.#newSession();
      for (const settle of this.#readyWaiters) settle(true);
      this.#onReady();
    });
    client.connect().catch(() => undefined);
    return client;
  }

  #newSession(): ConnectionSession {
    const session: ConnectionSession = {
      send: async (command) => {
        if (this.#session !== session) throw new ReplyLostError('The connection was replaced before the reply.');
        return (await this.send([command]))[0] as PromiseSettledResult<Reply>;
      },
    };
    return session;
  }

  #reconnectIfDead(): void {
    if (this.#isClosed || this.#inFlight === 0 || performance.now() - this.#lastReplyAt < REPLY_TIMEOUT_MS) return;
    this.#lastReplyAt = performance.now();
    this.#client.destroy();
    this.#client = this.#open();
  }
}
