/** Broadcasts to the connections of one room, over all transports, with offsets for the clients that can use them. */
import type { Connection } from '../connections/connection.ts';
import type { Channel, Transport } from '../connections/peer.ts';

/** Socket.IO gives every socket a channel of its own id: these prefixes keep the names apart. */
const OFFSET_CHANNEL_PREFIX = 'room:';
const PLAIN_CHANNEL_PREFIX = 'plain:';

interface RoomChannel {
  readonly transport: Transport;
  /** Whether the clients on it can use the offset of an entry. */
  readonly canUseOffsets: boolean;
  readonly channel: Channel;
}

/**
 * A broadcast has the same bytes for all clients of a transport, except for the offset of an entry. So clients that get no offsets
 * have a channel of their own, and a frame is built twice only if the room has both kinds.
 */
export class RoomBroadcaster {
  readonly #roomId: string;
  /** One or two for each transport: so few that a search is cheaper than a map. */
  readonly #channels: RoomChannel[] = [];

  constructor(roomId: string) {
    this.#roomId = roomId;
  }

  add({ peer, canUseOffsets }: Connection): void {
    const { transport } = peer;
    const name = this.#channelName(canUseOffsets);
    if (!this.#channels.some((each) => each.transport === transport && each.canUseOffsets === canUseOffsets))
      this.#channels.push({ transport, canUseOffsets, channel: transport.to(name) });
    peer.join(name);
  }

  remove({ peer, canUseOffsets }: Connection): void {
    peer.leave(this.#channelName(canUseOffsets));
  }

  broadcast(event: string, payload: object): void {
    for (const { channel } of this.#channels) channel.emit(event, payload);
  }

  /** `offset`: the last argument of the event, which the client sends when it reconnects. */
  broadcastEntry(event: string, payload: object, offset: string): void {
    for (const { channel, canUseOffsets } of this.#channels) {
      if (canUseOffsets) channel.emit(event, payload, offset);
      else channel.emit(event, payload);
    }
  }

  #channelName(canUseOffsets: boolean): string {
    return (canUseOffsets ? OFFSET_CHANNEL_PREFIX : PLAIN_CHANNEL_PREFIX) + this.#roomId;
  }
}
