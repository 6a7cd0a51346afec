import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LIMITS, type Limits } from '@engawa/protocol';
import type { Logger } from 'pino';
import { Server, type Socket } from 'socket.io';
import { GRACE_MS, LeaseKeeper } from './chat/leases.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';
import { bindEvents } from './transport/bind-events.ts';
import { guardDoor, originOptions } from './transport/door.ts';
import { connectionOf, FanOut } from './transport/fan-out.ts';
import type { Services } from './transport/handlers.ts';
import { answerHttp } from './transport/http.ts';
import { watchUnread } from './transport/unread.ts';
import { ChatWebSocketServer } from './transport/websocket.ts';

/** Milliseconds in which a connection must ask for something, before it is closed. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Milliseconds for those who stay, whatever they are told, when the server closes. */
const LINGER_MS = 3_000;

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
  const onError = (error: unknown): undefined => {
    log.error({ err: error }, 'a task in the background failed');
  };
  let isClosing = false;

  const http = createHttpServer((request, response) => answerHttp(request, response, () => store.writable && !isClosing));
  const io = new Server(http, {
    ...originOptions(settings.origins),
    maxHttpBufferSize: limits.frameBytes,
    connectTimeout: CONNECT_TIMEOUT_MS,
    wsEngine: ChatWebSocketServer,
    serveClient: false,
  });
  const door = guardDoor(io, { limits, trustedProxies: settings.trustedProxies, log });
  const fanOut = new FanOut({ io, store, node, grace, onError });
  const leases = new LeaseKeeper({ store, node, grace, isNeeded: () => fanOut.isAnybodyHere, onError });
  const unread = watchUnread(io);
  const services: Services = { store, fanOut, leases, limits, node, log };

  io.on('connection', (socket) => {
    bindEvents(services, socket);
    socket.on('error', (error: unknown) => {
      // A client may send an event of this name: only what the transport met is for the log.
      if (error instanceof Error) log.info({ err: error }, 'a connection sent what cannot be understood');
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
      door.close();
      unread.stop();
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
