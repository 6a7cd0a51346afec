import type { Socket } from 'socket.io';
import type { Frame } from './frame.ts';
import { clientOf, type EngineConnection, type FrameWriter, frameWriterOf, notifyOutgoing, type SocketIoClient } from './internals.ts';
import { joined, type Room } from './room.ts';

/** What a packet takes in Engine.IO's buffer beside its text. */
const PACKET_BYTES = 256;

/** Numbers the messages to rooms. */
export const clock = { newest: 0 };

/** A socket of one namespace on the line. */
interface Place {
  id: string;
  socket: Socket;
  /** Its rooms that have something newer to write. */
  roomsAfter: (number: number) => Room[];
}

const lines = new WeakMap<EngineConnection, Line>();

/** Before anything else is sent over a connection, what was emitted to its rooms goes out. */
function beforePacket(this: EngineConnection): void {
  const line = lines.get(this);
  if (!line) return;
  line.isHeard = true;
  line.flush();
}

/** Nor is it lost when the server ends the connection. */
function closeFlushed(this: EngineConnection, discard?: boolean): void {
  lines.get(this)?.flush();
  (Object.getPrototypeOf(this) as EngineConnection).close.call(this, discard);
}

/**
 * The way to one client. Everything that was emitted to its rooms up to a number is written, and nothing after: so whatever
 * else happens to it (another packet, a join, a leave) need only have it flushed before, and all order is kept.
 */
export class Line {
  /** Whether the connection was seen to announce a packet before it sends it. */
  isHeard = false;
  readonly #client: SocketIoClient;
  readonly #connection: EngineConnection;
  /** Nearly always one. */
  readonly #places: Place[] = [];
  #writtenUpTo = clock.newest;
  #transport: EngineConnection['transport'] | undefined;
  #writer: FrameWriter | undefined;

  private constructor(client: SocketIoClient) {
    this.#client = client;
    this.#connection = client.conn;
  }

  static to(socket: Socket): Line {
    const client = clientOf(socket);
    const known = lines.get(client.conn);
    if (known) return known;
    const line = new Line(client);
    lines.set(client.conn, line);
    client.conn.on('packetCreate', beforePacket);
    client.conn.close = closeFlushed;
    return line;
  }

  /** Bytes that wait until the client reads. */
  get waiting(): number {
    let waiting = this.#writerTo(this.#connection.transport)?.bufferedAmount ?? 0;
    for (const { data } of this.#connection.writeBuffer) waiting += (data?.length ?? 0) + PACKET_BYTES;
    return waiting;
  }

  /** What was emitted before is not for this socket. */
  add(place: Place): void {
    this.flush();
    this.#places.push(place);
  }

  remove(id: string): void {
    const index = this.#places.findIndex((place) => place.id === id);
    if (index >= 0) this.#places.splice(index, 1);
  }

  close(): void {
    this.#connection.close(true);
  }

  /** Writes what was emitted to its rooms since it was flushed last. */
  flush(): void {
    const after = this.#writtenUpTo;
    if (after === clock.newest) return;
    this.#writtenUpTo = clock.newest;
    const rooms = this.#roomsAfter(after);
    if (rooms.length === 0) return;
    const listening = this.#listening(after);
    this.#write(rooms, after);
    for (const { socket, frames } of listening) for (const { packet } of frames) notifyOutgoing(socket, packet);
  }

  #write(rooms: Room[], after: number): void {
    const [only] = rooms;
    const writer = this.#writerNow();
    if (!writer) for (const { encoded, options } of framesOf(rooms, after)) this.#client.writeToEngine(encoded, options);
    else if (only && rooms.length === 1) writer.write(only.bytesAfter(after));
    else writer.write(joined(framesOf(rooms, after)));
  }

  /** Undefined where the ordinary path must be taken: what waits in Engine.IO goes first, and an upgrade changes the transport. */
  #writerNow(): FrameWriter | undefined {
    const { transport, readyState, upgrading, writeBuffer } = this.#connection;
    const writer = this.#writerTo(transport);
    const mayWrite = writer?.isOpen && readyState === 'open' && !upgrading && writeBuffer.length === 0;
    return mayWrite ? writer : undefined;
  }

  #writerTo(transport: EngineConnection['transport']): FrameWriter | undefined {
    if (transport !== this.#transport) {
      this.#transport = transport;
      this.#writer = frameWriterOf(transport);
    }
    return this.#writer;
  }

  #roomsAfter(after: number): Room[] {
    let rooms: Room[] | undefined;
    for (const place of this.#places) {
      const own = place.roomsAfter(after);
      rooms = rooms ? rooms.concat(own) : own;
    }
    return rooms ?? [];
  }

  #listening(after: number): Listening[] {
    let listening: Listening[] = NOBODY;
    for (const { socket, roomsAfter } of this.#places) {
      if (socket.listenersAnyOutgoing().length > 0) listening = [...listening, { socket, frames: framesOf(roomsAfter(after), after) }];
    }
    return listening;
  }
}

interface Listening {
  socket: Socket;
  frames: Frame[];
}

const NOBODY: Listening[] = [];

/** What was emitted to the rooms since, in the order in which it was. */
function framesOf(rooms: Room[], after: number): Frame[] {
  const frames = rooms.flatMap((room) => room.framesAfter(after));
  return rooms.length > 1 ? frames.sort((a, b) => a.number - b.number) : frames;
}
