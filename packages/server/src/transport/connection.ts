import { ChatError, events, type Limits, type Rate } from '@engawa/protocol';
import type { Identity } from './authenticate.ts';
import type { CatchUp } from './catch-up.ts';
import { Bucket } from './rates.ts';
import { SmallMap } from './small-map.ts';
import type { Peer } from './wire.ts';

interface Seat {
  room: Heard;
  /** Names that this connection has in the room, by their keys. */
  readonly usernames: SmallMap<string, string>;
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
  readonly seats = new SmallMap<string, Seat>();
  /** Set while it is told from the logs what happens in its rooms, and hears none of them. */
  catchUp: CatchUp | undefined;
  readonly #limits: Limits;
  readonly #addressPackets: Bucket | undefined;
  #packets: Bucket | undefined;
  #resumes: Bucket | undefined;
  #signals: Bucket | undefined;
  #joins: Bucket | undefined;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(identity: Identity, limits: Limits, addressPackets: Bucket | undefined) {
    this.identity = identity;
    this.#limits = limits;
    this.#addressPackets = addressPackets;
  }

  /** Coming back is no fault of the client: it neither uses up what he may ask, nor is it refused when he has asked much. */
  mayAsk(event: string): void {
    const { rates } = this.#limits;
    if (event === 'resume:rooms') {
      this.#resumes = taken(this.#resumes, rates?.resumes);
      return;
    }
    if (SIGNALS.has(event)) this.#signals = taken(this.#signals, rates?.signals);
    else this.#packets = taken(this.#packets, rates?.packets);
    this.#addressPackets?.take();
  }

  mayJoin(roomId: string): void {
    this.#joins = taken(this.#joins, this.#limits.rates?.joins);
    this.maySit(roomId);
  }

  maySit(roomId: string): void {
    if (this.seats.size >= this.#limits.roomsPerConnection && !this.seats.has(roomId)) throw new ChatError('too_many_rooms');
  }

  mayChat(roomId: string): void {
    const seat = this.seats.get(roomId);
    if (seat) seat.chats = taken(seat.chats, this.#limits.rates?.chats);
  }

  /** The first of his names there. */
  usernameIn(roomId: string): string | undefined {
    for (const [, username] of this.seats.get(roomId)?.usernames ?? []) return username;
    return undefined;
  }

  sit(room: Heard, key: string, username: string): void {
    const seat = this.seats.get(room.roomId) ?? { room, usernames: new SmallMap<string, string>(), chats: undefined };
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

/** The bucket, made when it is first needed, less a token; or throws the refusal. */
function taken(bucket: Bucket | undefined, rate: Rate | undefined): Bucket | undefined {
  if (!rate) return undefined;
  const known = bucket ?? new Bucket(rate);
  known.take();
  return known;
}
