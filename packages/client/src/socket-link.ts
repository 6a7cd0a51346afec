import type { WireError } from '@engawa/protocol';
import { io, type ManagerOptions, type Socket } from 'socket.io-client';
import { type ConnectionError, connectionError, diagnose, type TransportFault } from './connection-error.ts';
import { type Link, type LinkAuth, LinkError, type LinkFactory, type LinkListeners, type LinkOptions } from './link.ts';

const GOODBYE_MS = 1_000;
/** An upgrade that failed is tried again after so many times the patience with a connection. */
const PROBES = 3;

interface Delays {
  /** Before it is tried again: for the first time, and at most; by chance anything up to twice that. */
  firstMs: number;
  lastMs: number;
  /** Until a try is given up; half of that before the server was reached for the first time. */
  openMs: number;
}

/** A link over Socket.IO: WebSocket, or polling where that does not come through. */
export const socketLinkWith =
  (delays: Delays): LinkFactory =>
  (url, listeners, options = {}) =>
    new SocketLink(url, { listeners, options, delays });

export const socketLink = socketLinkWith({ firstMs: 500, lastMs: 5_000, openMs: 10_000 });

/** So often a WebSocket is tried, where one came through before, until polling is. */
const WEBSOCKET_TRIES = 4;

/** A WebSocket as Node has it, not browsers. */
interface Ended {
  terminate?: () => void;
}

/** What Engine.IO does once a connection, and has no public name for. */
interface Probing {
  _probe?: (transport: 'websocket') => void;
  upgrading?: boolean;
  _onClose?: (reason: string) => void;
}

/** The other end may be gone: Node would wait for its goodbye for half a minute, and not end before. Where it answers, nobody waits. */
function endSoon(ws: Ended | undefined): void {
  if (ws?.terminate) setTimeout(() => ws.terminate?.(), GOODBYE_MS).unref();
}

/** The server of a URL, and where its Socket.IO is: the path of the URL is a prefix. Undefined where no server can be. */
function targetOf(url: string, path: string | undefined): { uri: string; path: string } | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, origin, pathname, search } = new URL(url);
  if (!/^(https?|wss?):$/.test(protocol)) return undefined;
  return { uri: `${origin}/${search}`, path: path ?? `${pathname.replace(/\/+$/, '')}/socket.io/` };
}

class SocketLink implements Link {
  readonly #socket: Socket;
  readonly #url: string;
  readonly #isValid: boolean;
  readonly #listeners: LinkListeners;
  readonly #delays: Delays;
  readonly #transports: readonly string[];
  #auth: LinkAuth | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Tries of this round that failed. */
  #failures = 0;
  /** Tries of a round, of which the last is by the other transport. */
  #round = 2;
  #wasUp = false;
  /** Why there was no WebSocket, of a try that another transport follows. */
  #blocked: ConnectionError | undefined;

  constructor(url: string, { listeners, options, delays }: { listeners: LinkListeners; options: LinkOptions; delays: Delays }) {
    const target = targetOf(url, options.path);
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
      auth: (show) => show({ ...this.#auth, recovery: false, retries: true, pid: undefined, offset: undefined }),
    });
    this.#prepare();
    this.#listen();
  }

  open(auth: LinkAuth): void {
    this.#auth = auth;
    if (this.#isValid) this.#socket.connect();
    else queueMicrotask(() => this.#listeners.failed(connectionError('invalid_url', `'${this.#url}'`, 'this is no address')));
  }

  close(): void {
    clearTimeout(this.#timer);
    // There is none before it was opened, whatever its type says.
    const engine = this.#socket.io.engine as unknown as { transport: { ws?: Ended } } | undefined;
    this.#socket.disconnect();
    endSoon(engine?.transport.ws);
  }

  async ask(event: string, payload: object, timeoutMs: number): Promise<unknown> {
    // Socket.IO would keep it for the next connection, where it would come before the rooms are resumed.
    if (!this.#socket.connected) throw new LinkError('There is no connection.');
    try {
      return (await this.#socket.timeout(timeoutMs).emitWithAck(event, payload)) as unknown;
    } catch (error) {
      throw new LinkError('There was no answer.', { cause: error });
    }
  }

  /**
   * The next try: by the first transport, else by the other one. Only polling is told why it is refused, and it upgrades to a
   * WebSocket when one comes through. Where one did before, it is rather the server that is away: polling takes more of it to
   * come back, so a WebSocket is tried more often first.
   */
  #prepare(): void {
    const { io } = this.#socket;
    const isOther = this.#failures >= this.#round - 1;
    io.opts.transports = (isOther ? [...this.#transports].reverse() : [...this.#transports]) as ManagerOptions['transports'];
    // Socket.IO overlooks a connection that ends before it has opened, as in a kill, and waits for it that long.
    io.timeout(this.#wasUp ? this.#delays.openMs : this.#delays.openMs / 2);
  }

  get #transport(): string {
    return this.#socket.io.engine.transport.name;
  }

  #listen(): void {
    this.#socket.io.on('open', () => this.#transport === 'polling' && this.#mayUpgrade());
    this.#socket.on('connect', () => this.#up());
    this.#socket.on('disconnect', (reason) => {
      clearTimeout(this.#timer);
      if (this.#transport === 'websocket') this.#round = WEBSOCKET_TRIES + 1;
      if (reason === 'io client disconnect') return;
      // Socket.IO takes it as final when the server ends a connection.
      if (reason === 'io server disconnect') this.#timer = setTimeout(() => this.#socket.connect(), Math.random() * this.#delays.firstMs);
      this.#listeners.down(reason);
    });
    this.#socket.on('connect_error', (error: TransportFault & { data?: WireError }) => {
      if (this.#socket.active) this.#failed(error);
      else this.#listeners.refused(error.data ?? { code: 'busy', message: error.message, retryable: true });
    });
    this.#socket.onAny((event: string, payload: unknown) => this.#listeners.heard(event, payload));
  }

  #up(): void {
    this.#wasUp = true;
    this.#failures = 0;
    this.#prepare();
    this.#listeners.up();
  }

  /** Socket.IO tries an upgrade once a connection, and waits for ever where it is not answered. */
  #mayUpgrade(): void {
    const { engine } = this.#socket.io;
    const { openMs } = this.#delays;
    const tell = () => {
      if (this.#blocked && this.#transport === 'polling') this.#listeners.failed(this.#blocked);
      this.#blocked = undefined;
    };
    this.#timer = setTimeout(tell, openMs / 2);
    engine.on('upgradeError', () => {
      const probing = engine as unknown as Probing;
      clearTimeout(this.#timer);
      if (engine.readyState !== 'open') return;
      // Polling has paused for it: without this nothing is heard or sent until the ping is over, 45 s later.
      if (probing.upgrading) return probing._onClose?.('transport error');
      tell();
      this.#timer = setTimeout(() => probing._probe?.('websocket'), PROBES * openMs);
    });
  }

  #failed(fault: TransportFault): void {
    const error = diagnose(fault, this.#url, this.#transport === 'websocket');
    // Where nothing answers it is rather the way.
    const failures = this.#failures + (fault.message === 'timeout' ? this.#round : 1);
    this.#failures = this.#failures >= this.#round - 1 ? 0 : failures;
    this.#prepare();
    if (error.code === 'websocket_failed' && this.#transports.length > 1) this.#blocked = error;
    else this.#listeners.failed(error);
  }
}
