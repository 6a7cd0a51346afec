import type { RoomHead } from '../store.ts';
import type { Reply } from './connection.ts';
import type { Surroundings } from './surroundings.ts';

/** Rooms of one command. */
const AT_ONCE = 500;

/**
 * Which rooms there are. They live in different slots, so a list of them cannot be written in one step with any: it holds
 * hints, written before the room is opened, and what is answered is read from the rooms.
 */
export class Directory {
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Before a room is opened, and once more afterwards: meanwhile its hint may have been taken for an old one. */
  async add(rooms: string[]): Promise<void> {
    const { nodes, keys } = this.#surroundings;
    for (let at = 0; at < rooms.length; at += AT_ONCE) {
      const some = rooms.slice(at, at + AT_ONCE).flatMap((room) => ['0', room]);
      await nodes.command(keys.lobby.partition, ['ZADD', keys.lobby.rooms, ...some]);
    }
  }

  /** In the order of the names' UTF-8 bytes. */
  async list({ after, limit }: { after?: string; limit: number }): Promise<{ rooms: RoomHead[]; more: boolean }> {
    const rooms: RoomHead[] = [];
    for (let from = after; rooms.length <= limit; ) {
      const names = await this.#names(from, limit + 1 - rooms.length);
      if (names.length === 0) break;
      const heads = await Promise.all(names.map((name) => this.#head(name)));
      rooms.push(...heads.filter((head) => head !== undefined));
      await this.#strikeOut(names.filter((_, index) => heads[index] === undefined));
      from = names.at(-1);
    }
    return { rooms: rooms.slice(0, limit), more: rooms.length > limit };
  }

  async #names(after: string | undefined, limit: number): Promise<string[]> {
    const { nodes, keys } = this.#surroundings;
    const from = after === undefined ? '-' : `(${after}`;
    const names = await nodes.command(keys.lobby.partition, ['ZRANGEBYLEX', keys.lobby.rooms, from, '+', 'LIMIT', '0', String(limit)]);
    return names as string[];
  }

  async #head(name: string): Promise<RoomHead | undefined> {
    const { nodes, keys } = this.#surroundings;
    const { partition, room } = keys.room(name);
    const [epoch, head, at] = (await nodes.command(partition, ['HMGET', room, 'epoch', 'head', 'at'])) as Reply[];
    return epoch === null ? undefined : { room: name, epoch: String(epoch), head: Number(head), at: Number(at) };
  }

  /** Rooms that have ended, unless they were opened again in this moment. */
  async #strikeOut(names: string[]): Promise<void> {
    if (names.length === 0) return;
    const { nodes, keys } = this.#surroundings;
    await nodes.command(keys.lobby.partition, ['ZREM', keys.lobby.rooms, ...names]);
    const heads = await Promise.all(names.map((name) => this.#head(name)));
    const opened = names.filter((_, index) => heads[index] !== undefined);
    if (opened.length > 0) await this.add(opened);
  }
}
