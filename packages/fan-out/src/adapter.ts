import type { Namespace, Socket } from 'socket.io';
import { Adapter, type BroadcastOptions, type Room as RoomName, type SocketId } from 'socket.io-adapter';
import { type Frame, frameOf, type Packet } from './frame.ts';
import { clock, Line } from './line.ts';
import { Room } from './room.ts';

export interface FanOutOptions {
  /** Who is sent more than he reads. Without it he is sent everything, up to `mostWaiting`. */
  slow?: {
    /** Bytes that wait for one socket before it is slow. */
    bytes: number;
    /**
     * Called after everything that was emitted so far went out to the socket, whenever something emitted to the room did and
     * too much waits. Whoever takes the socket out of the room here knows exactly what it was sent.
     */
    tell: (socket: Socket, room: string) => void;
  };
  /** Bytes that wait for one socket before its connection is closed. */
  mostWaiting?: number;
}

const MOST_WAITING = 16 * 1024 * 1024;
/** The room of all sockets. */
const EVERYBODY = Symbol('everybody');
type Name = RoomName | typeof EVERYBODY;

/** An adapter for `io.adapter`. */
export const fanOut = (options: FanOutOptions = {}): typeof FanOutAdapter =>
  class extends FanOutAdapter {
    constructor(namespace: Namespace) {
      super(namespace, options);
    }
  };

/**
 * Socket.IO's in-memory adapter, whose messages to a room wait for each other a moment and go to each socket together. What
 * a client receives is the same, event by event and in order.
 */
export class FanOutAdapter extends Adapter {
  declare readonly nsp: Namespace;
  readonly #options: FanOutOptions;
  readonly #rooms = new Map<Name, Room>();
  readonly #lines = new Map<SocketId, Line>();
  /** Lines of connections that were not seen yet to announce what they send. As long as there is one, nothing waits. */
  readonly #unheard = new Set<Line>();

  constructor(namespace: Namespace, options: FanOutOptions = {}) {
    super(namespace);
    this.#options = options;
    this.on('delete-room', (room: RoomName) => void this.#rooms.delete(room));
  }

  override addAll(id: SocketId, rooms: Set<RoomName>): Promise<void> | void {
    this.#lineOf(id)?.flush();
    return super.addAll(id, rooms);
  }

  override del(id: SocketId, room: RoomName): Promise<void> | void {
    this.#lines.get(id)?.flush();
    return super.del(id, room);
  }

  override delAll(id: SocketId): void {
    const line = this.#lines.get(id);
    line?.flush();
    super.delAll(id);
    if (!line) return;
    this.#lines.delete(id);
    this.#unheard.delete(line);
    line.remove(id);
  }

  override broadcast(packet: Packet, options: BroadcastOptions): void {
    const name = this.#nameOf(options);
    // A room that nobody is in costs nothing.
    if (name !== undefined && name !== EVERYBODY && !this.rooms.has(name)) return;
    const frame = name !== undefined && this.#isHeard() ? this.#frameOf(packet, options) : undefined;
    if (name === undefined || !frame) super.broadcast(packet, options);
    else this.#roomOf(name).add(frame);
  }

  override close(): void {
    for (const line of this.#lines.values()) line.flush();
  }

  /** Bytes that wait for a socket: in Engine.IO, in ws and in the stream below. */
  waitingFor(id: SocketId): number {
    return this.#lines.get(id)?.waiting ?? 0;
  }

  /** Undefined where it takes the ordinary path. */
  #nameOf({ rooms, except, flags }: BroadcastOptions): Name | undefined {
    if (rooms.size > 1 || (except && except.size > 0) || flags?.volatile) return undefined;
    for (const room of rooms) return this.nsp.sockets.has(room) ? undefined : room;
    return EVERYBODY;
  }

  #isHeard(): boolean {
    for (const line of this.#unheard) {
      if (!line.isHeard) return false;
      this.#unheard.delete(line);
    }
    return true;
  }

  /** Undefined when there is more to it than text. */
  #frameOf(packet: Packet, { flags }: BroadcastOptions): Frame | undefined {
    packet.nsp = this.nsp.name;
    const [text, ...attachments] = encoderOf(this.nsp).encode(packet);
    if (typeof text !== 'string' || attachments.length > 0) return undefined;
    const bytes = frameOf(text);
    clock.newest += 1;
    const packetOptions = { preEncoded: true, compress: flags?.compress, wsPreEncodedFrame: [bytes] } satisfies Frame['options'];
    return { number: clock.newest, bytes, encoded: [text], options: packetOptions, packet };
  }

  #roomOf(name: Name): Room {
    const known = this.#rooms.get(name);
    if (known) return known;
    const members = (): Iterable<SocketId> => (name === EVERYBODY ? this.sids.keys() : (this.rooms.get(name) ?? []));
    const room = new Room({ members, send: (id) => this.#send(id, name) });
    this.#rooms.set(name, room);
    return room;
  }

  #send(id: SocketId, room: Name): void {
    const line = this.#lines.get(id);
    if (!line) return;
    line.flush();
    const { slow, mostWaiting = MOST_WAITING } = this.#options;
    const { waiting } = line;
    if (waiting > mostWaiting) line.close();
    else if (slow && waiting > slow.bytes && room !== EVERYBODY) this.#tellSlow(id, room, slow.tell);
  }

  #tellSlow(id: SocketId, room: RoomName, tell: (socket: Socket, room: string) => void): void {
    const socket = this.nsp.sockets.get(id);
    if (socket) tell(socket, room);
  }

  /** As the ordinary adapter, which sends to nobody before he is connected. */
  #lineOf(id: SocketId): Line | undefined {
    const known = this.#lines.get(id);
    const socket = this.nsp.sockets.get(id);
    if (known || !socket) return known;
    const line = Line.to(socket);
    line.add({ id, socket, roomsAfter: (number) => this.#roomsAfter(id, number) });
    this.#lines.set(id, line);
    if (!line.isHeard) this.#unheard.add(line);
    return line;
  }

  #roomsAfter(id: SocketId, number: number): Room[] {
    const found: Room[] = [];
    const names = this.sids.get(id);
    if (!names) return found;
    const everybody = this.#rooms.get(EVERYBODY);
    if (everybody && everybody.newest > number) found.push(everybody);
    for (const name of names) {
      const room = this.#rooms.get(name);
      if (room && room.newest > number) found.push(room);
    }
    return found;
  }
}

interface Encoder {
  encode(packet: Packet): (string | Buffer)[];
}

/** What Socket.IO was told to encode with. */
const encoderOf = (namespace: Namespace): Encoder => (namespace.server as unknown as { encoder: Encoder }).encoder;
