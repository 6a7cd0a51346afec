/** The connection writer: flushes pending room messages to one connection, in order. */
import type { Socket } from 'socket.io';
import {
  createFrameWriter,
  type EngineConnection,
  type FrameWriter,
  notifyOutgoing,
  type SocketIoClient,
  socketIoClientOf,
} from './private-apis.ts';
import { concatFrames, type RoomBatch } from './room-batch.ts';
import type { Frame } from './websocket-frame.ts';

/** An estimate of a packet's memory in Engine.IO's buffer, without its text. */
const PACKET_OVERHEAD_BYTES = 256;

/** Numbers the messages to rooms. */
export const frameCounter = { last: 0 };

/** The socket of one namespace on the connection. */
interface NamespaceSocket {
  id: string;
  socket: Socket;
  /** Its rooms with messages after this number. */
  batchesAfter: (number: number) => RoomBatch[];
}

const writers = new WeakMap<EngineConnection, ConnectionWriter>();

/** Keeps the order: pending room messages are written before any other packet of the connection. */
function flushBeforePacket(this: EngineConnection): void {
  const writer = writers.get(this);
  if (!writer) return;
  writer.announcesPackets = true;
  writer.flush();
}

/** Pending room messages are also written before the server closes the connection. */
function flushAndClose(this: EngineConnection, discard?: boolean): void {
  writers.get(this)?.flush();
  (Object.getPrototypeOf(this) as EngineConnection).close.call(this, discard);
}

/**
 * Writes to one client. All messages to its rooms up to `#lastFlushed` are written, and none after it. So the order is preserved
 * if it is flushed before anything else happens to the connection: another packet, a join, a leave.
 */
export class ConnectionWriter {
  /** Whether the connection has emitted `packetCreate` before a packet: only then is flushing in time certain. */
  announcesPackets = false;
  readonly #client: SocketIoClient;
  readonly #connection: EngineConnection;
  /** Almost always one. */
  readonly #sockets: NamespaceSocket[] = [];
  #lastFlushed = frameCounter.last;
  #transport: EngineConnection['transport'] | undefined;
  #frameWriter: FrameWriter | undefined;

  private constructor(client: SocketIoClient) {
    this.#client = client;
    this.#connection = client.conn;
  }

  static forSocket(socket: Socket): ConnectionWriter {
    const client = socketIoClientOf(socket);
    const existing = writers.get(client.conn);
    if (existing) return existing;
    const writer = new ConnectionWriter(client);
    writers.set(client.conn, writer);
    client.conn.on('packetCreate', flushBeforePacket);
    client.conn.close = flushAndClose;
    return writer;
  }

  /** Bytes that wait until the client reads. */
  get bufferedBytes(): number {
    let bytes = this.#frameWriterFor(this.#connection.transport)?.bufferedAmount ?? 0;
    for (const { data } of this.#connection.writeBuffer) bytes += (data?.length ?? 0) + PACKET_OVERHEAD_BYTES;
    return bytes;
  }

  /** Messages that were emitted before are not for this socket. */
  addSocket(socket: NamespaceSocket): void {
    this.flush();
    this.#sockets.push(socket);
  }

  removeSocket(id: string): void {
    const index = this.#sockets.findIndex((place) => place.id === id);
    if (index >= 0) this.#sockets.splice(index, 1);
  }

  close(): void {
    this.#connection.close(true);
  }

  /** Writes the messages to its rooms since the last flush. */
  flush(): void {
    const after = this.#lastFlushed;
    if (after === frameCounter.last) return;
    this.#lastFlushed = frameCounter.last;
    const batches = this.#batchesAfter(after);
    if (batches.length === 0) return;
    const listeners = this.#outgoingListeners(after);
    this.#write(batches, after);
    for (const { socket, frames } of listeners) for (const { packet } of frames) notifyOutgoing(socket, packet);
  }

  #write(batches: RoomBatch[], after: number): void {
    const [only] = batches;
    const writer = this.#usableFrameWriter();
    if (!writer) for (const { encoded, options } of framesOf(batches, after)) this.#client.writeToEngine(encoded, options);
    else if (only && batches.length === 1) writer.write(only.bytesAfter(after));
    else writer.write(concatFrames(framesOf(batches, after)));
  }

  /**
   * Undefined if Socket.IO's own path must be taken: packets wait in Engine.IO's buffer and go first, or an upgrade replaces the
   * transport.
   */
  #usableFrameWriter(): FrameWriter | undefined {
    const { transport, readyState, upgrading, writeBuffer } = this.#connection;
    const writer = this.#frameWriterFor(transport);
    const mayWrite = writer?.isOpen && readyState === 'open' && !upgrading && writeBuffer.length === 0;
    return mayWrite ? writer : undefined;
  }

  #frameWriterFor(transport: EngineConnection['transport']): FrameWriter | undefined {
    if (transport !== this.#transport) {
      this.#transport = transport;
      this.#frameWriter = createFrameWriter(transport);
    }
    return this.#frameWriter;
  }

  #batchesAfter(after: number): RoomBatch[] {
    let batches: RoomBatch[] | undefined;
    for (const place of this.#sockets) {
      const own = place.batchesAfter(after);
      batches = batches ? batches.concat(own) : own;
    }
    return batches ?? [];
  }

  #outgoingListeners(after: number): OutgoingListener[] {
    let listeners: OutgoingListener[] = NO_LISTENERS;
    for (const { socket, batchesAfter } of this.#sockets) {
      if (socket.listenersAnyOutgoing().length > 0) listeners = [...listeners, { socket, frames: framesOf(batchesAfter(after), after) }];
    }
    return listeners;
  }
}

interface OutgoingListener {
  socket: Socket;
  frames: Frame[];
}

const NO_LISTENERS: OutgoingListener[] = [];

/** The frames of all batches after the number, in the order in which they were emitted. */
function framesOf(batches: RoomBatch[], after: number): Frame[] {
  const frames = batches.flatMap((room) => room.framesAfter(after));
  return batches.length > 1 ? frames.sort((a, b) => a.number - b.number) : frames;
}
