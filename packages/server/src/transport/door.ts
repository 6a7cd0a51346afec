import type { IncomingMessage } from 'node:http';
import { ChatError, type Limits } from '@engawa/protocol';
import type { Logger } from 'pino';
import type { Server, ServerOptions, Socket } from 'socket.io';
import { Addresses, addressOf, type Visit } from './addresses.ts';
import { authenticate } from './authenticate.ts';
import { Connection } from './connection.ts';

/** CONNECT packets of one connection: one is enough, and each is answered, also when it is refused. */
const CONNECTS = 10;

/**
 * Browsers tell the origin of the page with every WebSocket upgrade, which CORS does not guard. Programs that are no
 * browsers tell none, and there are no cookies that a page could abuse.
 */
export function originOptions(allowed: string[]): Pick<ServerOptions, 'cors' | 'allowRequest'> {
  if (allowed.includes('*')) return { cors: { origin: '*' }, allowRequest: (_, decide) => decide(null, true) };
  return {
    cors: { origin: allowed },
    allowRequest({ headers: { origin } }, decide) {
      const isAllowed = origin === undefined || allowed.includes(origin);
      decide(isAllowed ? null : 'origin not allowed', isAllowed);
    },
  };
}

interface Door {
  limits: Limits;
  trustedProxies: number;
  log: Logger;
}

/**
 * Every connection is counted at its address from its first byte to its last; whoever comes in has a `Connection` of a
 * known identity.
 */
export function guardDoor(io: Server, { limits, trustedProxies, log }: Door): { close: () => void } {
  const addresses = limits.rates ? new Addresses(limits.rates) : undefined;
  const visits = new WeakMap<Socket['conn'], Visit>();
  const warnOfProxy = warningOfProxy(log, trustedProxies);

  io.engine.on('connection', (conn: Socket['conn']) => {
    limitConnects(conn);
    if (!addresses) return;
    const { request } = conn as unknown as { request: IncomingMessage };
    const address = addressOf(request, trustedProxies);
    const visit = addresses.arrive(address);
    conn.once('close', () => addresses.leave(address));
    if (visit.refusal) warnOfProxy(request);
    if (visit.isCrowd) conn.close(true);
    else visits.set(conn, visit);
  });
  io.engine.on('connection_error', ({ code, message, req }: { code: number; message: string; req?: IncomingMessage }) => {
    log.info({ code, message, address: req && addressOf(req, trustedProxies) }, 'a connection was refused');
  });
  io.use((socket, next) => {
    const visit = visits.get(socket.conn);
    try {
      if (visit?.refusal) throw visit.refusal;
      socket.data = { connection: new Connection(authenticate(socket.handshake.auth), limits, visit?.packets) };
      // Up to a frame of whatever the client sent, which Socket.IO would keep as long as the connection.
      socket.handshake.auth = {};
      next();
    } catch (error) {
      next(connectError(error));
    }
  });
  return { close: () => addresses?.close() };
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

function limitConnects(conn: Socket['conn']): void {
  let connects = 0;
  conn.on('data', (data: unknown) => {
    if (typeof data === 'string' && data.startsWith('0')) connects += 1;
    if (connects > CONNECTS) conn.close(true);
  });
}

/** Socket.IO sends the `data` of an error that a middleware refuses a connection with. */
function connectError(error: unknown): Error & { data: object } {
  const refusal = error instanceof ChatError ? error : new ChatError('internal', { cause: error });
  return Object.assign(new Error(refusal.message), { data: refusal.toWire() });
}
