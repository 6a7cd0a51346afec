/** The transport over Socket.IO: WebSocket, or HTTP polling where no WebSocket connects. */
import type { ErrorPayload } from '@engawa/protocol';
import { io, type ManagerOptions, type Socket } from 'socket.io-client';
import { type ConnectionError, classifyConnectError, createConnectionError, type SocketIoConnectError } from './connection-error.ts';
import {
  type Transport,
  type TransportAuth,
  TransportError,
  type TransportFactory,
  type TransportListeners,
  type TransportOptions,
} from './transport.ts';

const FORCE_CLOSE_AFTER_MS = 1_000;
/** A failed upgrade is retried after this many times `openMs`. */
const UPGRADE_RETRY_FACTOR = 3;

interface ConnectDelays {
  /** The first and the largest delay before a retry. Jitter makes each of them anything from 0 to twice the value. */
  firstMs: number;
  lastMs: number;
  /** The time limit of an attempt; half of it before the first successful connection. */
  openMs: number;
}

/** A transport over Socket.IO: WebSocket, or polling where no WebSocket connects. */
export const createSocketIoTransportFactory =
  (delays: ConnectDelays): TransportFactory =>
  (url, listeners, options = {}) =>
    new SocketIoTransport(url, { listeners, options, delays });

export const createSocketIoTransport = createSocketIoTransportFactory({ firstMs: 500, lastMs: 5_000, openMs: 10_000 });

/** After a WebSocket connected once, polling is tried only after this many failed WebSocket attempts. */
const MAX_WEBSOCKET_ATTEMPTS = 4;

/** A WebSocket of Node; those of browsers have no `terminate`. */
interface TerminableWebSocket {
  terminate?: () => void;
}

/** Private members of an Engine.IO socket. */
interface EngineInternals {
  _probe?: (transport: 'websocket') => void;
  upgrading?: boolean;
  _onClose?: (reason: string) => void;
}

/**
 * If the server is gone, Node waits 30 s for its close frame, and the process does not exit before. A server that answers closes
 * sooner.
 */
function terminateSoon(ws: TerminableWebSocket | undefined): void {
  if (ws?.terminate) setTimeout(() => ws.terminate?.(), FORCE_CLOSE_AFTER_MS).unref();
}

/**
 * The server of a URL and the path of its Socket.IO, which is below the URL's path. Undefined if the URL is not valid for a
 * server.
 */
function parseServerUrl(url: string, path: string | undefined): { uri: string; path: string } | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, origin, pathname, search } = new URL(url);
  if (!/^(https?|wss?):$/.test(protocol)) return undefined;
  return { uri: `${origin}/${search}`, path: path ?? `${pathname.replace(/\/+$/, '')}/socket.io/` };
}

class SocketIoTransport implements Transport {
  readonly #socket: Socket;
  readonly #url: string;
  readonly #isValid: boolean;
  readonly #listeners: TransportListeners;
  readonly #delays: ConnectDelays;
  readonly #transports: readonly string[];
  #auth: TransportAuth | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Failed attempts in this round. */
  #failures = 0;
  /** Attempts in a round; the last one uses the other transport. */
  #attemptsPerRound = 2;
  #hasConnected = false;
  /** Why no WebSocket connected. It is reported only if polling connects and cannot upgrade. */
  #websocketError: ConnectionError | undefined;

  constructor(
    url: string,
    { listeners, options, delays }: { listeners: TransportListeners; options: TransportOptions; delays: ConnectDelays },
  ) {
    const target = parseServerUrl(url, options.path);
    this.#url = url;
    this.#isValid = target !== undefined;
    this.#listeners = listeners;
    this.#delays = delays;
    this.#transports = options.transports ?? ['websocket', 'polling'];
    this.#socket = io(target?.uri ?? 'http://invalid', {
      path: target?.path,
      autoConnect: false,
      forceNew: true,
      reconnectionDelay: delays.firstMs,
      reconnectionDelayMax: delays.lastMs,
      // Any delay from none to twice the value: the clients of one server must not reconnect at the same time.
      randomizationFactor: 1,
      // The room logs deliver missed entries; Socket.IO's session recovery would deliver them twice. `retries`: this client reads
      // the reason and the delay of a rejection.
      auth: (send) => send({ ...this.#auth, recovery: false, retries: true, pid: undefined, offset: undefined }),
    });
    this.#prepareNextAttempt();
    this.#listen();
  }

  open(auth: TransportAuth): void {
    this.#auth = auth;
    if (this.#isValid) this.#socket.connect();
    else queueMicrotask(() => this.#listeners.onConnectError(createConnectionError('invalid_url', `'${this.#url}'`, 'this is no address')));
  }

  close(): void {
    clearTimeout(this.#timer);
    // Undefined before the first `open`, although the type does not say so.
    const engine = this.#socket.io.engine as unknown as { transport: { ws?: TerminableWebSocket } } | undefined;
    this.#socket.disconnect();
    terminateSoon(engine?.transport.ws);
  }

  async request(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    // Socket.IO would buffer the request, and send it on the next connection before the rooms are resumed.
    if (!this.#socket.connected) throw new TransportError('There is no connection.');
    try {
      return (await this.#socket.timeout(timeoutMs).emitWithAck(event, payload)) as unknown;
    } catch (error) {
      throw new TransportError('There was no answer.', { cause: error });
    }
  }

  /**
   * Chooses the transport of the next attempt: the first one, or in the last attempt of a round the other one. Only polling
   * learns why it is refused, and it upgrades when a WebSocket connects. If a WebSocket connected before, the server is probably
   * down: a reconnect by polling costs the server more, so try WebSocket more often first.
   */
  #prepareNextAttempt(): void {
    const { io } = this.#socket;
    const usesFallback = this.#failures >= this.#attemptsPerRound - 1;
    io.opts.transports = (usesFallback ? [...this.#transports].reverse() : [...this.#transports]) as ManagerOptions['transports'];
    // Socket.IO does not notice a connection that ends while it opens, as when a server is killed: it waits for the time-out.
    io.timeout(this.#hasConnected ? this.#delays.openMs : this.#delays.openMs / 2);
  }

  get #transportName(): string {
    return this.#socket.io.engine.transport.name;
  }

  #listen(): void {
    this.#socket.io.on('open', () => this.#transportName === 'polling' && this.#watchUpgrade());
    this.#socket.on('connect', () => this.#onConnect());
    this.#socket.on('disconnect', (reason) => {
      clearTimeout(this.#timer);
      if (this.#transportName === 'websocket') this.#attemptsPerRound = MAX_WEBSOCKET_ATTEMPTS + 1;
      if (reason === 'io client disconnect') return;
      // Socket.IO does not reconnect after the server has ended a connection.
      if (reason === 'io server disconnect') this.#timer = setTimeout(() => this.#socket.connect(), Math.random() * this.#delays.firstMs);
      this.#listeners.onDisconnect(reason);
    });
    this.#socket.on('connect_error', (error: SocketIoConnectError & { data?: ErrorPayload }) => {
      if (this.#socket.active) this.#onConnectError(error);
      else this.#listeners.onRejected(error.data ?? { code: 'busy', message: error.message, retryable: true });
    });
    this.#socket.onAny((event: string, payload: unknown) => this.#listeners.onEvent(event, payload));
  }

  #onConnect(): void {
    this.#hasConnected = true;
    this.#failures = 0;
    this.#prepareNextAttempt();
    this.#listeners.onConnect();
  }

  /** Socket.IO tries to upgrade once in a connection, and has no time-out for it. */
  #watchUpgrade(): void {
    const { engine } = this.#socket.io;
    const { openMs } = this.#delays;
    const reportWebsocketError = () => {
      if (this.#websocketError && this.#transportName === 'polling') this.#listeners.onConnectError(this.#websocketError);
      this.#websocketError = undefined;
    };
    this.#timer = setTimeout(reportWebsocketError, openMs / 2);
    engine.on('upgradeError', () => {
      const internals = engine as unknown as EngineInternals;
      clearTimeout(this.#timer);
      if (engine.readyState !== 'open') return;
      // Polling is paused during an upgrade: without this nothing is sent or received until the ping time-out, 45 s later.
      if (internals.upgrading) return internals._onClose?.('transport error');
      reportWebsocketError();
      this.#timer = setTimeout(() => internals._probe?.('websocket'), UPGRADE_RETRY_FACTOR * openMs);
    });
  }

  #onConnectError(fault: SocketIoConnectError): void {
    const error = classifyConnectError(fault, this.#url, this.#transportName === 'websocket');
    // A time-out is probably caused by the network path: switch to the other transport at once.
    const failures = this.#failures + (fault.message === 'timeout' ? this.#attemptsPerRound : 1);
    this.#failures = this.#failures >= this.#attemptsPerRound - 1 ? 0 : failures;
    this.#prepareNextAttempt();
    if (error.code === 'websocket_failed' && this.#transports.length > 1) this.#websocketError = error;
    else this.#listeners.onConnectError(error);
  }
}
