/** Connections over Socket.IO: each is counted at its address, and each that is let in has an identity. */
import type { IncomingMessage } from 'node:http';
import { ChatError } from '@engawa/protocol';
import type { Server, Socket } from 'socket.io';
import type { Node } from '../node.ts';
import { type Address, addressOf } from './addresses.ts';
import { newPid } from './authenticate.ts';
import { limitFrames } from './frame-limit.ts';
import { Heartbeat, type Pinged } from './heartbeat.ts';
import { lighten } from './lean.ts';
import { connectionOf } from './local-room.ts';
import { isJavaScript, wantsOffsets } from './offsets.ts';
import type { RateLimitedLog } from './rate-limited-log.ts';
import type { RefusalLog } from './refusal-log.ts';

/** Of Engine.IO's errors: who polls names a session that is not here. */
const UNKNOWN_SESSION = 1;
/** CONNECT packets of one connection: one is enough, and each is answered, also when it is refused. */
const CONNECTS = 10;

interface Visit {
  address: Address;
  /** Why this connection may not come in, unless its session is known here. */
  refused: { reason: ChatError; request: IncomingMessage } | undefined;
  /** Who came in by it. */
  author?: string;
  isJavaScript: boolean;
}

const VISIT = Symbol('visit');
const CONNECTED = Symbol('connected');
const ADMITTED = Symbol('admitted');

/** What is counted of a connection stands on it, and its listeners are the same functions for all: a closure costs more than a number. */
type Counted = Socket['conn'] & { [VISIT]?: Visit; [CONNECTED]?: number; [ADMITTED]?: true };

interface Door {
  node: Node;
  log: RateLimitedLog;
  logRefusal: RefusalLog;
}

/**
 * Every connection is counted at its address from its first byte to its last; whoever comes in has a `Connection` of a
 * known identity.
 */
export function guardDoor(io: Server, { node, log, logRefusal }: Door): { close: () => void } {
  const { pingInterval: interval, pingTimeout: timeout } = (io.engine as { opts: { pingInterval: number; pingTimeout: number } }).opts;
  const heartbeat = new Heartbeat({ interval, timeout });
  const { rates } = node.services.limits;
  const watchFrames =
    rates &&
    limitFrames(rates.frames, (conn: Counted) =>
      log.info({ address: conn[VISIT]?.address.name }, 'a connection is closed: it sends too many frames'),
    );

  io.engine.on('connection', (conn: Counted) => {
    // Its client may be gone again. Then no 'close' comes any more, and what waits for one stays for ever.
    if (conn.readyState !== 'open') return;
    conn.on('data', limitConnects);
    const { request } = conn as unknown as { request: IncomingMessage };
    const address = addressOf(request);
    if (address) {
      const reason = address.connected();
      conn[VISIT] = { address, refused: reason && { reason, request }, isJavaScript: isJavaScript(request) };
      conn.on('close', leave);
    }
    watchFrames?.(conn);
    heartbeat.take(conn as unknown as Pinged);
    lighten(conn);
  });
  io.engine.on('connection_error', ({ code, message, req }: { code: number; message: string; req?: IncomingMessage }) => {
    const what =
      code === UNKNOWN_SESSION
        ? 'somebody polls who is not known here: since a restart, or because the balancer is not sticky'
        : 'a connection was refused';
    log.info({ code, message, address: req && addressOf(req)?.name }, what);
  });
  io.use((socket, next) => {
    const conn: Counted = socket.conn;
    const { auth } = socket.handshake;
    try {
      const visit = conn[VISIT];
      node.admit(socket, auth, { address: visit?.address, takesOffset: wantsOffsets(auth, visit?.isJavaScript) });
      const { session, author } = connectionOf(socket).identity;
      if (visit && conn.readyState === 'open') admit(visit, author);
      conn[ADMITTED] = true;
      // What stock clients show by themselves when they come back.
      (socket as unknown as { pid: string }).pid = newPid(session, socket.id);
      next();
    } catch (error) {
      const refusal = error instanceof ChatError ? error : new ChatError('internal', { cause: error });
      if (refusal !== error) log.error({ err: error }, 'a connection could not be let in');
      // For a stock client the answer would be final, while it connects again by itself after a connection that was closed.
      if (refusal.retryable && !retriesItself(auth)) conn.close();
      next(connectError(refusal));
    }
  });

  /** Throws the refusal. */
  function admit(visit: Visit, author: string): void {
    if (visit.author !== undefined) return;
    const { address, refused } = visit;
    const reason = address.admit(author, refused?.reason);
    if (reason && refused) logRefusal(reason.code, refused.request);
    if (reason) throw reason;
    visit.author = author;
    visit.refused = undefined;
  }

  return { close: () => heartbeat.close() };
}

/** Who was let in is not let in again here: rates are those of a connection, and would begin anew. */
function limitConnects(this: Counted, data: unknown): void {
  if (typeof data !== 'string' || !data.startsWith('0')) return;
  this[CONNECTED] = (this[CONNECTED] ?? 0) + 1;
  // Those to other namespaces begin with the name.
  if (this[CONNECTED] > CONNECTS || (this[ADMITTED] && data[1] !== '/')) this.close(true);
}

function leave(this: Counted): void {
  const visit = this[VISIT];
  visit?.address.disconnected(visit.author);
}

/** Whether a client that is refused for now reads why, and comes back by itself when it may. */
const retriesItself = (auth: unknown): boolean => (auth as { retries?: unknown } | undefined)?.retries === true;

/** Socket.IO sends the `data` of an error that a middleware refuses a connection with. */
const connectError = (refusal: ChatError): Error & { data: object } =>
  Object.assign(new Error(refusal.message), { data: refusal.toWire() });
