/** A Socket.IO adapter that coalesces the messages of a room into one write for each socket. */
import type { Namespace, Socket } from 'socket.io';
import { Adapter, type BroadcastOptions, type Room as RoomName, type SocketId } from 'socket.io-adapter';
import { ConnectionWriter, frameCounter } from './connection-writer.ts';
import { RoomBatch } from './room-batch.ts';
import { encodeTextFrame, type Frame, type Packet } from './websocket-frame.ts';

export interface CoalescingAdapterOptions {
  /** Handling of slow consumers. Without it everything is sent, up to `maxBufferedBytes`. */
  slowConsumer?: {
    /** Buffered bytes of one socket above which it is slow. */
    thresholdBytes: number;
    /**
     * Called after a message to the room was written to the socket, if too many bytes are buffered. Everything that was emitted
     * so far has been written by then: a listener that removes the socket from the room here knows exactly what it was sent.
     */
    onSlow: (socket: Socket, room: string) => void;
  };
  /** Buffered bytes of one socket above which its connection is closed; 16 MiB by default. */
  maxBufferedBytes?: number;
}

const DEFAULT_MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
/** Stands for all sockets of the namespace. */
const ALL_SOCKETS = Symbol('all sockets');
type RoomKey = RoomName | typeof ALL_SOCKETS;

/** Creates an adapter for the option `adapter` of a Socket.IO server. */
export const createAdapter = (options: CoalescingAdapterOptions = {}): typeof CoalescingAdapter =>
  class extends CoalescingAdapter {
    constructor(namespace: Namespace) {
      super(namespace, options);
    }
  };

/**
 * Socket.IO's in-memory adapter, except that messages to a room wait for each other for a moment and are written to each socket
 * together. Each client receives the same events in the same order.
 */
export class CoalescingAdapter extends Adapter {
  declare readonly nsp: Namespace;
  readonly #options: CoalescingAdapterOptions;
  readonly #batches = new Map<RoomKey, RoomBatch>();
  readonly #writers = new Map<SocketId, ConnectionWriter>();
  /** Writers whose connections have not emitted `packetCreate` yet. While there is one, nothing is coalesced. */
  readonly #unverified = new Set<ConnectionWriter>();

  constructor(namespace: Namespace, options: CoalescingAdapterOptions = {}) {
    super(namespace);
    this.#options = options;
    this.on('delete-room', (room: RoomName) => void this.#batches.delete(room));
  }

  override addAll(id: SocketId, rooms: Set<RoomName>): Promise<void> | void {
    this.#writerFor(id)?.flush();
    return super.addAll(id, rooms);
  }

  override del(id: SocketId, room: RoomName): Promise<void> | void {
    this.#writers.get(id)?.flush();
    return super.del(id, room);
  }

  override delAll(id: SocketId): void {
    const writer = this.#writers.get(id);
    writer?.flush();
    super.delAll(id);
    if (!writer) return;
    this.#writers.delete(id);
    this.#unverified.delete(writer);
    writer.removeSocket(id);
  }

  override broadcast(packet: Packet, options: BroadcastOptions): void {
    const key = this.#roomKeyOf(options);
    // A room without sockets needs no encoding.
    if (key !== undefined && key !== ALL_SOCKETS && !this.rooms.has(key)) return;
    const frame = key !== undefined && this.#canCoalesce() ? this.#encodeFrame(packet, options) : undefined;
    if (key === undefined || !frame) super.broadcast(packet, options);
    else this.#batchFor(key).add(frame);
  }

  override close(): void {
    for (const writer of this.#writers.values()) writer.flush();
  }

  /** Bytes that are buffered for a socket: in Engine.IO, in ws and in the stream below it. */
  bufferedBytesOf(id: SocketId): number {
    return this.#writers.get(id)?.bufferedBytes ?? 0;
  }

  /** Undefined if the message takes Socket.IO's own path. */
  #roomKeyOf({ rooms, except, flags }: BroadcastOptions): RoomKey | undefined {
    if (rooms.size > 1 || (except && except.size > 0) || flags?.volatile) return undefined;
    for (const room of rooms) return this.nsp.sockets.has(room) ? undefined : room;
    return ALL_SOCKETS;
  }

  #canCoalesce(): boolean {
    for (const writer of this.#unverified) {
      if (!writer.announcesPackets) return false;
      this.#unverified.delete(writer);
    }
    return true;
  }

  /** Undefined if the packet has attachments. */
  #encodeFrame(packet: Packet, { flags }: BroadcastOptions): Frame | undefined {
    packet.nsp = this.nsp.name;
    const [text, ...attachments] = encoderOf(this.nsp).encode(packet);
    if (typeof text !== 'string' || attachments.length > 0) return undefined;
    const bytes = encodeTextFrame(text);
    frameCounter.last += 1;
    const packetOptions = { preEncoded: true, compress: flags?.compress, wsPreEncodedFrame: [bytes] } satisfies Frame['options'];
    return { number: frameCounter.last, bytes, encoded: [text], options: packetOptions, packet };
  }

  #batchFor(key: RoomKey): RoomBatch {
    const existing = this.#batches.get(key);
    if (existing) return existing;
    const socketIds = (): Iterable<SocketId> => (key === ALL_SOCKETS ? this.sids.keys() : (this.rooms.get(key) ?? []));
    const batch = new RoomBatch({ getSocketIds: socketIds, flushSocket: (id) => this.#flushSocket(id, key) });
    this.#batches.set(key, batch);
    return batch;
  }

  #flushSocket(id: SocketId, room: RoomKey): void {
    const writer = this.#writers.get(id);
    if (!writer) return;
    writer.flush();
    const { slowConsumer, maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES } = this.#options;
    const { bufferedBytes } = writer;
    if (bufferedBytes > maxBufferedBytes) writer.close();
    else if (slowConsumer && bufferedBytes > slowConsumer.thresholdBytes && room !== ALL_SOCKETS)
      this.#notifySlow(id, room, slowConsumer.onSlow);
  }

  #notifySlow(id: SocketId, room: RoomName, onSlow: (socket: Socket, room: string) => void): void {
    const socket = this.nsp.sockets.get(id);
    if (socket) onSlow(socket, room);
  }

  /** Undefined until the socket is connected: the original adapter sends it nothing before either. */
  #writerFor(id: SocketId): ConnectionWriter | undefined {
    const existing = this.#writers.get(id);
    const socket = this.nsp.sockets.get(id);
    if (existing || !socket) return existing;
    const writer = ConnectionWriter.forSocket(socket);
    writer.addSocket({ id, socket, batchesAfter: (number) => this.#batchesAfter(id, number) });
    this.#writers.set(id, writer);
    if (!writer.announcesPackets) this.#unverified.add(writer);
    return writer;
  }

  #batchesAfter(id: SocketId, number: number): RoomBatch[] {
    const batches: RoomBatch[] = [];
    const names = this.sids.get(id);
    if (!names) return batches;
    const all = this.#batches.get(ALL_SOCKETS);
    if (all && all.lastNumber > number) batches.push(all);
    for (const name of names) {
      const batch = this.#batches.get(name);
      if (batch && batch.lastNumber > number) batches.push(batch);
    }
    return batches;
  }
}

interface Encoder {
  encode(packet: Packet): (string | Buffer)[];
}

/** The encoder that the Socket.IO server was configured with. */
const encoderOf = (namespace: Namespace): Encoder => (namespace.server as unknown as { encoder: Encoder }).encoder;
