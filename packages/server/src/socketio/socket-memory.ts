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

/** The fields of an Engine.IO connection that are used here. */
interface EngineConnection extends EventEmitter {
  request: IncomingMessage | null;
  transport: WebSocketTransport;
  cleanupFn: unknown;
  sentCallbackFn: unknown;
}

/** The fields of a Socket.IO socket that are used here. */
interface SocketInternals extends EventEmitter {
  pid: string | undefined;
  acks: unknown;
  _anyListeners: unknown;
  conn: EngineConnection;
  client: { decoder?: { _callbacks?: { $decoded?: unknown } } };
}

/**
 * Call this when the connection is open and all listeners are set. The request is not needed any more: Socket.IO copies parts of
 * it into its `handshake`, and works without it, as with WebTransport.
 */
export function releaseHandshakeRequest(conn: Socket['conn']): void {
  const connection = conn as unknown as EngineConnection;
  connection.request = null;
  compactTransport.call(connection);
  connection.on('upgrade', compactTransport);
  compactListeners(connection);
}

/** Listeners for the opening reference the request, too. They are recognized by name or source text. */
function compactTransport(this: EngineConnection): void {
  const { transport } = this;
  const { socket: webSocket } = transport;
  if (!webSocket) return;
  // Response headers: a WebSocket sends no more of them.
  transport.removeAllListeners('headers');
  // From now on the transport handles errors.
  removeListeners(webSocket, 'error', ({ name }) => name === 'onUpgradeError');
  const { _socket: tcpSocket } = webSocket;
  if (tcpSocket) {
    tcpSocket.off('error', ignoreError);
    // Ends the response for the middlewares of the handshake, of which there are none.
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

/** Clears the credentials after use: they may be as large as a frame. */
export function clearHandshake(socket: Socket): void {
  (socket as { handshake: Socket['handshake'] }).handshake = NO_HANDSHAKE;
}

/** The server never asks clients for acknowledgements, so no callbacks can wait for one. */
class NoAcknowledgements extends Map<number, Listener> {
  override set(): never {
    throw new Error('The server requests no acknowledgements from clients.');
  }
}
const NO_ACKNOWLEDGEMENTS = new NoAcknowledgements();

/** Call this when the client is connected and all listeners are set. */
export function compactSocket(socket: Socket): void {
  const internals = socket as unknown as SocketInternals;
  // The client has the `pid` now, and sends it with its next connection.
  internals.pid = undefined;
  if (internals.acks instanceof Map && internals.acks.size === 0) internals.acks = NO_ACKNOWLEDGEMENTS;
  internals._anyListeners = compactArray(internals._anyListeners);
  const { _callbacks: callbacks } = internals.client.decoder ?? {};
  internals.conn.sentCallbackFn = compactEmptyArray(internals.conn.sentCallbackFn);
  if (callbacks?.$decoded) callbacks.$decoded = compactArray(callbacks.$decoded);
  compactListeners(internals);
}

/** An array that grew by `push` reserves space for sixteen more items. */
const compactArray = <Of>(array: Of): Of => (Array.isArray(array) ? (array.slice() as Of) : array);

/** An empty array with space for one item: an idle connection needs no more. */
function compactEmptyArray<Of>(array: Of): Of {
  if (!Array.isArray(array) || array.length > 0) return array;
  const compact = [undefined];
  compact.pop();
  return compact as Of;
}

const EMPTY_PROTOTYPE = Object.freeze(Object.create(null) as object);

/**
 * A more compact object for the listeners of an emitter. Node uses an object without a prototype, which is a hash table in V8;
 * one with an empty prototype takes a quarter. Clients choose event names, so a lookup must find nothing but listeners.
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
 * Replaces `once` listeners, which are wrapped in three objects. The events occur only once: a connection is closed once, and an
 * error closes it. Listeners can be removed as before.
 */
const unwrapOnce = (listener: unknown): unknown => (listener as { listener?: unknown }).listener ?? listener;
