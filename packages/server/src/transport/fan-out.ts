import type { EntryFields, Told } from '@engawa/protocol';
import type { Server, Socket } from 'socket.io';
import type { Outcome } from '../chat/commit.ts';
import { type MemberValue, memberKey } from '../chat/keys.ts';
import { type Entry, type Listener, type Store, StoreError } from '../store/store.ts';
import type { Connection } from './connection.ts';

/** A room as far as it has sockets on this node. */
interface LocalRoom {
  /** The sockets of each member, by the member's key. */
  seats: Map<string, Set<Socket>>;
  /** Sockets that are about to join: each is seated in the moment its own entry is told, so it hears that and all after. */
  arriving: Set<Arrival>;
  unsubscribe: () => void;
  /** False once it was left by all: whoever comes later opens another. */
  isOpen: boolean;
}

interface Arrival {
  socket: Socket;
  key: string;
  username: string;
}

const RELEASE_AGAIN_MS = 1_000;

/** Kinds of entries that make somebody a member; who creates a room hears of its creation, too. */
const SEATING = new Set(['create:room', 'add:member']);

/** Socket.IO gives every socket a room of its own id: the prefix keeps ours from being one of those. */
export const channelOf = (roomId: string): string => `room:${roomId}`;

export const connectionOf = (socket: Socket): Connection => (socket.data as { connection: Connection }).connection;

/**
 * Tells appended entries to the sockets of this node, in the order of the log. Who joins and who leaves takes the same
 * road, so nobody hears what was said before he came or after he was removed.
 */
export class FanOut {
  readonly #io: Server;
  readonly #store: Store;
  readonly #node: string;
  readonly #grace: number;
  readonly #onError: (error: unknown) => undefined;
  readonly #rooms = new Map<string, Promise<LocalRoom>>();

  constructor({
    io,
    store,
    node,
    grace,
    onError,
  }: { io: Server; store: Store; node: string; grace: number; onError: (error: unknown) => undefined }) {
    this.#io = io;
    this.#store = store;
    this.#node = node;
    this.#grace = grace;
    this.#onError = onError;
  }

  get isAnybodyHere(): boolean {
    return this.#rooms.size > 0;
  }

  /** Seats the socket as the member that `join` makes it, or finds it to be already. */
  async join(socket: Socket, roomId: string, username: string, join: () => Promise<Outcome>): Promise<Outcome> {
    const arrival = { socket, key: memberKey(username), username };
    const room = await this.#open(roomId, arrival);
    try {
      const outcome = await join();
      if (outcome.outcome !== 'appended') await this.#comeBack(room, roomId, arrival);
      return outcome;
    } finally {
      room.arriving.delete(arrival);
      this.#closeIfEmpty(room, roomId);
    }
  }

  /** The connection is gone: its names stay taken for the grace. */
  async disconnect(socket: Socket): Promise<void> {
    const seats = [...connectionOf(socket).seats].flatMap(([roomId, { usernames }]) =>
      [...usernames.keys()].map((key) => ({ roomId, key })),
    );
    for (const { roomId, key } of seats) {
      const room = await this.#openRoom(roomId);
      if (room) this.#rise(room, roomId, { socket, key });
    }
  }

  async #open(roomId: string, arrival: Arrival): Promise<LocalRoom> {
    for (;;) {
      const opening = this.#rooms.get(roomId) ?? this.#subscribe(roomId);
      this.#rooms.set(roomId, opening);
      const room = await opening.catch((error: unknown) => {
        this.#rooms.delete(roomId);
        throw error;
      });
      if (!room.isOpen) continue;
      room.arriving.add(arrival);
      return room;
    }
  }

  /** The room, if somebody is there. */
  async #openRoom(roomId: string): Promise<LocalRoom | undefined> {
    return this.#rooms.get(roomId)?.catch(() => undefined);
  }

  async #subscribe(roomId: string): Promise<LocalRoom> {
    const room: LocalRoom = { seats: new Map(), arriving: new Set(), unsubscribe: () => undefined, isOpen: true };
    room.unsubscribe = await this.#store.subscribe(roomId, (told) => this.#tell(room, roomId, told));
    return room;
  }

  #closeIfEmpty(room: LocalRoom, roomId: string): void {
    if (!room.isOpen || room.seats.size > 0 || room.arriving.size > 0) return;
    room.isOpen = false;
    this.#rooms.delete(roomId);
    room.unsubscribe();
  }

  #tell(room: LocalRoom, roomId: string, { epoch, entries, ended }: Parameters<Listener>[0]): void {
    for (const entry of entries) {
      if (SEATING.has(entry.kind)) this.#seatArrivals(room, roomId, entry);
      if (!entry.quiet) this.#io.to(channelOf(roomId)).emit(`${entry.kind}:success`, heard(roomId, epoch, entry));
      if (entry.kind === 'remove:member') this.#unseat(room, roomId, memberKey((entry.body as Told<'remove:member'>).username));
    }
    if (ended) for (const key of [...room.seats.keys()]) this.#unseat(room, roomId, key);
    this.#closeIfEmpty(room, roomId);
  }

  #seatArrivals(room: LocalRoom, roomId: string, { by, author }: Entry): void {
    for (const arrival of room.arriving) {
      const isHim = arrival.key === memberKey(by) && connectionOf(arrival.socket).identity.author === author;
      if (isHim) this.#seat(room, roomId, arrival);
    }
  }

  /** He is a member already, on another connection or from before a drop; unless that was long ago, and he is no more. */
  async #comeBack(room: LocalRoom, roomId: string, arrival: Arrival): Promise<void> {
    const known = (await this.#store.read(roomId, { keys: [arrival.key] })).keys.get(arrival.key);
    const { author } = connectionOf(arrival.socket).identity;
    if (!known || (known.value as unknown as MemberValue).author !== author) return;
    if (await this.#store.hold(roomId, { name: arrival.key, seq: known.seq }, this.#node)) this.#seat(room, roomId, arrival);
  }

  #seat(room: LocalRoom, roomId: string, { socket, key, username }: Arrival): void {
    if (!socket.connected) {
      void this.#release(roomId, key);
      return;
    }
    room.seats.set(key, (room.seats.get(key) ?? new Set()).add(socket));
    connectionOf(socket).sit(roomId, key, username);
    void socket.join(channelOf(roomId));
  }

  #unseat(room: LocalRoom, roomId: string, key: string): void {
    const sockets = room.seats.get(key) ?? [];
    room.seats.delete(key);
    for (const socket of sockets) {
      if (connectionOf(socket).rise(roomId, key)) void socket.leave(channelOf(roomId));
    }
  }

  #rise(room: LocalRoom, roomId: string, { socket, key }: { socket: Socket; key: string }): void {
    const sockets = room.seats.get(key);
    if (!sockets?.delete(socket) || sockets.size > 0) return;
    room.seats.delete(key);
    this.#closeIfEmpty(room, roomId);
    void this.#release(roomId, key);
  }

  /** Tried until it is kept: a name that is not let go of would be taken for as long as this node lives. */
  async #release(roomId: string, key: string): Promise<void> {
    while (!(await this.#openRoom(roomId))?.seats.has(key)) {
      try {
        return await this.#store.release(roomId, key, this.#node, this.#grace);
      } catch (error) {
        if (error instanceof StoreError && error.reason === 'closed') return;
        this.#onError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, RELEASE_AGAIN_MS));
    }
  }
}

/** An entry as the room hears it. */
function heard(roomId: string, epoch: string, { seq, id, prev, at, by, body }: Entry): EntryFields {
  return { roomId, epoch, seq, id, prev, at, by, username: by, ...body };
}
