import { ChatError, type Position } from '@engawa/protocol';
import type { Outcome } from '../chat/commit.ts';
import { type MemberValue, memberKey } from '../chat/keys.ts';
import { type Key, type Store, StoreError } from '../store/store.ts';
import type { AnswerMemory } from './answer-memory.ts';
import { CatchUp } from './catch-up.ts';
import { type Arrival, connectionOf, LocalRoom } from './local-room.ts';
import { LEAST_SILENCE_MS } from './pace.ts';
import { PageCache } from './page-cache.ts';
import type { Signal } from './signals.ts';
import type { Peer, Wire } from './wire.ts';

const RELEASE_AGAIN_MS = 1_000;
/** Rooms are compared with their logs a few at a time: once around all of them takes so many portions. */
const PORTIONS = 50;

interface FanOutOptions {
  wire: Wire;
  store: Store;
  memory: AnswerMemory;
  node: string;
  grace: number;
  /** Members from which on a room is large. */
  largeRoom: number;
  onError: (error: unknown) => undefined;
}

interface Ask {
  roomId: string;
  username: string;
}

/** The rooms that have peers on this node: opened for the first who comes, closed after the last who leaves. */
export class FanOut {
  readonly #options: FanOutOptions;
  readonly #store: Store;
  readonly #pages = new PageCache();
  readonly #rooms = new Map<string, Promise<LocalRoom>>();
  readonly #checking: NodeJS.Timeout;
  #toCheck: Promise<LocalRoom>[] = [];
  #portion = 0;

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#checking = setInterval(() => this.#checkSome(), LEAST_SILENCE_MS / PORTIONS);
  }

  get isAnybodyHere(): boolean {
    return this.#rooms.size > 0;
  }

  /** The room, if somebody of this node is there. */
  async find(roomId: string): Promise<LocalRoom | undefined> {
    return this.#rooms.get(roomId)?.catch(() => undefined);
  }

  /** The rooms that somebody of this node is in, and how far they were told. */
  async places(): Promise<{ room: string; epoch: string; head: number }[]> {
    const rooms = await Promise.all([...this.#rooms.keys()].map((roomId) => this.find(roomId)));
    return rooms.flatMap((room) => {
      const position = room?.follower.position;
      return room && position ? [{ room: room.roomId, epoch: position.epoch, head: position.seq }] : [];
    });
  }

  /** Seats the peer as the member that `join` makes it, or finds it to be already; answers from where on it hears the room. */
  async join(peer: Peer, ask: Ask, join: () => Promise<Outcome>): Promise<[Outcome, Position | null]> {
    return this.#arriving(peer, ask, async (room, arrival) => {
      const outcome = await join();
      if (outcome.outcome === 'appended') await room.follower.reached(outcome);
      else if (!(await this.#comeBack(room, arrival)) && outcome.outcome === 'unchanged') throw new ChatError('busy');
      return [outcome, arrival.follows ?? room.follower.position];
    });
  }

  /** Seats a member who was away, and still is one; answers the room, of which he hears everything from now on. */
  async comeBack(peer: Peer, ask: Ask): Promise<LocalRoom> {
    return this.#arriving(peer, ask, async (room, arrival) => {
      if (!(await this.#comeBack(room, arrival))) throw new ChatError(room.follower.position ? 'not_a_member' : 'room_not_found');
      return room;
    });
  }

  /** From now on the peer hears nothing of the rooms that it is seated in, until it was told what is put down here. */
  catchUp(peer: Peer): CatchUp {
    const { wire, memory, onError } = this.#options;
    const connection = connectionOf(peer);
    const holder = { address: connection.address?.budgets, end: () => wire.end(peer) };
    const hold = (bytes: number) => memory.take(holder, bytes);
    const told = () => (connection.catchUp = undefined);
    connection.catchUp = new CatchUp(peer, { wire, hold, onError, told, takesOffset: connection.takesOffset });
    return connection.catchUp;
  }

  /** More waits for the peer than it reads: it is told from the logs what happens in its rooms, as fast as it does read. */
  fallBehind(peer: Peer): void {
    const connection = connectionOf(peer);
    if (connection.catchUp) return;
    const catchUp = this.catchUp(peer);
    for (const [, { room }] of connection.seats) room.fallBehind(peer, catchUp);
    void catchUp.tell();
  }

  /** Seats a member who was away, and puts down that he is to be told what came after an entry. */
  async comeBackAfter(peer: Peer, { seq, ...ask }: Ask & { seq: number }): Promise<void> {
    await this.#arriving(peer, ask, async (room, arrival) => {
      if (!(await room.seatAfter(arrival, seq, () => this.#comeBack(room, arrival)))) throw new ChatError('not_a_member');
    });
  }

  /** The connection is gone: its names stay taken for the grace. */
  async disconnect(peer: Peer): Promise<void> {
    const connection = connectionOf(peer);
    const seats = [...connection.seats].map(([roomId, { usernames }]) => ({ roomId, usernames: [...usernames] }));
    for (const { roomId, usernames } of seats) for (const [key] of usernames) connection.rise(roomId, key);
    for (const { roomId, usernames } of seats) {
      const room = await this.find(roomId);
      for (const [key, username] of usernames) room?.rise(peer, key, username);
    }
  }

  /** A member is gone, whose node could not say so. */
  async tellGone(roomId: string, username: string): Promise<void> {
    const said: Signal = { event: 'update:presence', signal: { roomId, username, presence: 'gone' } };
    const room = await this.find(roomId);
    if (room) await room.signals.announce(said);
    // Members who are connected hear it from their own nodes.
    else await this.#store.announce(roomId, { node: this.#options.node, online: 0, said });
  }

  close(): void {
    clearInterval(this.#checking);
  }

  async #arriving<Result>(peer: Peer, { roomId, username }: Ask, arrive: (room: LocalRoom, arrival: Arrival) => Promise<Result>) {
    const arrival: Arrival = { peer, key: memberKey(username), username };
    const room = await this.#open(roomId, arrival);
    try {
      return await arrive(room, arrival);
    } finally {
      room.dismiss(arrival);
      this.#closeIfEmpty(room);
    }
  }

  async #open(roomId: string, arrival: Arrival): Promise<LocalRoom> {
    for (;;) {
      const opening = this.#rooms.get(roomId) ?? this.#openRoom(roomId);
      this.#rooms.set(roomId, opening);
      const room = await opening.catch((error: unknown) => {
        this.#rooms.delete(roomId);
        throw error;
      });
      if (!room.isOpen) continue;
      room.expect(arrival);
      return room;
    }
  }

  #openRoom(roomId: string): Promise<LocalRoom> {
    const { wire, store, node, largeRoom, onError } = this.#options;
    const letGo = (key: string) => void this.#release(roomId, key);
    return LocalRoom.open({
      roomId,
      wire,
      store,
      pages: this.#pages,
      node,
      largeRoom,
      onError,
      hold: (key) => this.#hold(roomId, key),
      letGo,
      left: (room) => this.#closeIfEmpty(room),
    });
  }

  #closeIfEmpty(room: LocalRoom): void {
    if (!room.isOpen || !room.isEmpty) return;
    this.#rooms.delete(room.roomId);
    room.close();
  }

  /** He is a member already, on another connection or from before a drop; false when he is one no more. */
  async #comeBack(room: LocalRoom, arrival: Arrival): Promise<boolean> {
    const { author } = connectionOf(arrival.peer).identity;
    const member = await this.#hold(room.roomId, arrival.key, author);
    return member !== undefined && room.seatMember(arrival, member);
  }

  /** The member as they were before, if they are one, of this author if one is named. */
  async #hold(roomId: string, key: string, author?: string): Promise<Key | undefined> {
    const member = (await this.#store.read(roomId, { keys: [key] })).keys.get(key);
    const isMeant = author === undefined || (member?.value as MemberValue | undefined)?.author === author;
    if (!member || !isMeant) return undefined;
    return (await this.#store.hold(roomId, { name: key, seq: member.seq }, this.#options.node)) ? member : undefined;
  }

  /** Tried until it is kept: a name that is not let go of would be taken for as long as this node lives. */
  async #release(roomId: string, key: string): Promise<void> {
    const { node, grace, onError } = this.#options;
    while (!(await this.find(roomId))?.hasSeat(key)) {
      try {
        return await this.#store.release(roomId, key, node, grace);
      } catch (error) {
        if (error instanceof StoreError && error.reason === 'closed') return;
        onError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, RELEASE_AGAIN_MS));
    }
  }

  #checkSome(): void {
    if (this.#portion === 0) this.#toCheck = [...this.#rooms.values()];
    for (const opening of this.#toCheck.splice(0, Math.ceil(this.#toCheck.length / (PORTIONS - this.#portion)))) {
      opening.then((room) => this.#check(room)).catch(this.#options.onError);
    }
    this.#portion = (this.#portion + 1) % PORTIONS;
  }

  /** Other nodes learn here, too, that this one still is what it last said, and this one which of them are not heard any more. */
  async #check(room: LocalRoom): Promise<void> {
    if (!room.isOpen || !room.pace.isDue()) return;
    await room.follower.catchUp();
    await room.signals.announce();
    room.signals.recount();
  }
}
