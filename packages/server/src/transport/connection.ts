import { ChatError, events, type Limits } from '@engawa/protocol';
import type { Identity } from './authenticate.ts';
import type { CatchUp } from './catch-up.ts';
import { Bucket } from './rates.ts';
import type { Peer } from './wire.ts';

interface Seat {
  room: Heard;
  /** Names that this connection has in the room, by their keys. */
  usernames: Map<string, string>;
  chats: Bucket | undefined;
}

/** A room, as far as a connection hears it. */
interface Heard {
  readonly roomId: string;
  fallBehind(peer: Peer, catchUp: CatchUp): void;
}

/** One client's connection: who it is, where it sits, how much it may still ask, and what it asked so far. */
export class Connection {
  readonly identity: Identity;
  readonly seats = new Map<string, Seat>();
  /** Set while it is told from the logs what happens in its rooms, and hears none of them. */
  catchUp: CatchUp | undefined;
  readonly #limits: Limits;
  readonly #addressPackets: Bucket | undefined;
  readonly #packets: Bucket | undefined;
  readonly #resumes: Bucket | undefined;
  readonly #signals: Bucket | undefined;
  readonly #joins: Bucket | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(identity: Identity, limits: Limits, addressPackets: Bucket | undefined) {
    this.identity = identity;
    this.#limits = limits;
    this.#addressPackets = addressPackets;
    this.#packets = bucket(limits.rates?.packets);
    this.#resumes = bucket(limits.rates?.resumes);
    this.#signals = bucket(limits.rates?.signals);
    this.#joins = bucket(limits.rates?.joins);
  }

  /** Coming back is no fault of the client: it neither uses up what he may ask, nor is it refused when he has asked much. */
  mayAsk(event: string): void {
    if (event === 'resume:rooms') {
      this.#resumes?.take();
      return;
    }
    if (SIGNALS.has(event)) this.#signals?.take();
    else this.#packets?.take();
    this.#addressPackets?.take();
  }

  mayJoin(roomId: string): void {
    this.#joins?.take();
    this.maySit(roomId);
  }

  maySit(roomId: string): void {
    if (this.seats.size >= this.#limits.roomsPerConnection && !this.seats.has(roomId)) throw new ChatError('too_many_rooms');
  }

  mayChat(roomId: string): void {
    this.seats.get(roomId)?.chats?.take();
  }

  usernameIn(roomId: string): string | undefined {
    return this.seats.get(roomId)?.usernames.values().next().value;
  }

  sit(room: Heard, key: string, username: string): void {
    const seat = this.seats.get(room.roomId) ?? { room, usernames: new Map<string, string>(), chats: bucket(this.#limits.rates?.chats) };
    seat.usernames.set(key, username);
    this.seats.set(room.roomId, seat);
  }

  /** True when this was the connection's last name in the room. */
  rise(roomId: string, key: string): boolean {
    const seat = this.seats.get(roomId);
    seat?.usernames.delete(key);
    return seat?.usernames.size === 0 && this.seats.delete(roomId);
  }

  /** What one connection asks is done in its order, one after the other: so a sender's own chats keep his order. */
  inTurn(task: () => Promise<void>): void {
    if (this.#waiting >= this.#limits.waitingPerConnection) throw new ChatError('busy');
    this.#waiting += 1;
    this.#last = this.#last.then(task).finally(() => {
      this.#waiting -= 1;
    });
  }

  /** Resolves when everything that was asked so far is done. */
  async settled(): Promise<void> {
    await this.#last;
  }
}

const SIGNALS = new Set(Object.entries(events).flatMap(([event, definition]) => ('signalled' in definition ? [event] : [])));

const bucket = (rate: ConstructorParameters<typeof Bucket>[0] | undefined): Bucket | undefined => (rate ? new Bucket(rate) : undefined);
