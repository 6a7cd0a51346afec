import type { IncomingMessage } from 'node:http';
import { ChatError, type Limits } from '@engawa/protocol';
import type { Logger } from 'pino';
import type { Server, ServerOptions, Socket } from 'socket.io';
import type { Node } from '../node.ts';
import { Addresses, addressOf, type Visit } from './addresses.ts';
import { newPid } from './authenticate.ts';
import { Heartbeat, type Pinged } from './heartbeat.ts';
import { lighten, unheard } from './lean.ts';
import { connectionOf } from './local-room.ts';
import type { Turnstile } from './turnstile.ts';

/** Of Engine.IO's errors: who polls names a session that is not here. */
const UNKNOWN_SESSION = 1;
/** CONNECT packets of one connection: one is enough, and each is answered, also when it is refused. */
const CONNECTS = 10;

/**
 * Browsers tell the origin of the page with every WebSocket upgrade, which CORS does not guard. Programs that are no
 * browsers tell none, and there are no cookies that a page could abuse.
 */
export function originOptions(
  allowed: string[],
  { turnstile, isClosing }: { turnstile: Turnstile; isClosing: () => boolean },
): Pick<ServerOptions, 'cors' | 'allowRequest'> {
  const isForAll = allowed.includes('*');
  return {
    cors: { origin: isForAll ? '*' : allowed },
    allowRequest({ headers: { origin, upgrade }, socket }, decide) {
      const isAllowed = isForAll || origin === undefined || allowed.includes(origin);
      if (upgrade !== undefined) socket.on('error', unheard);
      void turnstile.pass().then(() => {
        if (isClosing()) decide('the server is about to stop', false);
        else decide(isAllowed ? null : 'origin not allowed', isAllowed);
      });
    },
  };
}

const VISIT = Symbol('visit');
const CONNECTED = Symbol('connected');

/** What is counted of a connection stands on it, and its listeners are the same functions for all: a closure costs more than a number. */
type Counted = Socket['conn'] & { [VISIT]?: Visit; [CONNECTED]?: number };

interface Door {
  node: Node;
  limits: Limits;
  trustedProxies: number;
  log: Logger;
}

/**
 * Every connection is counted at its address from its first byte to its last; whoever comes in has a `Connection` of a
 * known identity.
 */
export function guardDoor(io: Server, { node, limits, trustedProxies, log }: Door): { close: () => void } {
  const addresses = new Addresses(limits.perAddress);
  const warnOfProxy = warningOfProxy(log, trustedProxies);
  const { pingInterval: interval, pingTimeout: timeout } = (io.engine as { opts: { pingInterval: number; pingTimeout: number } }).opts;
  const heartbeat = new Heartbeat({ interval, timeout });

  const arrive = (conn: Counted, request: IncomingMessage): void => {
    const visit = addresses.arrive(addressOf(request, trustedProxies));
    conn[VISIT] = visit;
    conn.on('close', leave);
    if (visit.refusal) warnOfProxy(request);
    if (visit.isCrowd) conn.close(true);
  };
  io.engine.on('connection', (conn: Counted) => {
    conn.on('data', limitConnects);
    arrive(conn, (conn as unknown as { request: IncomingMessage }).request);
    heartbeat.take(conn as unknown as Pinged);
    lighten(conn);
  });
  io.engine.on('connection_error', ({ code, message, req }: { code: number; message: string; req?: IncomingMessage }) => {
    const what =
      code === UNKNOWN_SESSION
        ? 'somebody polls who is not known here: since a restart, or because the balancer is not sticky'
        : 'a connection was refused';
    log.info({ code, message, address: req && addressOf(req, trustedProxies) }, what);
  });
  io.use((socket, next) => {
    const visit = (socket.conn as Counted)[VISIT];
    try {
      if (visit?.refusal) throw visit.refusal;
      node.admit(socket, socket.handshake.auth, visit?.address);
      // What stock clients show by themselves when they come back.
      (socket as unknown as { pid: string }).pid = newPid(connectionOf(socket).identity.session, socket.id);
      next();
    } catch (error) {
      next(connectError(error));
    }
  });
  return {
    close() {
      addresses.close();
      heartbeat.close();
    },
  };
}

/** Behind a proxy that is not known as one, all users have one address, and share its limits. */
function warningOfProxy(log: Logger, trustedProxies: number): (request: IncomingMessage) => void {
  let hasWarned = trustedProxies > 0;
  return ({ headers }) => {
    if (hasWarned || headers['x-forwarded-for'] === undefined) return;
    hasWarned = true;
    log.warn('connections that come through a proxy are refused as if from one address: set ENGAWA_TRUSTED_PROXIES');
  };
}

function limitConnects(this: Counted, data: unknown): void {
  if (typeof data !== 'string' || !data.startsWith('0')) return;
  this[CONNECTED] = (this[CONNECTED] ?? 0) + 1;
  if (this[CONNECTED] > CONNECTS) this.close(true);
}

function leave(this: Counted): void {
  this[VISIT]?.leave();
}

/** Socket.IO sends the `data` of an error that a middleware refuses a connection with. */
function connectError(error: unknown): Error & { data: object } {
  const refusal = error instanceof ChatError ? error : new ChatError('internal', { cause: error });
  return Object.assign(new Error(refusal.message), { data: refusal.toWire() });
}
