import {
  type Ask,
  type Entry,
  type Facts,
  type Json,
  type Kept,
  type Key,
  PAGE_BYTES,
  type Page,
  type RoomHead,
  type Ticket,
} from '../store.ts';
import { splitKey } from './schema.ts';
import { type Database, eachRow, type Row } from './sqlite.ts';

interface RoomRow {
  room: number;
  epoch: string;
  head: number;
  tail: string | null;
  oldest: number;
}

interface PageAsk {
  before?: number;
  after?: number;
  listed?: boolean;
  limit: number;
}

/** The questions of the store contract, answered on the main thread by a connection that only reads. */
export class Reader {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof prepareAll>;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepareAll(database);
  }

  read(name: string, { keys = [], seqs = [], counts = [] }: Ask): Facts {
    return this.#inOneMoment(() => {
      const facts: Facts = { epoch: null, head: 0, keys: new Map(), entries: new Map(), counts: new Map() };
      for (const parent of counts) facts.counts.set(parent, new Map());
      const room = this.#room(name);
      if (!room) return facts;
      for (const key of keys) {
        const row = this.#sql.key.get(room.room, ...splitKey(key)) as Row | undefined;
        if (row) facts.keys.set(key, toKey(row));
      }
      for (const seq of seqs.filter((each) => each >= room.oldest)) {
        const row = this.#sql.entry.get(room.room, seq) as Row | undefined;
        if (row) facts.entries.set(seq, toEntry(row));
      }
      for (const parent of counts) {
        const rows = this.#sql.counts.all(room.room, parent === '' ? '' : `${parent}/`) as { family: string; count: number }[];
        facts.counts.set(parent, new Map(rows.map(({ family, count }) => [family, count])));
      }
      return { ...facts, epoch: room.epoch, head: room.head };
    });
  }

  recall(name: string, once: string): Kept | null {
    return this.#inOneMoment(() => {
      const room = this.#room(name);
      const entries = room ? (this.#sql.recall.all(room.room, once, room.oldest) as Kept['entries']) : [];
      return room && entries.length > 0 ? { epoch: room.epoch, entries } : null;
    });
  }

  page(name: string, { before, after, listed = false, limit }: PageAsk): Page {
    return this.#inOneMoment(() => {
      const room = this.#room(name);
      if (!room) return { epoch: null, head: 0, tail: null, oldest: 0, entries: [], more: false };
      const { up, down } = listed ? this.#sql.listed : this.#sql.all;
      const { epoch, head, tail, oldest } = room;
      const rows =
        after === undefined
          ? down.iterate(room.room, oldest, before ?? Number.MAX_SAFE_INTEGER, limit + 1)
          : up.iterate(room.room, Math.max(oldest, after + 1), Number.MAX_SAFE_INTEGER, limit + 1);
      const { entries, more } = takePage(eachRow(rows), limit);
      return { epoch, head, tail, oldest, entries: after === undefined ? entries.reverse() : entries, more };
    });
  }

  family(name: string, family: string, { after = '', limit }: { after?: string; limit: number }): { keys: [string, Key][]; more: boolean } {
    const room = this.#room(name);
    const rows = room ? (this.#sql.family.all(room.room, `${family}/`, after, limit + 1) as Row[]) : [];
    return { keys: rows.slice(0, limit).map((row) => [String(row.name), toKey(row)]), more: rows.length > limit };
  }

  rooms({ after = '', limit }: { after?: string; limit: number }): { rooms: RoomHead[]; more: boolean } {
    const rooms = this.#sql.rooms.all(after, limit + 1) as RoomHead[];
    return { rooms: rooms.slice(0, limit), more: rooms.length > limit };
  }

  tickets(holder: string, now: number, limit: number): Ticket[] {
    const rows = this.#sql.tickets.all(holder, now, limit) as Row[];
    return rows.map(({ room, family, name, value, seq, epoch }) => ({
      room: String(room),
      key: `${family}${name}`,
      value: JSON.parse(String(value)) as Json,
      seq: Number(seq),
      epoch: String(epoch),
    }));
  }

  lapsed(now: number, limit: number): { room: string; key: string }[] {
    const rows = this.#sql.lapsed.all(now, now, limit) as { room: string; family: string; name: string }[];
    return rows.map(({ room, family, name }) => ({ room, key: family + name }));
  }

  #room(name: string): RoomRow | undefined {
    return this.#sql.room.get(name) as RoomRow | undefined;
  }

  /** One snapshot for several statements: the writer commits beside us at any time. */
  #inOneMoment<Result>(read: () => Result): Result {
    this.#database.exec('BEGIN');
    try {
      const result = read();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}

function takePage(rows: Iterable<Row>, limit: number): { entries: Entry[]; more: boolean } {
  const entries: Entry[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.body === null ? 0 : Buffer.byteLength(String(row.body));
    if (entries.length === limit || (bytes > PAGE_BYTES && entries.length > 0)) return { entries, more: true };
    entries.push(toEntry(row));
  }
  return { entries, more: false };
}

const toKey = ({ value, seq, mark, held }: Row): Key => ({
  value: JSON.parse(String(value)) as Json,
  seq: Number(seq),
  ...(mark !== null && { mark: Number(mark) }),
  ...(held !== null && { lease: held === 1 ? 'held' : 'released' }),
});

function toEntry(row: Row): Entry {
  return {
    seq: Number(row.seq),
    id: String(row.id),
    prev: row.prev as string | null,
    at: Number(row.at),
    tick: Number(row.tick),
    by: String(row.by),
    author: String(row.author),
    kind: String(row.kind),
    body: row.body === null ? null : (JSON.parse(String(row.body)) as { [name: string]: Json }),
    quiet: row.quiet === 1,
    listed: row.listed === 1,
  };
}

/** INDEXED BY and CROSS JOIN where SQLite, which has no statistics of ours, would rather go through a whole room. */
function prepareAll(database: Database) {
  const sql = (text: string) => database.prepare(text);
  const columns = 'seq, id, prev, at, tick, by, author, kind, body, quiet, listed';
  /** `held` is null without a lease, which is found by the name of its key, as it stands in the row that is read. */
  const key = `name, value, seq, mark,
    (SELECT until IS NULL FROM leases WHERE leases.room = keys.room AND leases.family = keys.family AND leases.name = keys.name) AS held`;
  const pages = (entries: string, where = '') => ({
    up: sql(`SELECT ${columns} FROM ${entries} WHERE room = ? AND seq >= ? AND seq < ? ${where} ORDER BY seq LIMIT ?`),
    down: sql(`SELECT ${columns} FROM ${entries} WHERE room = ? AND seq >= ? AND seq < ? ${where} ORDER BY seq DESC LIMIT ?`),
  });
  return {
    room: sql('SELECT room, epoch, head, tail, oldest FROM rooms WHERE name = ?'),
    key: sql(`SELECT ${key} FROM keys WHERE room = ? AND family = ? AND name = ?`),
    entry: sql(`SELECT ${columns} FROM entries WHERE room = ? AND seq = ?`),
    recall: sql('SELECT seq, id, at FROM entries INDEXED BY named_appends WHERE room = ? AND once = ? AND seq >= ? ORDER BY seq'),
    all: pages('entries'),
    listed: pages('entries INDEXED BY listed_entries', 'AND listed = 1'),
    family: sql(`SELECT ${key} FROM keys WHERE room = ? AND family = ? AND name > ? ORDER BY name LIMIT ?`),
    counts: sql('SELECT family, count FROM counts WHERE room = ? AND parent = ? ORDER BY family'),
    rooms: sql('SELECT name AS room, epoch, head, at FROM rooms WHERE name > ? ORDER BY name LIMIT ?'),
    tickets: sql(
      `SELECT rooms.name AS room, tickets.epoch, family, tickets.name, value, seq FROM tickets CROSS JOIN rooms USING (room)
       WHERE holder = ? AND coalesce(until, 9e18) > ? AND rooms.name IS NOT NULL ORDER BY rooms.name, family || tickets.name LIMIT ?`,
    ),
    lapsed: sql(
      `SELECT rooms.name AS room, family, lapsed.name FROM (
         SELECT room, family, name FROM leases WHERE until <= ?
         UNION ALL
         SELECT leases.room, family, name FROM nodes CROSS JOIN leases INDEXED BY held_leases USING (node)
         WHERE leases.until IS NULL AND nodes.until <= ?
       ) AS lapsed JOIN rooms USING (room) WHERE rooms.name IS NOT NULL LIMIT ?`,
    ),
  };
}
