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

/** Milliseconds until a connection without a request is closed. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Backlog of `listen`: after a restart more clients connect at once than the system's default holds. */
const LISTEN_BACKLOG = 4_096;
/** On shutdown, connections that are still open after this many milliseconds are closed by force. */
const FORCE_CLOSE_AFTER_MS = 3_000;
/** A slow consumer that reads nothing for this many milliseconds is disconnected. */
const STALL_TIMEOUT_MS = 30_000;
/** Characters of a parser error that are logged. */
const MAX_LOGGED_CHARS = 200;

export interface ChatServer {
  /** Resolves with the port when the server accepts connections. */
  listen(): Promise<number>;
  /** Stops accepting, completes running requests, and releases all resources. The store stays open. */
  close(): Promise<void>;
}

export interface ServerOptions {
  store: Store;
  settings: Pick<Settings, 'port' | 'host' | 'allowedOrigins' | 'rateLimits' | 'trustedProxies'> & Partial<Settings>;
  log: Logger;
  /** Milliseconds that a guest's name stays reserved after the connection is lost; by default as in the settings. */
  graceMs?: number;
  /** Milliseconds. */
  absenceMs?: number;
  /** Interval of the retention job, in milliseconds. */
  trimIntervalMs?: number;
  /** Interval at which the usage of the store is read, in milliseconds. */
  usageRefreshMs?: number;
  /** Interval of the heartbeat, in milliseconds. */
  pingInterval?: number;
  /**
   * Milliseconds in which the other side must answer a ping, or send one; otherwise the connection is closed. Clients use the
   * same value.
   */
  pingTimeout?: number;
  /** Milliseconds in which a slow consumer must read something; otherwise it is disconnected. */
  stallTimeoutMs?: number;
}

/** Connects the parts: one store, one chat node, and its transports. */
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
  const { maxSendBuffer = DEFAULT_MAX_SEND_BUFFER_BYTES } = settings;
  const limits = limitsFromSettings(settings);
  const log = RateLimitedLog.wrap(logger);
  const memoryPressure = new MemoryPressure(log);
  let isClosing = false;

  const engine = new Engine({
    // Pages of listed origins may send cookies, by which a load balancer recognizes a client. Browsers require a named origin
    // for that.
    cors: settings.allowedOrigins.includes('*') ? { origin: '*' } : { origin: settings.allowedOrigins, credentials: true },
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
    allowedOrigins: settings.allowedOrigins,
    path: settings.path,
    trustedProxies: settings.trustedProxies,
    limitsExempt: settings.limitsExempt,
    perAddress: limits.perAddress,
    log,
    readiness: () => ({ ready: store.isWritable && !isClosing, lag: store.notifyLagMs }),
    chat: { engine, admission: new HandshakeGate({ queue: new AdmissionQueue(), memory: memoryPressure, isClosing: () => isClosing }) },
  });
  const transport = new SocketIoTransport(io, { softLimitBytes: maxSendBuffer, stallTimeoutMs });
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
    thresholdBytes: maxSendBuffer,
    onSlow: (socket: ChatSocket) => node.context.roomRegistry.switchToBacklog(socket.data),
  };
  io.adapter(createAdapter({ slowConsumer, maxBufferedBytes: HARD_LIMIT.bytes }));
  corkWrites(engine);
  limitPollResponses(engine);
  const handshake = installHandshake(io, { node, transport, log, logRefusal });
  installSessionRecovery(io, node.context, node.recoveryTokens);

  // Shared listeners; `this` is the socket: ten thousand sockets need no closures.
  const onRequest = requestListener({ node, transport, log });
  function onError(error: unknown): void {
    // Clients can also send an event with this name: only the transport's own errors are logged.
    if (error instanceof Error)
      log.info({ reason: error.message.slice(0, MAX_LOGGED_CHARS) }, 'a connection sent a packet that cannot be parsed');
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
