/** The server: one chat node behind HTTP and Socket.IO. */
import type { AddressInfo } from 'node:net';
import { createAdapter } from '@engawa/coalescing-adapter';
import { Server as Engine } from 'engine.io';
import type { Logger } from 'pino';
import { Server } from 'socket.io';
import { ChatNode } from './chat-node.ts';
import { limitsFromSettings } from './config/limits.ts';
import { DEFAULT_MAX_SEND_BUFFER_BYTES, lifetimesFromSettings, type Settings } from './config/settings.ts';
import { HandshakeGate } from './http/handshake-gate.ts';
import { createHttpServer } from './http/http-server.ts';
import { AdmissionQueue } from './limits/admission-queue.ts';
import { MemoryPressure } from './limits/memory-pressure.ts';
import { RateLimitedLog } from './logging/rate-limited-log.ts';
import { requestListener } from './socketio/answer-request.ts';
import type { ChatSocket, ChatSocketServer } from './socketio/chat-socket.ts';
import { corkWrites } from './socketio/cork-writes.ts';
import { installHandshake } from './socketio/handshake.ts';
import { limitPollResponses } from './socketio/poll-response-limit.ts';
import { installSessionRecovery, restoreOnConnect } from './socketio/recovery-adapter.ts';
import { compactSocket } from './socketio/socket-memory.ts';
import { HARD_LIMIT, SocketIoTransport } from './socketio/socketio-transport.ts';
import { ChatWebSocketServer } from './socketio/websocket-server.ts';
import type { Store } from './store/contract.ts';

/** Milliseconds in which a connection must ask for something, before it is closed. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Connections that the system holds until they are taken: more come at once after a restart than it would by itself. */
const LISTEN_BACKLOG = 4_096;
/** Milliseconds for those who stay, whatever they are told, when the server closes. */
const FORCE_CLOSE_AFTER_MS = 3_000;
/** Milliseconds for those who read nothing of what waits for them. */
const STALL_TIMEOUT_MS = 30_000;
/** Characters of what a parser says of a packet. */
const MAX_LOGGED_CHARS = 200;

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
  graceMs?: number;
  /** Milliseconds. */
  absenceMs?: number;
  /** Milliseconds after which it is looked again what of the logs is not to be kept. */
  trimIntervalMs?: number;
  /** Milliseconds after which the usage of the store is read again. */
  usageRefreshMs?: number;
  /** Milliseconds between the pings that keep connections alive. */
  pingInterval?: number;
  /** Milliseconds in which a ping is answered, or the connection is given up; by clients, too. */
  pingTimeout?: number;
  /** Milliseconds in which a client that more waits for than may must read something, or its connection is ended. */
  stallTimeoutMs?: number;
}

/** The wiring: one store, the sockets of one node, and what goes between them. */
export function createServer({
  store,
  settings,
  log: logger,
  graceMs = settings.grace,
  absenceMs = settings.absence,
  trimIntervalMs,
  usageRefreshMs,
  pingInterval,
  pingTimeout,
  stallTimeoutMs = STALL_TIMEOUT_MS,
}: ServerOptions): ChatServer {
  const { maxWaiting = DEFAULT_MAX_SEND_BUFFER_BYTES } = settings;
  const limits = limitsFromSettings(settings);
  const log = RateLimitedLog.wrap(logger);
  const memoryPressure = new MemoryPressure(log);
  let isClosing = false;

  const engine = new Engine({
    // A page may send its cookies, by which a balancer knows it again, where its origin is listed: browsers want a name for that.
    cors: settings.origins.includes('*') ? { origin: '*' } : { origin: settings.origins, credentials: true },
    maxHttpBufferSize: limits.frameBytes,
    wsEngine: ChatWebSocketServer,
    ...(pingInterval !== undefined && { pingInterval }),
    ...(pingTimeout !== undefined && { pingTimeout }),
  });
  const io: ChatSocketServer = new Server({
    connectTimeout: CONNECT_TIMEOUT_MS,
    serveClient: false,
  }).bind(engine);
  const { http, logRefusal, ...httpServer } = createHttpServer({
    origins: settings.origins,
    path: settings.path,
    trustedProxies: settings.trustedProxies,
    limitsExempt: settings.limitsExempt,
    perAddress: limits.perAddress,
    log,
    readiness: () => ({ ready: store.isWritable && !isClosing, lag: store.notifyLagMs }),
    chat: { engine, admission: new HandshakeGate({ queue: new AdmissionQueue(), memory: memoryPressure, isClosing: () => isClosing }) },
  });
  const transport = new SocketIoTransport(io, { softLimitBytes: maxWaiting, stallTimeoutMs });
  const node = new ChatNode({
    store,
    log,
    limits,
    lifetimes: lifetimesFromSettings(settings),
    ...(graceMs !== undefined && { graceMs }),
    ...(absenceMs !== undefined && { absenceMs }),
    ...(trimIntervalMs !== undefined && { trimIntervalMs }),
    ...(usageRefreshMs !== undefined && { usageRefreshMs }),
  });
  const slowConsumer = {
    thresholdBytes: maxWaiting,
    onSlow: (socket: ChatSocket) => node.context.roomRegistry.switchToBacklog(socket.data),
  };
  io.adapter(createAdapter({ slowConsumer, maxBufferedBytes: HARD_LIMIT.bytes }));
  corkWrites(engine);
  limitPollResponses(engine);
  const handshake = installHandshake(io, { node, transport, log, logRefusal });
  installSessionRecovery(io, node.context, node.recoveryTokens);

  // The same functions for all sockets, each `this` in its turn: ten thousand sockets need no closures.
  const onRequest = requestListener({ node, transport, log });
  function onError(error: unknown): void {
    // A client may send an event of this name: only what the transport met is for the log.
    if (error instanceof Error)
      log.info({ reason: error.message.slice(0, MAX_LOGGED_CHARS) }, 'a connection sent what cannot be understood');
  }
  function onDisconnect(this: ChatSocket): void {
    void node.removeConnection(this.data);
  }
  io.on('connection', (socket) => {
    if (!socket.connected) return;
    socket.on('disconnect', onDisconnect);
    node.addConnection(socket.data);
    restoreOnConnect(node.context, socket);
    socket.onAny(onRequest);
    socket.on('error', onError);
    compactSocket(socket);
  });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        http.once('error', reject);
        // Without a host Node listens on `::`, which takes IPv4 as well, and on 0.0.0.0 where there is no IPv6.
        http.listen({ port: settings.port, host: settings.host, backlog: LISTEN_BACKLOG }, () =>
          resolve((http.address() as AddressInfo).port),
        );
      }),
    async close() {
      isClosing = true;
      handshake.close();
      await node.drain();
      await io.close();
      await httpServer.close(FORCE_CLOSE_AFTER_MS);
      transport.close();
      memoryPressure.close();
      await node.close();
    },
  };
}
