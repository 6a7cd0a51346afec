/**
 * Everything that this package takes for granted of Socket.IO, Engine.IO and ws beyond what they document. Nothing else
 * of theirs is touched. What is not found as it is described here is not used: the ordinary path sends instead.
 */
import type { EventEmitter } from 'node:events';
import type { Socket } from 'socket.io';
import type { Packet, PacketOptions } from './websocket-frame.ts';

/**
 * Engine.IO's connection. `packetCreate` is documented: it is emitted before anything at all is sent over the connection,
 * be it an event, an acknowledgement or a ping. That it is, is seen by the first packet of every connection: see `Line`.
 */
export interface EngineConnection extends EventEmitter {
  readonly readyState: string;
  readonly upgrading: boolean;
  /** What waits until the transport takes more. */
  readonly writeBuffer: readonly { data?: string | Buffer }[];
  readonly transport: EngineTransport;
  /** Documented; made to flush before, which is all that is changed of any object of theirs. */
  close: (discard?: boolean) => void;
}

interface EngineTransport {
  readonly name: string;
  /** Set where messages are compressed: their frames are not the same for everybody. */
  readonly perMessageDeflate?: unknown;
  /** Of a WebSocket transport: the connection of ws. */
  readonly socket?: Partial<WebSocketConnection>;
}

/** A connection of ws, versions 8. */
interface WebSocketConnection {
  readonly readyState: number;
  /** Bytes that wait for the system to take them. */
  readonly bufferedAmount: number;
  /** Engine.IO sends frames that were made before by this, too. A list of one is one write. */
  readonly _sender: { sendFrame(list: [Buffer]): void };
}

/** Socket.IO's adapters send by this. */
export interface SocketIoClient {
  readonly conn: EngineConnection;
  writeToEngine(encoded: [string], options: PacketOptions): void;
}

/** Bytes that are frames already go out here. */
export interface FrameWriter {
  readonly bufferedAmount: number;
  /** False when this may not be written to now. */
  readonly isOpen: boolean;
  write(frames: Buffer): void;
}

const OPEN = 1;

export const socketIoClientOf = (socket: Socket): SocketIoClient => socket.client as unknown as SocketIoClient;

/** The listeners to what is sent to a socket, told as Socket.IO's adapter would. */
export function notifyOutgoing(socket: Socket, packet: Packet): void {
  (socket as unknown as { notifyOutgoingListeners(packet: Packet): void }).notifyOutgoingListeners(packet);
}

/** Undefined for whatever is not a plain WebSocket as it is known here. */
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
