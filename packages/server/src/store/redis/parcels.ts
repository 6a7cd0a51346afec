import { type Item, Packing, type Section } from '../parcels.ts';
import type { Key, Parcel } from '../store.ts';
import type { Reply } from './connection.ts';
import type { Directory } from './directory.ts';
import { pair, type RoomKeys, unpair } from './keys.ts';
import type { Leases } from './leases.ts';
import { scripts } from './scripts.ts';
import type { Surroundings } from './surroundings.ts';
import { keyOf, pageIn, textOf, ticketIn, ticketText } from './texts.ts';
import type { Tickets } from './tickets.ts';

/** What is read at a time. */
const CHUNK = 250;
const CHUNK_BYTES = 1024 * 1024;
/** Holds the leases that were unpacked. It never beats. */
const NO_NODE = '';

/** A part of a section: its items, and where the next ones are. */
interface Chunk {
  section: Section;
  items: Item[];
  next: string | null;
}

/** Reads a section from a place on; the first is `''`. */
type Source = (from: string) => Promise<Chunk>;

/** Rooms on their way from one store to another. */
export class Parcels {
  readonly #surroundings: Surroundings;
  readonly #hints: { leases: Leases; tickets: Tickets; directory: Directory };

  constructor(surroundings: Surroundings, hints: { leases: Leases; tickets: Tickets; directory: Directory }) {
    this.#surroundings = surroundings;
    this.#hints = hints;
  }

  /** `next` is the number of a section, a place in it, and how many items from there on were packed before. */
  async pack(name: string, next: string | null): Promise<Parcel | null> {
    const keys = this.#surroundings.keys.room(name);
    const head = await this.#head(keys);
    if (!head) return null;
    const packing = new Packing(name, head);
    const [first, place, packed] = next === null ? [0, '', 0] : (JSON.parse(next) as [number, string, number]);
    let [from, skip] = [place as string | null, packed];
    for (const [number, source] of this.#sources(keys).entries()) {
      if (number < first) continue;
      for (from ??= ''; from !== null; skip = 0) {
        const chunk: Chunk = await source(from);
        for (const [index, item] of chunk.items.entries()) {
          if (index >= skip && !packing.takes(chunk.section, item)) return packing.close(JSON.stringify([number, from, index]));
        }
        from = chunk.next;
      }
    }
    return packing.close(null);
  }

  async unpack({ room, head, entries, keys: values, tickets, onces }: Parcel): Promise<void> {
    const { nodes, keys, now } = this.#surroundings;
    const { leases, tickets: places, directory } = this.#hints;
    const of = keys.room(room);
    const isLeased = values.some(([, { lease }]) => lease !== undefined);
    await Promise.all([
      directory.add([room]),
      isLeased && leases.willHave(NO_NODE, of.partition),
      ...tickets.map(({ holder, key }) => places.add(holder, [[room, key]])),
    ]);
    const args = [
      room,
      NO_NODE,
      head.epoch,
      String(head.head),
      JSON.stringify(head.tail),
      String(head.at),
      String(head.tick),
      String(head.oldest),
      now(),
    ];
    args.push(String(entries.length));
    for (const entry of entries) args.push(String(entry.seq), entry.listed ? '1' : '0', textOf(entry));
    args.push(String(values.length));
    for (const [key, { value, seq, mark, lease }] of values)
      args.push(key, `${seq} ${JSON.stringify(value)}`, mark === undefined ? '' : String(mark), lease ?? '');
    args.push(String(tickets.length));
    for (const { holder, key, ...ticket } of tickets)
      args.push(pair(holder, key), ticketText(ticket), ticket.until === null ? '' : String(ticket.until));
    args.push(String(onces.length));
    for (const [once, first, count] of onces) args.push(once, `${first}:${count}`);
    await nodes.run(scripts.unpack, {
      partition: of.partition,
      keys: [of.room, of.log, of.listed, of.keys, of.order, of.marks, of.leases, of.tickets, of.endings, of.onces[0], of.held],
      args,
      mayRepeat: true,
    });
    await directory.add([room]);
  }

  async #head({ partition, room }: RoomKeys): Promise<Parcel['head'] | undefined> {
    const names = ['epoch', 'head', 'tail', 'at', 'tick', 'oldest'];
    const [epoch, head, tail, at, tick, oldest] = (await this.#surroundings.nodes.command(partition, ['HMGET', room, ...names])) as Reply[];
    if (epoch === null) return undefined;
    return {
      epoch: String(epoch),
      head: Number(head),
      tail: JSON.parse(String(tail)) as string | null,
      at: Number(at),
      tick: Number(tick),
      oldest: Number(oldest),
    };
  }

  #sources(keys: RoomKeys): Source[] {
    return [
      (from) => this.#entries(keys, from),
      (from) => this.#keys(keys, from),
      (from) => this.#tickets(keys, from),
      ...keys.onces.map(
        (once): Source =>
          (from) =>
            this.#onces(keys, once, from),
      ),
    ];
  }

  async #entries({ partition, room, log, listed }: RoomKeys, from: string): Promise<Chunk> {
    const args = [this.#surroundings.now(), 'up', String(Number(from) + 1), '0', String(CHUNK), String(CHUNK_BYTES)];
    const reply = await this.#surroundings.nodes.run(scripts.page, { partition, keys: [room, log, listed], args, mayRepeat: true });
    const { entries, more } = pageIn(reply as Reply[]);
    return { section: 'entries', items: entries, next: more ? String(entries.at(-1)?.seq) : null };
  }

  async #keys({ partition, keys, order, marks, leases }: RoomKeys, from: string): Promise<Chunk> {
    const args = [from === '' ? '-' : `(${from}`, '+', String(CHUNK)];
    const reply = await this.#surroundings.nodes.run(scripts.family, {
      partition,
      keys: [keys, order, marks, leases],
      args,
      mayRepeat: true,
    });
    const items = keysIn(reply as Reply[]);
    return { section: 'keys', items, next: items.length < CHUNK ? null : placeOf(String(items.at(-1)?.[0])) };
  }

  async #tickets({ partition, tickets }: RoomKeys, from: string): Promise<Chunk> {
    const { fields, next } = await this.#scan(partition, tickets, from);
    const items = fields.map(([field, text]): Item<'tickets'> => {
      const [holder, key] = unpair(field);
      return { holder, key, ...ticketIn(text) };
    });
    return { section: 'tickets', items, next };
  }

  async #onces({ partition }: RoomKeys, once: string, from: string): Promise<Chunk> {
    const { fields, next } = await this.#scan(partition, once, from);
    const items = fields.map(([name, place]): Item<'onces'> => {
      const [first, count] = place.split(':').map(Number) as [number, number];
      return [name, first, count];
    });
    return { section: 'onces', items, next };
  }

  async #scan(partition: number, key: string, from: string): Promise<{ fields: [string, string][]; next: string | null }> {
    const scanned = await this.#surroundings.nodes.command(partition, ['HSCAN', key, from || '0', 'COUNT', String(CHUNK)]);
    const [cursor, list] = scanned as [string, string[]];
    const fields = Array.from({ length: list.length / 2 }, (_, index): [string, string] => [
      String(list[2 * index]),
      String(list[2 * index + 1]),
    ]);
    return { fields, next: cursor === '0' ? null : cursor };
  }
}

/** What `family.lua` answers. */
export function keysIn(rows: Reply[]): [key: string, of: Key][] {
  const keys: [string, Key][] = [];
  for (let index = 0; index < rows.length; index += 4) {
    const key = keyOf(rows.slice(index + 1, index + 4) as [Reply, Reply, Reply]);
    if (key) keys.push([String(rows[index]), key]);
  }
  return keys;
}

/** Where a key stands in the order. */
const placeOf = (key: string): string => pair(key.slice(0, key.lastIndexOf('/') + 1), key.slice(key.lastIndexOf('/') + 1));
