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
/** An upgrade that failed is tried again after so many times the patience with a connection. */
const UPGRADE_RETRY_FACTOR = 3;

interface ConnectDelays {
  /** Before it is tried again: for the first time, and at most; by chance anything up to twice that. */
  firstMs: number;
  lastMs: number;
  /** Until a try is given up; half of that before the server was reached for the first time. */
  openMs: number;
}

/** A link over Socket.IO: WebSocket, or polling where that does not come through. */
export const createSocketIoTransportFactory =
  (delays: ConnectDelays): TransportFactory =>
  (url, listeners, options = {}) =>
    new SocketIoTransport(url, { listeners, options, delays });

export const createSocketIoTransport = createSocketIoTransportFactory({ firstMs: 500, lastMs: 5_000, openMs: 10_000 });

/** So often a WebSocket is tried, where one came through before, until polling is. */
const MAX_WEBSOCKET_ATTEMPTS = 4;

/** A WebSocket as Node has it, not browsers. */
interface TerminableWebSocket {
  terminate?: () => void;
}

/** What Engine.IO does once a connection, and has no public name for. */
interface EngineInternals {
  _probe?: (transport: 'websocket') => void;
  upgrading?: boolean;
  _onClose?: (reason: string) => void;
}

/** The other end may be gone: Node would wait for its goodbye for half a minute, and not end before. Where it answers, nobody waits. */
function terminateSoon(ws: TerminableWebSocket | undefined): void {
  if (ws?.terminate) setTimeout(() => ws.terminate?.(), FORCE_CLOSE_AFTER_MS).unref();
}

/** The server of a URL, and where its Socket.IO is: the path of the URL is a prefix. Undefined where no server can be. */
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
  /** Tries of this round that failed. */
  #failures = 0;
  /** Tries of a round, of which the last is by the other transport. */
  #attemptsPerRound = 2;
  #hasConnected = false;
  /** Why there was no WebSocket, of a try that another transport follows. */
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
      // All that lies between no delay and twice the delay: clients of one server must not come back at once.
      randomizationFactor: 1,
      // The room logs bring back what was missed; Socket.IO's own recovery would tell it a second time.
      // It reads why it is refused, and when to come back.
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
    // There is none before it was opened, whatever its type says.
    const engine = this.#socket.io.engine as unknown as { transport: { ws?: TerminableWebSocket } } | undefined;
    this.#socket.disconnect();
    terminateSoon(engine?.transport.ws);
  }

  async request(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    // Socket.IO would keep it for the next connection, where it would come before the rooms are resumed.
    if (!this.#socket.connected) throw new TransportError('There is no connection.');
    try {
      return (await this.#socket.timeout(timeoutMs).emitWithAck(event, payload)) as unknown;
    } catch (error) {
      throw new TransportError('There was no answer.', { cause: error });
    }
  }

  /**
   * The next try: by the first transport, else by the other one. Only polling is told why it is refused, and it upgrades to a
   * WebSocket when one comes through. Where one did before, it is rather the server that is away: polling takes more of it to
   * come back, so a WebSocket is tried more often first.
   */
  #prepareNextAttempt(): void {
    const { io } = this.#socket;
    const usesFallback = this.#failures >= this.#attemptsPerRound - 1;
    io.opts.transports = (usesFallback ? [...this.#transports].reverse() : [...this.#transports]) as ManagerOptions['transports'];
    // Socket.IO overlooks a connection that ends before it has opened, as in a kill, and waits for it that long.
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
      // Socket.IO takes it as final when the server ends a connection.
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

  /** Socket.IO tries an upgrade once a connection, and waits for ever where it is not answered. */
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
      // Polling has paused for it: without this nothing is heard or sent until the ping is over, 45 s later.
      if (internals.upgrading) return internals._onClose?.('transport error');
      reportWebsocketError();
      this.#timer = setTimeout(() => internals._probe?.('websocket'), UPGRADE_RETRY_FACTOR * openMs);
    });
  }

  #onConnectError(fault: SocketIoConnectError): void {
    const error = classifyConnectError(fault, this.#url, this.#transportName === 'websocket');
    // Where nothing answers it is rather the way.
    const failures = this.#failures + (fault.message === 'timeout' ? this.#attemptsPerRound : 1);
    this.#failures = this.#failures >= this.#attemptsPerRound - 1 ? 0 : failures;
    this.#prepareNextAttempt();
    if (error.code === 'websocket_failed' && this.#transports.length > 1) this.#websocketError = error;
    else this.#listeners.onConnectError(error);
  }
}
