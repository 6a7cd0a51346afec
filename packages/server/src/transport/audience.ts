/** Everybody who hears a room. */
import type { Peer, Wire } from './wire.ts';

/** Socket.IO gives every socket a room of its own id: these keep ours from being one of those. */
const WITH_OFFSETS = 'room:';
const WITHOUT_OFFSETS = 'plain:';

/** Of a connection: whether its client knows what to do with the offset of an entry. */
interface Hearer {
  readonly takesOffset: boolean;
}

type Channel = ReturnType<Wire['to']>;

/**
 * What a room is told is the same bytes for everybody, but for the offset of an entry. So those who are told none have a
 * channel of their own, and a text is made twice only while there are both kinds.
 */
export class Audience {
  readonly #wire: Wire;
  readonly #roomId: string;
  #withOffsets: Channel | undefined;
  #withoutOffsets: Channel | undefined;

  constructor(wire: Wire, roomId: string) {
    this.#wire = wire;
    this.#roomId = roomId;
  }

  add(peer: Peer, hearer: Hearer): void {
    const channel = this.#channelOf(hearer);
    if (hearer.takesOffset) this.#withOffsets ??= this.#wire.to(channel);
    else this.#withoutOffsets ??= this.#wire.to(channel);
    void peer.join(channel);
  }

  remove(peer: Peer, hearer: Hearer): void {
    void peer.leave(this.#channelOf(hearer));
  }

  tell(event: string, payload: object): void {
    this.#withOffsets?.emit(event, payload);
    this.#withoutOffsets?.emit(event, payload);
  }

  /** `offset`: what a client that knows it comes back with, as the last argument of the event. */
  tellEntry(event: string, payload: object, offset: string): void {
    this.#withOffsets?.emit(event, payload, offset);
    this.#withoutOffsets?.emit(event, payload);
  }

  #channelOf({ takesOffset }: Hearer): string {
    return (takesOffset ? WITH_OFFSETS : WITHOUT_OFFSETS) + this.#roomId;
  }
}
