/**
 * Reduces the memory of idle connections: releases what only the handshake needed, and compacts the rest.
 *
 * Connections may be idle for hours. The fields that are changed here are private to engine.io 6.6, socket.io 4.8 and ws 8: each
 * is checked first, and a connection that looks different is left alone at the price of its memory.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'socket.io';
import { ignoreError } from '../http/http-gate.ts';

type Listener = (...args: unknown[]) => void;

interface WebSocketTransport extends EventEmitter {
  socket?: EventEmitter & { _socket?: EventEmitter; _receiver?: { _buffers: unknown } };
}

/** A connection of Engine.IO. */
interface EngineConnection extends EventEmitter {
  request: IncomingMessage | null;
  transport: WebSocketTransport;
  cleanupFn: unknown;
  sentCallbackFn: unknown;
}

/** A socket of Socket.IO. */
interface SocketInternals extends EventEmitter {
  pid: string | undefined;
  acks: unknown;
  _anyListeners: unknown;
  conn: EngineConnection;
  client: { decoder?: { _callbacks?: { $decoded?: unknown } } };
}

/**
 * Once it is open and everybody listens to it. Nobody asks for its request any more: Socket.IO copies parts of it into its
 * `handshake`, and does without where there is none, as with WebTransport.
 */
export function releaseHandshakeRequest(conn: Socket['conn']): void {
  const connection = conn as unknown as EngineConnection;
  connection.request = null;
  compactTransport.call(connection);
  connection.on('upgrade', compactTransport);
  compactListeners(connection);
}

/** Listeners that waited for the opening hold the request, too. Each is known by its name or its text. */
function compactTransport(this: EngineConnection): void {
  const { transport } = this;
  const { socket: webSocket } = transport;
  if (!webSocket) return;
  // The headers of responses: a WebSocket has no more of them.
  transport.removeAllListeners('headers');
  // From now on errors are the transport's.
  removeListeners(webSocket, 'error', ({ name }) => name === 'onUpgradeError');
  const { _socket: tcpSocket } = webSocket;
  if (tcpSocket) {
    tcpSocket.off('error', ignoreError);
    // Tells the middlewares of the handshake, of which there are none, that its response is done.
    removeListeners(tcpSocket, 'close', (listener) => listener.name === '' && String(listener) === '() => this.emit("close")');
  }
  compactListeners(transport);
  compactListeners(webSocket);
  this.cleanupFn = compactArray(this.cleanupFn);
  if (webSocket._receiver) webSocket._receiver._buffers = compactEmptyArray(webSocket._receiver._buffers);
}

function removeListeners(emitter: EventEmitter, event: string, matches: (listener: Listener) => boolean): void {
  for (const listener of emitter.listeners(event) as Listener[]) if (matches(listener)) emitter.off(event, listener);
}

const NO_HANDSHAKE = Object.freeze({ auth: Object.freeze({}) }) as unknown as Socket['handshake'];

/** What the client showed was looked at: up to a frame of whatever it sent. */
export function clearHandshake(socket: Socket): void {
  (socket as { handshake: Socket['handshake'] }).handshake = NO_HANDSHAKE;
}

/** Nothing is sent here with an acknowledgement by the client, so there is none to wait for, whatever clients send. */
class NoAcknowledgements extends Map<number, Listener> {
  override set(): never {
    throw new Error('Clients are asked for no acknowledgements.');
  }
}
const NO_ACKNOWLEDGEMENTS = new NoAcknowledgements();

/** Once the client has come in, and everybody listens to it. */
export function compactSocket(socket: Socket): void {
  const internals = socket as unknown as SocketInternals;
  // It was sent to the client, who will show it; by then there is another socket.
  internals.pid = undefined;
  if (internals.acks instanceof Map && internals.acks.size === 0) internals.acks = NO_ACKNOWLEDGEMENTS;
  internals._anyListeners = compactArray(internals._anyListeners);
  const { _callbacks: callbacks } = internals.client.decoder ?? {};
  internals.conn.sentCallbackFn = compactEmptyArray(internals.conn.sentCallbackFn);
  if (callbacks?.$decoded) callbacks.$decoded = compactArray(callbacks.$decoded);
  compactListeners(internals);
}

/** An array that grew by `push` has room for sixteen more. */
const compactArray = <Of>(array: Of): Of => (Array.isArray(array) ? (array.slice() as Of) : array);

/** An empty one with room for one item, which is all that comes and goes in it while little happens. */
function compactEmptyArray<Of>(array: Of): Of {
  if (!Array.isArray(array) || array.length > 0) return array;
  const compact = [undefined];
  compact.pop();
  return compact as Of;
}

const EMPTY_PROTOTYPE = Object.freeze(Object.create(null) as object);

/**
 * The listeners of an emitter by their events. Node keeps them in an object without a prototype, which is a hash table in
 * V8; the same with an empty one takes a quarter. Events have names that clients choose: nothing may be found but listeners.
 */
function compactListeners(emitter: EventEmitter): void {
  const withEvents = emitter as unknown as { _events?: Record<string, unknown> };
  const { _events: events } = withEvents;
  if (!events || Object.getPrototypeOf(events) !== null) return;
  const compacted = Object.create(EMPTY_PROTOTYPE) as typeof events;
  for (const [event, listeners] of Object.entries(events)) {
    const transform = event === 'close' || event === 'error' ? unwrapOnce : identity;
    compacted[event] = Array.isArray(listeners) ? (listeners as unknown[]).map(transform) : transform(listeners);
  }
  withEvents._events = compacted;
}

const identity = (listener: unknown): unknown => listener;

/**
 * Who listens once is wrapped in three objects. Nothing is closed twice, and what failed is closed: there is no second
 * time. Whoever takes his listener away finds it as before.
 */
const unwrapOnce = (listener: unknown): unknown => (listener as { listener?: unknown }).listener ?? listener;
