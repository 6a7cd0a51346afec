/** Index of tickets by holder, as hints that are verified against the rooms. */
import type { Ticket } from '../contract.ts';
import { decodeTicket } from './codec.ts';
import type { RedisContext } from './context.ts';
import { joinPair, splitPair } from './key-names.ts';
import type { Reply } from './redis-connection.ts';
import { scripts } from './scripts.ts';

/** A hint without a ticket may belong to an append that is still running; once it is older than this, it is stale. */
const STALE_HINT_MS = 60 * 60 * 1000;

const compareUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/**
 * Where each holder has tickets. Tickets are stored with their rooms, in any slot; the index of a holder contains hints, written
 * before the tickets are set.
 */
export class TicketIndex {
  readonly #context: RedisContext;

  constructor(context: RedisContext) {
    this.#context = context;
  }

  /** Call this before the tickets are set. */
  async add(holder: string, locations: [room: string, key: string][]): Promise<void> {
    const { partition, key } = this.#context.keys.ticketIndex(holder);
    const members = locations.flatMap((location) => [String(Date.now()), joinPair(...location)]);
    await this.#context.redis.send(partition, ['ZADD', key, ...members]);
  }

  /** Removes the hints of tickets that were removed, expired, or ended with their room. */
  async remove(room: string, fields: string[]): Promise<void> {
    await Promise.all(
      fields.map(async (field) => {
        const [holder, of] = splitPair(field);
        await this.#removeStale(holder, [joinPair(room, of)], Date.now() - 60_000);
      }),
    );
  }

  async list(holder: string, limit: number): Promise<Ticket[]> {
    const { redis, keys, now } = this.#context;
    const { partition, key } = keys.ticketIndex(holder);
    const members = (await redis.send(partition, ['ZRANGE', key, '0', '-1'])) as string[];
    const locations = members.map(splitPair).sort((a, b) => compareUtf8(a[0], b[0]) || compareUtf8(a[1], b[1]));
    const fixedNow = now();
    const time = fixedNow === '' ? await this.#serverTime(partition) : Number(fixedNow);
    const tickets: Ticket[] = [];
    const staleHints: string[] = [];
    for (let at = 0; at < locations.length && tickets.length < limit; at += limit) {
      const batch = locations.slice(at, at + limit);
      const texts = await Promise.all(batch.map((location) => this.#readTicket(holder, location)));
      for (const [index, [room, of]] of batch.entries()) {
        const text = texts[index];
        const ticket = text === null || text === undefined ? undefined : decodeTicket(text);
        if (!ticket) staleHints.push(joinPair(room, of));
        else if (ticket.until === null || ticket.until > time)
          tickets.push({ room, key: of, value: ticket.value, seq: ticket.seq, epoch: ticket.epoch });
      }
    }
    if (staleHints.length > 0) await this.#removeStale(holder, staleHints, Date.now() - STALE_HINT_MS);
    return tickets.slice(0, limit);
  }

  async #readTicket(holder: string, [room, key]: [string, string]): Promise<string | null> {
    const { partition, tickets } = this.#context.keys.room(room);
    return (await this.#context.redis.send(partition, ['HGET', tickets, joinPair(holder, key)])) as string | null;
  }

  async #serverTime(partition: number): Promise<number> {
    const [seconds, microseconds] = (await this.#context.redis.send(partition, ['TIME'])) as Reply[];
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  /** Removes hints that are older than `before`. */
  async #removeStale(holder: string, members: string[], before: number): Promise<void> {
    const { redis, keys } = this.#context;
    const { partition, key } = keys.ticketIndex(holder);
    await redis.runScript(scripts.removeStaleHints, { partition, keys: [key], args: [String(before), ...members], isRepeatable: true });
  }
}
