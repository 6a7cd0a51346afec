import type { WireError } from '@engawa/protocol';
import { io, type Socket } from 'socket.io-client';
import { type Link, type LinkAuth, LinkError, type LinkFactory, type LinkListeners } from './link.ts';

const GOODBYE_MS = 1_000;

interface Delays {
  /** Before it is tried again: for the first time, and at most; by chance anything up to twice that. */
  firstMs: number;
  lastMs: number;
  /** Until a connection that is not yet open is given up. */
  openMs: number;
}

/** A link over Socket.IO: WebSocket, or polling where that does not come through. */
export const socketLinkWith =
  (delays: Delays): LinkFactory =>
  (url, listeners) =>
    new SocketLink(url, listeners, delays);

export const socketLink = socketLinkWith({ firstMs: 500, lastMs: 5_000, openMs: 10_000 });

/** A WebSocket as Node has it, not browsers. */
interface Ended {
  terminate?: () => void;
}

/** The other end may be gone: Node would wait for its goodbye for half a minute, and not end before. Where it answers, nobody waits. */
function endSoon(ws: Ended | undefined): void {
  if (ws?.terminate) setTimeout(() => ws.terminate?.(), GOODBYE_MS).unref();
}

class SocketLink implements Link {
  readonly #socket: Socket;
  readonly #listeners: LinkListeners;
  readonly #delays: Delays;
  #auth: LinkAuth | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, listeners: LinkListeners, delays: Delays) {
    this.#listeners = listeners;
    this.#delays = delays;
    this.#socket = io(url, {
      autoConnect: false,
      forceNew: true,
      transports: ['websocket', 'polling'],
      reconnectionDelay: delays.firstMs,
      reconnectionDelayMax: delays.lastMs,
      // Socket.IO overlooks a connection that ends before it has opened, as in a kill, and waits for it that long.
      timeout: delays.openMs,
      // All that lies between no delay and twice the delay: clients of one server must not come back at once.
      randomizationFactor: 1,
      // The room logs bring back what was missed; Socket.IO's own recovery would tell it a second time.
      auth: (show) => show({ ...this.#auth, recovery: false, pid: undefined, offset: undefined }),
    });
    this.#listen();
  }

  open(auth: LinkAuth): void {
    this.#auth = auth;
    this.#socket.connect();
  }

  close(): void {
    clearTimeout(this.#again);
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

  #listen(): void {
    this.#socket.on('connect', () => this.#listeners.up());
    this.#socket.on('disconnect', (reason) => {
      if (reason === 'io client disconnect') return;
      // Socket.IO takes it as final when the server ends a connection.
      if (reason === 'io server disconnect') this.#again = setTimeout(() => this.#socket.connect(), Math.random() * this.#delays.firstMs);
      this.#listeners.down(reason);
    });
    this.#socket.on('connect_error', (error: Error & { data?: WireError }) => {
      if (!this.#socket.active) this.#listeners.refused(error.data ?? { code: 'busy', message: error.message, retryable: true });
    });
    this.#socket.onAny((event: string, payload: unknown) => this.#listeners.heard(event, payload));
  }
}
