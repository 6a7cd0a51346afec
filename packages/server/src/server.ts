import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ChatError, LIMITS, type Limits } from '@engawa/protocol';
import type { Logger } from 'pino';
import { Server, type Socket } from 'socket.io';
import { GRACE_MS, LeaseKeeper } from './chat/leases.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';
import { Addresses, addressOf } from './transport/addresses.ts';
import { authenticate } from './transport/authenticate.ts';
import { bindEvents, type Services } from './transport/bind-events.ts';
import { Connection } from './transport/connection.ts';
import { connectionOf, FanOut } from './transport/fan-out.ts';
import { answerHttp } from './transport/http.ts';
import { ChatWebSocketServer } from './transport/websocket.ts';

/** Milliseconds in which a connection must ask for something, before it is closed. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Milliseconds for those who stay, whatever they are told, when the server closes. */
const LINGER_MS = 3_000;
/** CONNECT packets of one connection: one is enough, and each is answered, also when it is refused. */
const CONNECTS = 10;

export interface ChatServer {
  /** Resolves with the port once connections are taken. */
  listen(): Promise<number>;
  /** Takes no more, finishes and answers what was asked, and lets go of everything; the store stays open. */
  close(): Promise<void>;
}

export interface ServerOptions {
  store: Store;
  settings: Pick<Settings, 'port' | 'host' | 'origins' | 'limits' | 'trustedProxies'>;
  log: Logger;
  /** Milliseconds that a guest's name stays his after his connection is gone. */
  grace?: number;
}

/** The wiring: one store, the sockets of one node, and what goes between them. */
export function createServer({ store, settings, log, grace = GRACE_MS }: ServerOptions): ChatServer {
  const node = randomUUID();
  const limits: Limits = settings.limits === 'on' ? LIMITS : { ...LIMITS, rates: null };
  let isClosing = false;

  const http = createHttpServer((request, response) => answerHttp(request, response, () => store.writable && !isClosing));
  const io = new Server(http, {
    cors: { origin: settings.origins.includes('*') ? '*' : settings.origins },
    allowRequest: (request, decide) => decide(originRefusal(request, settings.origins), originRefusal(request, settings.origins) === null),
    maxHttpBufferSize: limits.frameBytes,
    connectTimeout: CONNECT_TIMEOUT_MS,
    wsEngine: ChatWebSocketServer,
    serveClient: false,
  });
  const onError = (error: unknown): undefined => {
    log.error({ err: error }, 'a task in the background failed');
  };
  const fanOut = new FanOut({ io, store, node, grace, onError });
  const leases = new LeaseKeeper({ store, node, grace, isNeeded: () => fanOut.isAnybodyHere, onError });
  const addresses = limits.rates ? new Addresses(limits.rates) : undefined;
  const services: Services = { store, fanOut, leases, limits, node, log };

  io.engine.on('connection_error', ({ code, message, req }: { code: number; message: string; req?: IncomingMessage }) => {
    log.info({ code, message, address: req && addressOf(req, settings.trustedProxies) }, 'a connection was refused');
  });

  io.engine.on('connection', limitConnects);

  io.use((socket, next) => {
    // Gone before we could hear it go: counted, it would be so for ever.
    if (socket.conn.readyState !== 'open') return next();
    const address = addressOf(socket.request, settings.trustedProxies);
    try {
      const identity = authenticate(socket.handshake.auth);
      socket.handshake.auth = {};
      const addressPackets = addresses?.connect(address);
      socket.data = { connection: new Connection(identity, limits, addressPackets) };
      // The transport, not the socket: it also closes when the client goes away before it is connected.
      socket.conn.once('close', () => addresses?.disconnect(address));
      next();
    } catch (error) {
      next(connectError(error));
    }
  });

  io.on('connection', (socket) => {
    bindEvents(services, socket);
    socket.on('error', (error: unknown) => {
      // A client may send an event of this name: only what the transport met is for the log.
      if (error instanceof Error) log.info({ err: error }, 'a socket reported an error');
    });
    socket.on('disconnect', () => void fanOut.disconnect(socket));
  });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        http.once('error', reject);
        http.listen(settings.port, settings.host, () => resolve((http.address() as AddressInfo).port));
      }),
    async close() {
      isClosing = true;
      leases.stop();
      addresses?.close();
      const sockets = [...io.sockets.sockets.values()];
      await settled(sockets);
      const lingering = setTimeout(() => http.closeAllConnections(), LINGER_MS);
      await io.close();
      clearTimeout(lingering);
      await Promise.all(sockets.map((socket) => fanOut.disconnect(socket)));
    },
  };
}

const settled = (sockets: Socket[]) => Promise.all(sockets.map((socket) => connectionOf(socket).settled()));

/**
 * Browsers tell the origin of the page with every WebSocket upgrade, which CORS does not guard. Programs that are no
 * browsers tell none, and carry no cookies that a page could abuse.
 */
function originRefusal({ headers: { origin } }: IncomingMessage, allowed: string[]): string | null {
  return origin === undefined || allowed.includes('*') || allowed.includes(origin) ? null : 'origin not allowed';
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
