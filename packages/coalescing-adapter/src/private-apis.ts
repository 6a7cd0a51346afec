/**
 * The private APIs of Socket.IO, Engine.IO and ws that this package uses, checked before use. No other file depends on
 * undocumented behaviour. If an API does not have the shape described here, Socket.IO's own path is used instead.
 */
import type { EventEmitter } from 'node:events';
import type { Socket } from 'socket.io';
import type { Packet, PacketOptions } from './websocket-frame.ts';

/**
 * The connection of Engine.IO. `packetCreate` is documented: it is emitted before any packet is sent: an event, an
 * acknowledgement, a ping. `ConnectionWriter` does not rely on it until the connection has emitted one.
 */
export interface EngineConnection extends EventEmitter {
  readonly readyState: string;
  readonly upgrading: boolean;
  /** Packets that wait until the transport accepts more. */
  readonly writeBuffer: readonly { data?: string | Buffer }[];
  readonly transport: EngineTransport;
  /** Documented. It is replaced by a method that flushes first: the only change to an object of Engine.IO. */
  close: (discard?: boolean) => void;
}

interface EngineTransport {
  readonly name: string;
  /** Set if messages are compressed: then the frames differ between clients. */
  readonly perMessageDeflate?: unknown;
  /** The ws connection of a WebSocket transport. */
  readonly socket?: Partial<WebSocketConnection>;
}

/** A connection of ws 8. */
interface WebSocketConnection {
  readonly readyState: number;
  /** Bytes that wait for the operating system. */
  readonly bufferedAmount: number;
  /** Engine.IO uses it too, for pre-encoded frames. A list with one buffer is one write. */
  readonly _sender: { sendFrame(list: [Buffer]): void };
}

/** Adapters of Socket.IO send with `writeToEngine`. */
export interface SocketIoClient {
  readonly conn: EngineConnection;
  writeToEngine(encoded: [string], options: PacketOptions): void;
}

/** Writes bytes that are WebSocket frames already. */
export interface FrameWriter {
  readonly bufferedAmount: number;
  /** False if it must not be written to now. */
  readonly isOpen: boolean;
  write(frames: Buffer): void;
}

const OPEN = 1;

export const socketIoClientOf = (socket: Socket): SocketIoClient => socket.client as unknown as SocketIoClient;

/** Calls the socket's `onAnyOutgoing` listeners, as the adapter of Socket.IO does. */
export function notifyOutgoing(socket: Socket, packet: Packet): void {
  (socket as unknown as { notifyOutgoingListeners(packet: Packet): void }).notifyOutgoingListeners(packet);
}

/** Undefined if the transport is not a plain WebSocket of the expected shape. */
export function createFrameWriter({ name, perMessageDeflate, socket }: EngineTransport): FrameWriter | undefined {
  if (name !== 'websocket' || perMessageDeflate || !socket || !hasExpectedShape(socket)) return undefined;
  return new WsWriter(socket);
}

const hasExpectedShape = (socket: Partial<WebSocketConnection>): socket is WebSocketConnection =>
  typeof socket.readyState === 'number' && typeof socket.bufferedAmount === 'number' && typeof socket._sender?.sendFrame === 'function';

class WsWriter implements FrameWriter {
  readonly #socket: WebSocketConnection;

  constructor(socket: WebSocketConnection) {
    this.#socket = socket;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === OPEN;
  }

  write(frames: Buffer): void {
    this.#socket._sender.sendFrame([frames]);
  }
}
