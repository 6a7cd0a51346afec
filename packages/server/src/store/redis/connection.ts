import { createClient } from '@redis/client';
import { hostAndPort, type Target } from './target.ts';

export type Reply = string | number | null | Reply[];
export type Command = string[];

export interface Dialling {
  target: Target;
  /** Certificates of authorities to trust beside those that Node knows. */
  ca?: string | undefined;
  onError: (error: unknown) => void;
  /** A connection that does not come back. */
  isOnce?: boolean;
  /** A connection that only listens: it is asked now and then whether it lives, and is given up when it says nothing. */
  isListening?: boolean;
}

const CONNECT_TIMEOUT_MS = 3_000;
/** An answer that takes longer is not waited for: the connection is given up, for it may be dead without having said so. */
const ANSWER_TIMEOUT_MS = 5_000;
const WATCH_MS = 1_000;
const RECONNECT_MS = { least: 50, most: 1_000 };
const PING_MS = 30_000;
const SILENCE_MS = 75_000;
/** Commands that wait for their answers on one connection. */
const QUEUE = 20_000;

const reconnectAfter = (attempt: number): number =>
  Math.min(RECONNECT_MS.least * 2 ** attempt, RECONNECT_MS.most) * (0.75 + Math.random() / 2);

/** The connection was cut while a command waited for its answer: it was done, or not. */
export class LostAnswer extends Error {
  override readonly name = 'LostAnswer';
}

/** There is no connection, so nothing was sent. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
}

export function dial({ target, ca, onError, isOnce = false, isListening = false }: Dialling, address: string) {
  const { username, password, database, tls } = target;
  const client = createClient({
    socket: {
      ...hostAndPort(address),
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectStrategy: isOnce ? false : reconnectAfter,
      ...(isListening && { socketTimeout: SILENCE_MS }),
      ...(tls && { tls: true as const, ...(ca !== undefined && { ca }) }),
    },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    // The older protocol is understood everywhere, and says all that we ask.
    RESP: 2,
    ...(isListening && { pingInterval: PING_MS }),
    commandsQueueMaxLength: QUEUE,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0 },
  });
  client.on('error', onError);
  return client;
}

/** One life of a connection: what is sent on it comes after what was answered on it, or fails. */
export interface Link {
  send(command: Command): Promise<PromiseSettledResult<Reply>>;
}

/** One connection to one server, for commands. It comes back by itself, and never answers what another connection was asked. */
export class Connection {
  readonly address: string;
  readonly #dialling: Dialling;
  #client: ReturnType<typeof dial>;
  #link: Link = this.#newLink();
  /** Those who wait until it is ready. */
  readonly #waiting = new Set<(isReady: boolean) => void>();
  #onReady: () => void = () => undefined;
  #inFlight = 0;
  #heardAt = performance.now();
  readonly #watch: NodeJS.Timeout;
  #isClosed = false;

  constructor(dialling: Dialling, address: string) {
    this.#dialling = dialling;
    this.address = address;
    this.#client = this.#open();
    this.#watch = setInterval(() => this.#giveUpIfDead(), WATCH_MS).unref();
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  get link(): Link {
    return this.#link;
  }

  /** Resolves when it is there, or with false after so many milliseconds. */
  async ready(milliseconds: number): Promise<boolean> {
    if (this.isReady) return true;
    return new Promise((resolve) => {
      const settle = (isReady: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        resolve(isReady);
      };
      const timer = setTimeout(() => settle(false), milliseconds);
      this.#waiting.add(settle);
    });
  }

  /** Calls back whenever it is there, or there again. */
  onReady(listener: () => void): void {
    this.#onReady = listener;
  }

  /** Sends the commands one after the other, with nothing between them, and answers each with its reply or its error. */
  async send(commands: Command[]): Promise<PromiseSettledResult<Reply>[]> {
    if (!this.#client.isReady) throw new NotConnected(`There is no connection to ${this.address}.`);
    if (this.#inFlight === 0) this.#heardAt = performance.now();
    this.#inFlight += commands.length;
    const client = this.#client;
    const settled = await Promise.allSettled(commands.map((command) => client.sendCommand<Reply>(command)));
    this.#inFlight -= commands.length;
    this.#heardAt = performance.now();
    return settled;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#watch);
    this.#client.destroy();
  }

  #open() {
    const client = dial(this.#dialling, this.address);
    client.on('ready', () => {
      this.#link = this.#newLink();
      for (const settle of this.#waiting) settle(true);
      this.#onReady();
    });
    client.connect().catch(() => undefined);
    return client;
  }

  #newLink(): Link {
    const link: Link = {
      send: async (command) => {
        if (this.#link !== link) throw new LostAnswer('The connection is another one by now.');
        return (await this.send([command]))[0] as PromiseSettledResult<Reply>;
      },
    };
    return link;
  }

  #giveUpIfDead(): void {
    if (this.#isClosed || this.#inFlight === 0 || performance.now() - this.#heardAt < ANSWER_TIMEOUT_MS) return;
    this.#heardAt = performance.now();
    this.#client.destroy();
    this.#client = this.#open();
  }
}
