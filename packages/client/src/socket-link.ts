import type { WireError } from '@engawa/protocol';
import { io } from 'socket.io-client';
import { type LinkAuth, LinkError, type LinkFactory } from './link.ts';

const GOODBYE_MS = 1_000;

interface Delays {
  /** Before it is tried again: for the first time, and at most; by chance anything up to twice that. */
  firstMs: number;
  lastMs: number;
  /** Until a connection that is not yet open is given up. */
  openMs: number;
}

/** A WebSocket as Node has it, not browsers. */
interface Ended {
  terminate?: () => void;
}

/** The other end may be gone: Node would wait for its goodbye for half a minute, and not end before. Where it answers, nobody waits. */
function endSoon(ws: Ended | undefined): void {
  if (ws?.terminate) setTimeout(() => ws.terminate?.(), GOODBYE_MS).unref();
}

/** A link over Socket.IO: WebSocket, or polling where that does not come through. */
export const socketLinkWith =
  ({ firstMs, lastMs, openMs }: Delays): LinkFactory =>
  (url, listeners) => {
    let shown: LinkAuth | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    const socket = io(url, {
      autoConnect: false,
      forceNew: true,
      transports: ['websocket', 'polling'],
      reconnectionDelay: firstMs,
      reconnectionDelayMax: lastMs,
      // Socket.IO overlooks a connection that ends before it has opened, as in a kill, and waits for it that long.
      timeout: openMs,
      // All that lies between no delay and twice the delay: clients of one server must not come back at once.
      randomizationFactor: 1,
      // The room logs bring back what was missed; Socket.IO's own recovery would tell it a second time.
      auth: (show) => show({ ...shown, recovery: false, pid: undefined, offset: undefined }),
    });
    socket.on('connect', () => listeners.up());
    socket.on('disconnect', (reason) => {
      if (reason === 'io client disconnect') return;
      // Socket.IO takes it as final when the server ends a connection.
      if (reason === 'io server disconnect') again = setTimeout(() => socket.connect(), Math.random() * firstMs);
      listeners.down(reason);
    });
    socket.on('connect_error', (error: Error & { data?: WireError }) => {
      if (!socket.active) listeners.refused(error.data ?? { code: 'busy', message: error.message, retryable: true });
    });
    socket.onAny((event: string, payload: unknown) => listeners.heard(event, payload));
    return {
      open(auth) {
        shown = auth;
        socket.connect();
      },
      close() {
        clearTimeout(again);
        // There is none before it was opened, whatever its type says.
        const engine = socket.io.engine as unknown as { transport: { ws?: Ended } } | undefined;
        socket.disconnect();
        endSoon(engine?.transport.ws);
      },
      async ask(event, payload, timeoutMs) {
        // Socket.IO would keep it for the next connection, where it would come before the rooms are resumed.
        if (!socket.connected) throw new LinkError('There is no connection.');
        try {
          return (await socket.timeout(timeoutMs).emitWithAck(event, payload)) as unknown;
        } catch (cause) {
          throw new LinkError('There was no answer.', { cause });
        }
      },
    };
  };

export const socketLink = socketLinkWith({ firstMs: 500, lastMs: 5_000, openMs: 10_000 });
