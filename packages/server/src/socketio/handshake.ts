/** The Socket.IO handshake: counts each connection at its address, and gives each client an identity. */
import type { IncomingMessage } from 'node:http';
import type { ChatError } from '@engawa/protocol';
import type { Socket } from 'socket.io';
import { toChatError } from '../api/error-payload.ts';
import type { ChatNode } from '../chat-node.ts';
import type { RefusalLog } from '../http/refusal-log.ts';
import { type AddressLimiter, addressLimiterOf } from '../limits/address-limiter.ts';
import type { RateLimitedLog } from '../logging/rate-limited-log.ts';
import type { ChatSocket, ChatSocketServer } from './chat-socket.ts';
import { limitFrames } from './frame-limit.ts';
import { Heartbeat, type PingedConnection } from './heartbeat.ts';
import { canUseOffsets, isJavaScriptClient } from './recovery-offsets.ts';
import { releaseHandshakeRequest } from './socket-memory.ts';
import { SocketIoPeer } from './socketio-peer.ts';
import type { SocketIoTransport } from './socketio-transport.ts';

/** Of Engine.IO's errors: who polls names a session that is not here. */
const UNKNOWN_SID_CODE = 1;
/** CONNECT packets of one connection: one is enough, and each is answered, also when it is refused. */
const MAX_CONNECT_PACKETS = 10;

interface HandshakeState {
  address: AddressLimiter;
  /** Why this connection may not come in, unless its session is known here. */
  refusal: { reason: ChatError; request: IncomingMessage } | undefined;
  /** Who came in by it. */
  author?: string;
  isJavaScript: boolean;
}

const HANDSHAKE_STATE = Symbol('handshake state');
const CONNECT_COUNT = Symbol('connect count');
const IS_CONNECTED = Symbol('a CONNECT was accepted, or is being answered');

/** What is counted of a connection stands on it, and its listeners are the same functions for all: a closure costs more than a number. */
type HandshakeConn = Socket['conn'] & { [HANDSHAKE_STATE]?: HandshakeState; [CONNECT_COUNT]?: number; [IS_CONNECTED]?: boolean };

interface HandshakeOptions {
  node: ChatNode;
  transport: SocketIoTransport;
  log: RateLimitedLog;
  logRefusal: RefusalLog;
}

/**
 * Every connection is counted at its address from its first byte to its last; whoever comes in has a `Connection` of a
 * known identity.
 */
export function installHandshake(io: ChatSocketServer, { node, transport, log, logRefusal }: HandshakeOptions): { close: () => void } {
  const { pingInterval: interval, pingTimeout: timeout } = (io.engine as { opts: { pingInterval: number; pingTimeout: number } }).opts;
  const heartbeat = new Heartbeat({ interval, timeout });
  const { rates } = node.context.limits;
  const watchFrames =
    rates &&
    limitFrames(rates.frames, (conn: HandshakeConn) =>
      log.info({ address: conn[HANDSHAKE_STATE]?.address.name }, 'a connection is closed: it sends too many frames'),
    );

  io.engine.on('connection', (conn: HandshakeConn) => {
    // Its client may be gone again. Then no 'close' comes any more, and what waits for one stays for ever.
    if (conn.readyState !== 'open') return;
    conn.on('data', limitConnects);
    const { request } = conn as unknown as { request: IncomingMessage };
    const address = addressLimiterOf(request);
    if (address) {
      const reason = address.addConnection();
      conn[HANDSHAKE_STATE] = { address, refusal: reason && { reason, request }, isJavaScript: isJavaScriptClient(request) };
      conn.on('close', releaseAddress);
    }
    watchFrames?.(conn);
    heartbeat.add(conn as unknown as PingedConnection);
    releaseHandshakeRequest(conn);
  });
  io.engine.on('connection_error', ({ code, message, req }: { code: number; message: string; req?: IncomingMessage }) => {
    const logMessage =
      code === UNKNOWN_SID_CODE
        ? 'somebody polls who is not known here: since a restart, or because the balancer is not sticky'
        : 'a connection was refused';
    log.info({ code, message, address: req && addressLimiterOf(req)?.name }, logMessage);
  });
  io.use((socket, next) => {
    void admitSocket(socket).then(next);
  });

  /** Never rejects; resolves with the error that refuses the socket. */
  async function admitSocket(socket: ChatSocket): Promise<Error | undefined> {
    const conn: HandshakeConn = socket.conn;
    const { auth } = socket.handshake;
    // From here on a second CONNECT closes the connection, also before this one is answered.
    conn[IS_CONNECTED] = true;
    try {
      const state = conn[HANDSHAKE_STATE];
      const peer = new SocketIoPeer(transport, socket);
      const isOffsetClient = canUseOffsets(auth, state?.isJavaScript);
      socket.data = await node.admit(peer, { auth }, { address: state?.address, canUseOffsets: isOffsetClient });
      const { session, author } = socket.data.identity;
      // The library of a plain client shows it when it reconnects.
      const pid = await node.recoveryTokens.seal(session);
      Object.assign(socket, { pid });
      if (state && conn.readyState === 'open') admit(state, author);
      return undefined;
    } catch (error) {
      conn[IS_CONNECTED] = false;
      const refusal = toChatError(error, { log, message: 'a connection could not be admitted' });
      // For a plain client the answer would be final, while it connects again by itself after a connection that was closed.
      if (refusal.retryable && !canRetryItself(auth)) conn.close();
      return toConnectError(refusal);
    }
  }

  /** Throws the refusal. */
  function admit(state: HandshakeState, author: string): void {
    if (state.author !== undefined) return;
    const { address, refusal } = state;
    const reason = address.admit(author, refusal?.reason);
    if (reason && refusal) logRefusal(reason.code, refusal.request);
    if (reason) throw reason;
    state.author = author;
    state.refusal = undefined;
  }

  return { close: () => heartbeat.close() };
}

/** Who was let in is not let in again here: rates are those of a connection, and would begin anew. */
function limitConnects(this: HandshakeConn, data: unknown): void {
  if (typeof data !== 'string' || !data.startsWith('0')) return;
  this[CONNECT_COUNT] = (this[CONNECT_COUNT] ?? 0) + 1;
  // Those to other namespaces begin with the name.
  if (this[CONNECT_COUNT] > MAX_CONNECT_PACKETS || (this[IS_CONNECTED] && data[1] !== '/')) this.close(true);
}

function releaseAddress(this: HandshakeConn): void {
  const state = this[HANDSHAKE_STATE];
  state?.address.removeConnection(state.author);
}

/** Whether a client that is refused for now reads why, and comes back by itself when it may. */
const canRetryItself = (auth: unknown): boolean => (auth as { retries?: unknown } | undefined)?.retries === true;

/** Socket.IO sends the `data` of an error that a middleware refuses a connection with. */
const toConnectError = (refusal: ChatError): Error & { data: object } =>
  Object.assign(new Error(refusal.message), { data: refusal.toPayload() });
