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

/** Engine.IO's error code for a polling request with an unknown session id. */
const UNKNOWN_SID_CODE = 1;
/** Maximum of CONNECT packets of one connection: a client needs one, and the server answers each, even if it refuses it. */
const MAX_CONNECT_PACKETS = 10;

interface HandshakeState {
  address: AddressLimiter;
  /** Refuses the connection, unless its session is known at this address. */
  refusal: { reason: ChatError; request: IncomingMessage } | undefined;
  /** The author of the admitted connection. */
  author?: string;
  isJavaScript: boolean;
}

const HANDSHAKE_STATE = Symbol('handshake state');
const CONNECT_COUNT = Symbol('connect count');
const IS_CONNECTED = Symbol('a CONNECT was accepted, or is being answered');

/**
 * The state of a connection is in fields of the connection, and its listeners are shared: a closure costs more memory than a
 * number.
 */
type HandshakeConn = Socket['conn'] & { [HANDSHAKE_STATE]?: HandshakeState; [CONNECT_COUNT]?: number; [IS_CONNECTED]?: boolean };

interface HandshakeOptions {
  node: ChatNode;
  transport: SocketIoTransport;
  log: RateLimitedLog;
  logRefusal: RefusalLog;
}

/**
 * Counts every connection at its address from its first byte to its last, and gives each admitted one a `Connection` with an
 * identity.
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
    // The client may have disconnected already. Then no 'close' follows, and the state below would never be released.
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
        ? 'a polling request has an unknown session id: after a restart, or because the load balancer is not sticky'
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
    // From now on a second CONNECT closes the connection, even if this one is not answered yet.
    conn[IS_CONNECTED] = true;
    try {
      const state = conn[HANDSHAKE_STATE];
      const peer = new SocketIoPeer(transport, socket);
      const isOffsetClient = canUseOffsets(auth, state?.isJavaScript);
      socket.data = await node.admit(peer, { auth }, { address: state?.address, canUseOffsets: isOffsetClient });
      const { session, author } = socket.data.identity;
      if (state && conn.readyState === 'open') admit(state, author);
      // The library of a plain Socket.IO client sends it when it reconnects.
      const pid = await node.recoveryTokens.seal(session);
      Object.assign(socket, { pid });
      return undefined;
    } catch (error) {
      conn[IS_CONNECTED] = false;
      const refusal = toChatError(error, { log, message: 'a connection could not be admitted' });
      // An error would be final for a plain Socket.IO client, but it reconnects by itself after a closed connection.
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

/**
 * An admitted client must not connect again on the same connection: rate limits belong to the connection, and would begin anew.
 */
function limitConnects(this: HandshakeConn, data: unknown): void {
  if (typeof data !== 'string' || !data.startsWith('0')) return;
  this[CONNECT_COUNT] = (this[CONNECT_COUNT] ?? 0) + 1;
  // Packets of other namespaces begin with the name of the namespace.
  if (this[CONNECT_COUNT] > MAX_CONNECT_PACKETS || (this[IS_CONNECTED] && data[1] !== '/')) this.close(true);
}

function releaseAddress(this: HandshakeConn): void {
  const state = this[HANDSHAKE_STATE];
  state?.address.removeConnection(state.author);
}

/** Whether the client can read a temporary refusal and reconnect by itself. */
const canRetryItself = (auth: unknown): boolean => (auth as { retries?: unknown } | undefined)?.retries === true;

/** Socket.IO sends the `data` of an error with which a middleware refuses a connection. */
const toConnectError = (refusal: ChatError): Error & { data: object } =>
  Object.assign(new Error(refusal.message), { data: refusal.toPayload() });
