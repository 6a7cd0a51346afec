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

/** What a packet takes in Engine.IO's buffer beside its text. */
const PACKET_OVERHEAD_BYTES = 256;

/** Numbers the messages to rooms. */
export const frameCounter = { last: 0 };

/** A socket of one namespace on the line. */
interface NamespaceSocket {
  id: string;
  socket: Socket;
  /** Its rooms that have something newer to write. */
  batchesAfter: (number: number) => RoomBatch[];
}

const writers = new WeakMap<EngineConnection, ConnectionWriter>();

/** Before anything else is sent over a connection, what was emitted to its rooms goes out. */
function flushBeforePacket(this: EngineConnection): void {
  const writer = writers.get(this);
  if (!writer) return;
  writer.announcesPackets = true;
  writer.flush();
}

/** Nor is it lost when the server ends the connection. */
function flushAndClose(this: EngineConnection, discard?: boolean): void {
  writers.get(this)?.flush();
  (Object.getPrototypeOf(this) as EngineConnection).close.call(this, discard);
}

/**
 * The way to one client. Everything that was emitted to its rooms up to a number is written, and nothing after: so whatever
 * else happens to it (another packet, a join, a leave) need only have it flushed before, and all order is kept.
 */
export class ConnectionWriter {
  /** Whether the connection was seen to announce a packet before it sends it. */
  announcesPackets = false;
  readonly #client: SocketIoClient;
  readonly #connection: EngineConnection;
  /** Nearly always one. */
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

  /** What was emitted before is not for this socket. */
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

  /** Writes what was emitted to its rooms since it was flushed last. */
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

  /** Undefined where the ordinary path must be taken: what waits in Engine.IO goes first, and an upgrade changes the transport. */
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

/** What was emitted to the rooms since, in the order in which it was. */
function framesOf(batches: RoomBatch[], after: number): Frame[] {
  const frames = batches.flatMap((room) => room.framesAfter(after));
  return batches.length > 1 ? frames.sort((a, b) => a.number - b.number) : frames;
}
