/** The server: one node of the chat domain behind HTTP and Socket.IO. */
import type { AddressInfo } from 'node:net';
import { fanOut } from '@engawa/fan-out';
import { Server as Engine } from 'engine.io';
import type { Logger } from 'pino';
import { Server, type Socket } from 'socket.io';
import { limitsIn } from './limits.ts';
import { Node } from './node.ts';
import { lifetimesIn, MAX_WAITING, type Settings } from './settings.ts';
import type { Store } from './store/store.ts';
import { Admission } from './transport/admission.ts';
import { guardDoor } from './transport/door.ts';
import { createHttpServer } from './transport/http-server.ts';
import { tighten } from './transport/lean.ts';
import { MemoryPressure } from './transport/memory-pressure.ts';
import { inOneWrite } from './transport/one-write.ts';
import { boundPollAnswers } from './transport/poll-answers.ts';
import { RateLimitedLog } from './transport/rate-limited-log.ts';
import { recoverSessions, welcomeBack } from './transport/session-recovery.ts';
import { SocketIoWire, UNREAD } from './transport/socket-io-wire.ts';
import { Turnstile } from './transport/turnstile.ts';
import { ChatWebSocketServer } from './transport/websocket.ts';

/** Milliseconds in which a connection must ask for something, before it is closed. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Connections that the system holds until they are taken: more come at once after a restart than it would by itself. */
const BACKLOG = 4_096;
/** Milliseconds for those who stay, whatever they are told, when the server closes. */
const LINGER_MS = 3_000;
/** Milliseconds for those who read nothing of what waits for them. */
const STUCK_MS = 30_000;
/** Characters of what a parser says of a packet. */
const SHOWN = 200;

export interface ChatServer {
  /** Resolves with the port once connections are taken. */
  listen(): Promise<number>;
  /** Takes no more, finishes and answers what was asked, and lets go of everything; the store stays open. */
  close(): Promise<void>;
}

export interface ServerOptions {
  store: Store;
  settings: Pick<Settings, 'port' | 'host' | 'origins' | 'limits' | 'trustedProxies'> & Partial<Settings>;
  log: Logger;
  /** Milliseconds that a guest's name stays theirs after their connection is gone; as in the settings when it is not given. */
  grace?: number;
  /** Milliseconds. */
  absence?: number;
  /** Milliseconds after which it is looked again what of the logs is not to be kept. */
  trimEvery?: number;
  /** Milliseconds after which the usage of the store is read again. */
  usageEvery?: number;
  /** Milliseconds between the pings that keep connections alive. */
  pingInterval?: number;
  /** Milliseconds in which a ping is answered, or the connection is given up; by clients, too. */
  pingTimeout?: number;
  /** Milliseconds in which a client that more waits for than may must read something, or its connection is ended. */
  stuckAfter?: number;
}

/** The wiring: one store, the sockets of one node, and what goes between them. */
export function createServer({
  store,
  settings,
  log: given,
  grace = settings.grace,
  absence = settings.absence,
  trimEvery,
  usageEvery,
  pingInterval,
  pingTimeout,
  stuckAfter = STUCK_MS,
}: ServerOptions): ChatServer {
  const { maxWaiting = MAX_WAITING } = settings;
  const limits = limitsIn(settings);
  const log = RateLimitedLog.over(given);
  const memory = new MemoryPressure(log);
  let isClosing = false;

  const engine = new Engine({
    // A page may send its cookies, by which a balancer knows it again, where its origin is listed: browsers want a name for that.
    cors: settings.origins.includes('*') ? { origin: '*' } : { origin: settings.origins, credentials: true },
    maxHttpBufferSize: limits.frameBytes,
    wsEngine: ChatWebSocketServer,
    ...(pingInterval !== undefined && { pingInterval }),
    ...(pingTimeout !== undefined && { pingTimeout }),
  });
  const io = new Server({
    connectTimeout: CONNECT_TIMEOUT_MS,
    serveClient: false,
  }).bind(engine);
  const { http, logRefusal, ...front } = createHttpServer({
    origins: settings.origins,
    path: settings.path,
    trustedProxies: settings.trustedProxies,
    limitsExempt: settings.limitsExempt,
    perAddress: limits.perAddress,
    log,
    readiness: () => ({ ready: store.writable && !isClosing, lag: store.lag }),
    chat: { engine, admission: new Admission({ queue: new Turnstile(), memory, isClosing: () => isClosing }) },
  });
  const wire = new SocketIoWire(io, { waiting: maxWaiting, stuck: stuckAfter });
  const node = new Node({
    store,
    wire,
    log,
    limits,
    lifetimes: lifetimesIn(settings),
    ...(grace !== undefined && { grace }),
    ...(absence !== undefined && { absence }),
    ...(trimEvery !== undefined && { trimEvery }),
    ...(usageEvery !== undefined && { usageEvery }),
  });
  const slow = { bytes: maxWaiting, tell: (socket: Socket) => node.services.fanOut.fallBehind(socket) };
  io.adapter(fanOut({ slow, mostWaiting: UNREAD.bytes }));
  inOneWrite(engine);
  boundPollAnswers(engine);
  const door = guardDoor(io, { node, log, logRefusal });
  recoverSessions(io, node.services);

  // The same functions for all sockets, each `this` in its turn: ten thousand sockets need no closures.
  function onAny(this: Socket, event: unknown, ...args: unknown[]): void {
    node.receive(this, event, args);
  }
  function onError(error: unknown): void {
    // A client may send an event of this name: only what the transport met is for the log.
    if (error instanceof Error) log.info({ reason: error.message.slice(0, SHOWN) }, 'a connection sent what cannot be understood');
  }
  function onDisconnect(this: Socket): void {
    void node.disconnected(this);
  }
  io.on('connection', (socket) => {
    if (!socket.connected) return;
    socket.on('disconnect', onDisconnect);
    node.connected(socket);
    welcomeBack(node.services, socket);
    socket.onAny(onAny);
    socket.on('error', onError);
    tighten(socket);
  });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        http.once('error', reject);
        // Without a host Node listens on `::`, which takes IPv4 as well, and on 0.0.0.0 where there is no IPv6.
        http.listen({ port: settings.port, host: settings.host, backlog: BACKLOG }, () => resolve((http.address() as AddressInfo).port));
      }),
    async close() {
      isClosing = true;
      door.close();
      await node.settle();
      await io.close();
      await front.close(LINGER_MS);
      wire.close();
      memory.close();
      await node.close();
    },
  };
}
