/** Index of all room names, as hints that are verified against the rooms. */
import type { ReadQuery, RoomSummary, Store } from '../contract.ts';
import type { RedisContext } from './context.ts';
import { readRoomSummary } from './read-facts.ts';

/** Rooms of one command. */
const MAX_BATCH_ROOMS = 500;

/**
 * The names of all rooms. Rooms are in different slots, so the index cannot be written atomically with them. It contains hints,
 * written before a room is created; lists are verified by reading the rooms.
 */
export class RoomIndex {
  readonly #context: RedisContext;

  constructor(context: RedisContext) {
    this.#context = context;
  }

  /** Call this before a room is created, and again afterwards: meanwhile its hint may have been removed as stale. */
  async add(rooms: string[]): Promise<void> {
    const { redis, keys } = this.#context;
    for (let at = 0; at < rooms.length; at += MAX_BATCH_ROOMS) {
      const members = rooms.slice(at, at + MAX_BATCH_ROOMS).flatMap((room) => ['0', room]);
      await redis.send(keys.globalKeys.partition, ['ZADD', keys.globalKeys.rooms, ...members]);
    }
  }

  /**
   * Lists rooms in the order of the UTF-8 bytes of their names. One script reads the facts of each room; the scripts of a page
   * are sent together to each server, because commands of one turn of the event loop are pipelined.
   */
  async list({
    after,
    limit,
    keys = [],
    counts = [],
  }: Parameters<Store['listRooms']>[0]): Promise<{ rooms: RoomSummary[]; hasMore: boolean }> {
    const rooms: RoomSummary[] = [];
    for (let from = after; rooms.length <= limit; ) {
      const names = await this.#listNames(from, limit + 1 - rooms.length);
      if (names.length === 0) break;
      const found = await this.#readRooms(names, { keys, counts });
      rooms.push(...found.filter((room) => room !== undefined));
      await this.removeStale(names.filter((_, index) => found[index] === undefined));
      from = names.at(-1);
    }
    return { rooms: rooms.slice(0, limit), hasMore: rooms.length > limit };
  }

  /** Ended rooms are counted until their hints are removed. */
  async count(): Promise<number> {
    const { redis, keys } = this.#context;
    return Number(await redis.send(keys.globalKeys.partition, ['ZCARD', keys.globalKeys.rooms]));
  }

  async #listNames(after: string | undefined, limit: number): Promise<string[]> {
    const { redis, keys } = this.#context;
    const from = after === undefined ? '-' : `(${after}`;
    const names = await redis.send(keys.globalKeys.partition, [
      'ZRANGEBYLEX',
      keys.globalKeys.rooms,
      from,
      '+',
      'LIMIT',
      '0',
      String(limit),
    ]);
    return names as string[];
  }

  #readRooms(names: string[], query: ReadQuery): Promise<(RoomSummary | undefined)[]> {
    return Promise.all(names.map((name) => readRoomSummary(this.#context, name, query)));
  }

  /** Removes the hints of ended rooms, unless the rooms were created again meanwhile. */
  async removeStale(names: string[]): Promise<void> {
    if (names.length === 0) return;
    const { redis, keys } = this.#context;
    await redis.send(keys.globalKeys.partition, ['ZREM', keys.globalKeys.rooms, ...names]);
    const found = await this.#readRooms(names, {});
    const opened = names.filter((_, index) => found[index] !== undefined);
    if (opened.length > 0) await this.add(opened);
  }
}
