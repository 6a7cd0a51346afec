/** Broadcasts to the peers of one room, with offsets for the clients that can use them. */
import type { Peer, Transport } from '../connections/peer.ts';

/** Socket.IO gives every socket a room of its own id: these keep ours from being one of those. */
const OFFSET_CHANNEL_PREFIX = 'room:';
const PLAIN_CHANNEL_PREFIX = 'plain:';

/** Of a connection: whether its client knows what to do with the offset of an entry. */
interface OffsetSupport {
  readonly canUseOffsets: boolean;
}

type Channel = ReturnType<Transport['to']>;

/**
 * What a room is told is the same bytes for everybody, but for the offset of an entry. So those who are told none have a
 * channel of their own, and a text is made twice only while there are both kinds.
 */
export class RoomBroadcaster {
  readonly #transport: Transport;
  readonly #roomId: string;
  #offsetChannel: Channel | undefined;
  #plainChannel: Channel | undefined;

  constructor(transport: Transport, roomId: string) {
    this.#transport = transport;
    this.#roomId = roomId;
  }

  add(peer: Peer, client: OffsetSupport): void {
    const channel = this.#channelOf(client);
    if (client.canUseOffsets) this.#offsetChannel ??= this.#transport.to(channel);
    else this.#plainChannel ??= this.#transport.to(channel);
    void peer.join(channel);
  }

  remove(peer: Peer, client: OffsetSupport): void {
    void peer.leave(this.#channelOf(client));
  }

  broadcast(event: string, payload: object): void {
    this.#offsetChannel?.emit(event, payload);
    this.#plainChannel?.emit(event, payload);
  }

  /** `offset`: what a client that knows it comes back with, as the last argument of the event. */
  broadcastEntry(event: string, payload: object, offset: string): void {
    this.#offsetChannel?.emit(event, payload, offset);
    this.#plainChannel?.emit(event, payload);
  }

  #channelOf({ canUseOffsets }: OffsetSupport): string {
    return (canUseOffsets ? OFFSET_CHANNEL_PREFIX : PLAIN_CHANNEL_PREFIX) + this.#roomId;
  }
}
