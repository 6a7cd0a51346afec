import type { Ask, ListedRoom, Store } from '../store.ts';
import { readListed } from './reads.ts';
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

  /**
   * In the order of the names' UTF-8 bytes. Of each room one script answers all; the scripts of a page go to each server
   * together, since what is asked in one turn of the event loop is written at once.
   */
  async list({ after, limit, keys = [], counts = [] }: Parameters<Store['rooms']>[0]): Promise<{ rooms: ListedRoom[]; more: boolean }> {
    const rooms: ListedRoom[] = [];
    for (let from = after; rooms.length <= limit; ) {
      const names = await this.#names(from, limit + 1 - rooms.length);
      if (names.length === 0) break;
      const found = await this.#read(names, { keys, counts });
      rooms.push(...found.filter((room) => room !== undefined));
      await this.strikeOut(names.filter((_, index) => found[index] === undefined));
      from = names.at(-1);
    }
    return { rooms: rooms.slice(0, limit), more: rooms.length > limit };
  }

  /** Rooms that have ended are counted until they are found out. */
  async count(): Promise<number> {
    const { nodes, keys } = this.#surroundings;
    return Number(await nodes.command(keys.lobby.partition, ['ZCARD', keys.lobby.rooms]));
  }

  async #names(after: string | undefined, limit: number): Promise<string[]> {
    const { nodes, keys } = this.#surroundings;
    const from = after === undefined ? '-' : `(${after}`;
    const names = await nodes.command(keys.lobby.partition, ['ZRANGEBYLEX', keys.lobby.rooms, from, '+', 'LIMIT', '0', String(limit)]);
    return names as string[];
  }

  #read(names: string[], ask: Ask): Promise<(ListedRoom | undefined)[]> {
    return Promise.all(names.map((name) => readListed(this.#surroundings, name, ask)));
  }

  /** Rooms that have ended, unless they were opened again in this moment. */
  async strikeOut(names: string[]): Promise<void> {
    if (names.length === 0) return;
    const { nodes, keys } = this.#surroundings;
    await nodes.command(keys.lobby.partition, ['ZREM', keys.lobby.rooms, ...names]);
    const found = await this.#read(names, {});
    const opened = names.filter((_, index) => found[index] !== undefined);
    if (opened.length > 0) await this.add(opened);
  }
}
