/** Exports and imports rooms of the Redis store in chunks. */
import type { KeyState, RoomChunk } from '../contract.ts';
import { ChunkBuilder, type ChunkItem, type ChunkSection } from '../export-chunk.ts';
import { decodeKey, decodePage, decodeTicket, encodeEntry, encodeTicket } from './codec.ts';
import type { RedisContext } from './context.ts';
import { joinPair, type RoomKeyNames, splitPair } from './key-names.ts';
import type { LeaseIndex } from './lease-index.ts';
import type { Reply } from './redis-connection.ts';
import type { RoomIndex } from './room-index.ts';
import { scripts } from './scripts.ts';
import type { TicketIndex } from './ticket-index.ts';

/** Items of one read. */
const READ_BATCH = 250;
const READ_BATCH_BYTES = 1024 * 1024;
/** The node of imported leases. It has no heartbeat. */
const NO_NODE = '';

/** A part of a section: its items, and where the next part begins. */
interface SectionBatch {
  section: ChunkSection;
  items: ChunkItem[];
  next: string | null;
}

/** Reads a section from a cursor on; the first cursor is `''`. */
type SectionReader = (from: string) => Promise<SectionBatch>;

/** Exports and imports rooms. */
export class RoomTransfer {
  readonly #context: RedisContext;
  readonly #indexes: { leases: LeaseIndex; tickets: TicketIndex; rooms: RoomIndex };

  constructor(context: RedisContext, indexes: { leases: LeaseIndex; tickets: TicketIndex; rooms: RoomIndex }) {
    this.#context = context;
    this.#indexes = indexes;
  }

  /** `next` is the number of a section, a cursor in it, and how many items after that cursor were exported before. */
  async exportChunk(name: string, next: string | null): Promise<RoomChunk | null> {
    const keys = this.#context.keys.room(name);
    const head = await this.#readHead(keys);
    if (!head) return null;
    const builder = new ChunkBuilder(name, head);
    const [first, startCursor, startIndex] = next === null ? [0, '', 0] : (JSON.parse(next) as [number, string, number]);
    let [from, skip] = [startCursor as string | null, startIndex];
    for (const [number, readSection] of this.#sectionReaders(keys).entries()) {
      if (number < first) continue;
      for (from ??= ''; from !== null; skip = 0) {
        const batch: SectionBatch = await readSection(from);
        for (const [index, item] of batch.items.entries()) {
          if (index >= skip && !builder.tryAdd(batch.section, item)) return builder.build(JSON.stringify([number, from, index]));
        }
        from = batch.next;
      }
    }
    return builder.build(null);
  }

  async importChunk({ room, head, entries, keys: values, tickets, idempotencyKeys }: RoomChunk): Promise<void> {
    const { redis, keys, now } = this.#context;
    const { leases, tickets: ticketIndex, rooms } = this.#indexes;
    const names = keys.room(room);
    const isLeased = values.some(([, { lease }]) => lease !== undefined);
    await Promise.all([
      rooms.add([room]),
      isLeased && leases.registerPartition(NO_NODE, names.partition),
      ...tickets.map(({ holder, key }) => ticketIndex.add(holder, [[room, key]])),
    ]);
    const args = [
      room,
      NO_NODE,
      head.epoch,
      String(head.head),
      JSON.stringify(head.lastBroadcastId),
      String(head.at),
      String(head.hlc),
      String(head.oldest),
      now(),
    ];
    args.push(String(entries.length));
    for (const entry of entries) args.push(String(entry.seq), entry.listed ? '1' : '0', encodeEntry(entry));
    args.push(String(values.length));
    for (const [key, { value, seq, mark, lease }] of values)
      args.push(key, `${seq} ${JSON.stringify(value)}`, mark === undefined ? '' : String(mark), lease ?? '');
    args.push(String(tickets.length));
    for (const { holder, key, ...ticket } of tickets)
      args.push(joinPair(holder, key), encodeTicket(ticket), ticket.until === null ? '' : String(ticket.until));
    args.push(String(idempotencyKeys.length));
    for (const [idempotencyKey, first, count] of idempotencyKeys) args.push(idempotencyKey, `${first}:${count}`);
    await redis.runScript(scripts.importChunk, {
      partition: names.partition,
      keys: [
        names.room,
        names.log,
        names.listed,
        names.keys,
        names.sortedKeys,
        names.marks,
        names.leases,
        names.tickets,
        names.ticketExpiries,
        names.idempotencyKeys[0],
        names.nodeLeasesPrefix,
      ],
      args,
      isRepeatable: true,
    });
    await rooms.add([room]);
  }

  async #readHead({ partition, room }: RoomKeyNames): Promise<RoomChunk['head'] | undefined> {
    const names = ['epoch', 'head', 'tail', 'at', 'tick', 'oldest'];
    const [epoch, head, lastBroadcastId, at, hlc, oldest] = (await this.#context.redis.send(partition, [
      'HMGET',
      room,
      ...names,
    ])) as Reply[];
    if (epoch === null) return undefined;
    return {
      epoch: String(epoch),
      head: Number(head),
      lastBroadcastId: JSON.parse(String(lastBroadcastId)) as string | null,
      at: Number(at),
      hlc: Number(hlc),
      oldest: Number(oldest),
    };
  }

  #sectionReaders(keys: RoomKeyNames): SectionReader[] {
    return [
      (from) => this.#readEntries(keys, from),
      (from) => this.#readKeys(keys, from),
      (from) => this.#readTickets(keys, from),
      ...keys.idempotencyKeys.map(
        (hashKey): SectionReader =>
          (from) =>
            this.#readIdempotencyKeys(keys, hashKey, from),
      ),
    ];
  }

  async #readEntries({ partition, room, log, listed }: RoomKeyNames, from: string): Promise<SectionBatch> {
    const args = [this.#context.now(), 'up', String(Number(from) + 1), '0', String(READ_BATCH), String(READ_BATCH_BYTES)];
    const reply = await this.#context.redis.runScript(scripts.readPage, { partition, keys: [room, log, listed], args, isRepeatable: true });
    const { entries, hasMore } = decodePage(reply as Reply[]);
    return { section: 'entries', items: entries, next: hasMore ? String(entries.at(-1)?.seq) : null };
  }

  async #readKeys({ partition, keys, sortedKeys, marks, leases }: RoomKeyNames, from: string): Promise<SectionBatch> {
    const args = [from === '' ? '-' : `(${from}`, '+', String(READ_BATCH)];
    const reply = await this.#context.redis.runScript(scripts.listKeys, {
      partition,
      keys: [keys, sortedKeys, marks, leases],
      args,
      isRepeatable: true,
    });
    const items = decodeKeys(reply as Reply[]);
    return { section: 'keys', items, next: items.length < READ_BATCH ? null : sortedKeyOf(String(items.at(-1)?.[0])) };
  }

  async #readTickets({ partition, tickets }: RoomKeyNames, from: string): Promise<SectionBatch> {
    const { fields, next } = await this.#scanHash(partition, tickets, from);
    const items = fields.map(([field, text]): ChunkItem<'tickets'> => {
      const [holder, key] = splitPair(field);
      return { holder, key, ...decodeTicket(text) };
    });
    return { section: 'tickets', items, next };
  }

  async #readIdempotencyKeys({ partition }: RoomKeyNames, hashKey: string, from: string): Promise<SectionBatch> {
    const { fields, next } = await this.#scanHash(partition, hashKey, from);
    const items = fields.map(([name, range]): ChunkItem<'idempotencyKeys'> => {
      const [first, count] = range.split(':').map(Number) as [number, number];
      return [name, first, count];
    });
    return { section: 'idempotencyKeys', items, next };
  }

  async #scanHash(partition: number, key: string, from: string): Promise<{ fields: [string, string][]; next: string | null }> {
    const scanned = await this.#context.redis.send(partition, ['HSCAN', key, from || '0', 'COUNT', String(READ_BATCH)]);
    const [cursor, flatFields] = scanned as [string, string[]];
    const fields = Array.from({ length: flatFields.length / 2 }, (_, index): [string, string] => [
      String(flatFields[2 * index]),
      String(flatFields[2 * index + 1]),
    ]);
    return { fields, next: cursor === '0' ? null : cursor };
  }
}

/** Decodes the reply of `list-keys.lua`. */
export function decodeKeys(rows: Reply[]): [key: string, state: KeyState][] {
  const keys: [string, KeyState][] = [];
  for (let index = 0; index < rows.length; index += 4) {
    const key = decodeKey(rows.slice(index + 1, index + 4) as [Reply, Reply, Reply]);
    if (key) keys.push([String(rows[index]), key]);
  }
  return keys;
}

/** The position of a key in the sorted set of keys. */
const sortedKeyOf = (key: string): string => joinPair(key.slice(0, key.lastIndexOf('/') + 1), key.slice(key.lastIndexOf('/') + 1));
