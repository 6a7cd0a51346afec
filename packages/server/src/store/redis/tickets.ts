import type { Ticket } from '../store.ts';
import type { Reply } from './connection.ts';
import { pair, unpair } from './keys.ts';
import { scripts } from './scripts.ts';
import type { Surroundings } from './surroundings.ts';
import { ticketIn } from './texts.ts';

/** A hint that leads nowhere may be of a ticket that is only being left; after so long it is not. */
const HINT_MS = 60 * 60 * 1000;

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/**
 * Where somebody has tickets. They are kept with their rooms, in whatever slots those are; beside its holder's name there
 * are hints, written before the tickets are left.
 */
export class Tickets {
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Before tickets are left. */
  async add(holder: string, places: [room: string, key: string][]): Promise<void> {
    const { partition, key } = this.#surroundings.keys.places(holder);
    const members = places.flatMap((place) => [String(Date.now()), pair(...place)]);
    await this.#surroundings.nodes.command(partition, ['ZADD', key, ...members]);
  }

  /** Tickets that were taken away, ran out, or ended with their room. */
  async remove(room: string, fields: string[]): Promise<void> {
    await Promise.all(
      fields.map(async (field) => {
        const [holder, of] = unpair(field);
        await this.#strikeOut(holder, [pair(room, of)], Date.now() - 60_000);
      }),
    );
  }

  async list(holder: string, limit: number): Promise<Ticket[]> {
    const { nodes, keys, now } = this.#surroundings;
    const { partition, key } = keys.places(holder);
    const members = (await nodes.command(partition, ['ZRANGE', key, '0', '-1'])) as string[];
    const places = members.map(unpair).sort((a, b) => byBytes(a[0], b[0]) || byBytes(a[1], b[1]));
    const given = now();
    const time = given === '' ? await this.#time(partition) : Number(given);
    const tickets: Ticket[] = [];
    const gone: string[] = [];
    for (let at = 0; at < places.length && tickets.length < limit; at += limit) {
      const asked = places.slice(at, at + limit);
      const texts = await Promise.all(asked.map((place) => this.#read(holder, place)));
      for (const [index, [room, of]] of asked.entries()) {
        const text = texts[index];
        const ticket = text === null || text === undefined ? undefined : ticketIn(text);
        if (!ticket) gone.push(pair(room, of));
        else if (ticket.until === null || ticket.until > time)
          tickets.push({ room, key: of, value: ticket.value, seq: ticket.seq, epoch: ticket.epoch });
      }
    }
    if (gone.length > 0) await this.#strikeOut(holder, gone, Date.now() - HINT_MS);
    return tickets.slice(0, limit);
  }

  async #read(holder: string, [room, key]: [string, string]): Promise<string | null> {
    const { partition, tickets } = this.#surroundings.keys.room(room);
    return (await this.#surroundings.nodes.command(partition, ['HGET', tickets, pair(holder, key)])) as string | null;
  }

  async #time(partition: number): Promise<number> {
    const [seconds, microseconds] = (await this.#surroundings.nodes.command(partition, ['TIME'])) as Reply[];
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  /** Hints that are older than that. */
  async #strikeOut(holder: string, members: string[], before: number): Promise<void> {
    const { nodes, keys } = this.#surroundings;
    const { partition, key } = keys.places(holder);
    await nodes.run(scripts.strikeOut, { partition, keys: [key], args: [String(before), ...members], mayRepeat: true });
  }
}
