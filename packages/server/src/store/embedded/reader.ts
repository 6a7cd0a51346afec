/** Read operations of the embedded store, on a read-only connection. */
import {
  type AppendReceipt,
  type Entry,
  type Json,
  type KeyState,
  type Page,
  type PageQuery,
  pageByteLimit,
  type ReadQuery,
  type RoomChunk,
  type RoomFacts,
  type RoomHead,
  type RoomSummary,
  type Store,
  type Ticket,
} from '../contract.ts';
import { RoomExporter } from './room-export.ts';
import { ENTRY_COLUMNS, KEY_COLUMNS, toEntry, toKeyState } from './row-mapping.ts';
import { splitKey } from './schema.ts';
import { type Database, iterateRows, type Row, type Statement } from './sqlite-driver.ts';

interface RoomRow {
  room: number;
  epoch: string;
  head: number;
  tail: string | null;
  tick: number;
  oldest: number;
  bytes: number;
}

/** The read operations of the store contract, on the main thread. */
export class Reader {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof prepareStatements>;
  readonly #listingStatements = new Map<string, Statement>();
  readonly #exporter: RoomExporter;

  constructor(database: Database) {
    this.#database = database;
    this.#sql = prepareStatements(database);
    this.#exporter = new RoomExporter(database);
  }

  read(name: string, { keys = [], seqs = [], counts = [] }: ReadQuery): RoomFacts {
    return this.#inTransaction(() => {
      const facts: RoomFacts = { epoch: null, head: 0, bytes: 0, keys: new Map(), entries: new Map(), counts: new Map() };
      for (const parent of counts) facts.counts.set(parent, new Map());
      const room = this.#room(name);
      if (!room) return facts;
      for (const key of keys) {
        const row = this.#sql.key.get(room.room, ...splitKey(key)) as Row | undefined;
        if (row) facts.keys.set(key, toKeyState(row));
      }
      for (const seq of seqs) {
        const row = this.#sql.entry.get(room.room, seq) as Row | undefined;
        if (row) facts.entries.set(seq, toEntry(row));
      }
      for (const parent of counts) {
        const rows = this.#sql.counts.all(room.room, parentPrefix(parent)) as { family: string; count: number }[];
        facts.counts.set(parent, new Map(rows.map(({ family, count }) => [family, count])));
      }
      return { ...facts, epoch: room.epoch, head: room.head, bytes: room.bytes };
    });
  }

  findByIdempotencyKey(name: string, idempotencyKey: string): AppendReceipt | null {
    return this.#inTransaction(() => {
      const room = this.#room(name);
      const entries = room ? (this.#sql.byIdempotencyKey.all(room.room, idempotencyKey) as AppendReceipt['entries']) : [];
      return room && entries.length > 0 ? { epoch: room.epoch, entries } : null;
    });
  }

  readPage(name: string, query: PageQuery, now: number): Page {
    const { before, after, listed = false, limit } = query;
    return this.#inTransaction(() => {
      const room = this.#room(name);
      if (!room) return { epoch: null, head: 0, lastBroadcastId: null, hlc: 0, oldest: 0, bytes: 0, now, entries: [], hasMore: false };
      const { up, down } = listed ? this.#sql.listed : this.#sql.all;
      const { epoch, head, tail, tick, oldest, bytes } = room;
      const rows =
        after === undefined
          ? down.iterate(room.room, before ?? Number.MAX_SAFE_INTEGER, limit + 1)
          : up.iterate(room.room, after, limit + 1);
      const { entries, hasMore } = takePage(iterateRows(rows), { limit, bytes: pageByteLimit(query) });
      return {
        epoch,
        head,
        lastBroadcastId: tail,
        hlc: tick,
        oldest,
        bytes,
        now,
        entries: after === undefined ? entries.reverse() : entries,
        hasMore,
      };
    });
  }

  listKeys(
    name: string,
    family: string,
    { after = '', limit }: { after?: string; limit: number },
  ): { keys: [string, KeyState][]; hasMore: boolean } {
    const room = this.#room(name);
    const rows = room ? (this.#sql.family.all(room.room, `${family}/`, after, limit + 1) as Row[]) : [];
    return { keys: rows.slice(0, limit).map((row) => [String(row.name), toKeyState(row)]), hasMore: rows.length > limit };
  }

  listRooms({ after = '', limit, keys = [], counts = [] }: Parameters<Store['listRooms']>[0]): { rooms: RoomSummary[]; hasMore: boolean } {
    const statement = this.#listingStatement(keys.length, counts.length);
    const rows = statement.all(...keys.flatMap(splitKey), ...counts.map(parentPrefix), after, limit + 1) as RoomSummaryRow[];
    return { rooms: rows.slice(0, limit).map((row) => toRoomSummary(row, { keys, counts })), hasMore: rows.length > limit };
  }

  countRooms(): number {
    return (this.#sql.countRooms.get() as { count: number }).count;
  }

  secret(): string {
    return String((this.#sql.secret.get() as { secret: string }).secret);
  }

  /** Size of the used pages. Free pages are reused. */
  usedBytes(): number {
    const { pages, free, size } = this.#sql.pages.get() as { pages: number; free: number; size: number };
    return (pages - free) * size;
  }

  listTickets(holder: string, now: number, limit: number): Ticket[] {
    const rows = this.#sql.tickets.all(holder, now, limit) as Row[];
    return rows.map(({ room, family, name, value, seq, epoch }) => ({
      room: String(room),
      key: `${family}${name}`,
      value: JSON.parse(String(value)) as Json,
      seq: Number(seq),
      epoch: String(epoch),
    }));
  }

  listExpiredLeases(now: number, limit: number): { room: string; key: string }[] {
    const rows = this.#sql.expiredLeases.all(now, now, limit) as { room: string; family: string; name: string }[];
    return rows.map(({ room, family, name }) => ({ room, key: family + name }));
  }

  exportChunk(name: string, next: string | null): RoomChunk | null {
    return this.#inTransaction(() => this.#exporter.exportChunk(name, next));
  }

  /** The statement that lists rooms with this many keys and counts; only few combinations occur. */
  #listingStatement(keys: number, counts: number): Statement {
    const name = `${keys} ${counts}`;
    const statement = this.#listingStatements.get(name) ?? this.#database.prepare(listingSql(keys, counts));
    this.#listingStatements.set(name, statement);
    return statement;
  }

  #room(name: string): RoomRow | undefined {
    return this.#sql.room.get(name) as RoomRow | undefined;
  }

  /** One snapshot for several statements: the writer may commit at any time. */
  #inTransaction<Result>(read: () => Result): Result {
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

/** Each key is `[value, seq, mark, held]`, counts are a list of pairs: rows with few columns are read faster. */
type RoomSummaryRow = RoomHead & Record<`key${number}` | `counts${number}`, string | null>;

function listingSql(keys: number, counts: number): string {
  const columns = (name: string, count: number, sql: string) =>
    Array.from({ length: count }, (_, index) => `, (${sql}) AS ${name}${index}`);
  const key = `SELECT json_array(value, seq, mark, held) FROM (SELECT ${KEY_COLUMNS} FROM keys WHERE room = rooms.room AND family = ? AND name = ?)`;
  const families = 'SELECT json_group_array(json_array(family, count)) FROM counts WHERE room = rooms.room AND parent = ?';
  return `SELECT name AS room, epoch, head, at ${columns('key', keys, key).join('')} ${columns('counts', counts, families).join('')}
    FROM rooms WHERE name > ? ORDER BY name LIMIT ?`;
}

function toRoomSummary(row: RoomSummaryRow, query: { keys: string[]; counts: string[] }): RoomSummary {
  const { room, epoch, head, at } = row;
  const summary: RoomSummary = { room, epoch, head, at, keys: new Map(), counts: new Map() };
  for (const [index, name] of query.keys.entries()) {
    const key = row[`key${index}`];
    if (typeof key !== 'string') continue;
    const [value, seq, mark, held] = JSON.parse(key) as [string, number, number | null, 0 | 1 | 2 | null];
    summary.keys.set(name, toKeyState({ value, seq, mark, held }));
  }
  for (const [index, parent] of query.counts.entries())
    summary.counts.set(parent, new Map(JSON.parse(row[`counts${index}`] ?? '[]') as [string, number][]));
  return summary;
}

const parentPrefix = (parent: string): string => (parent === '' ? '' : `${parent}/`);

function takePage(rows: Iterable<Row>, { limit, bytes: maxBytes }: { limit: number; bytes: number }): Pick<Page, 'entries' | 'hasMore'> {
  const entries: Entry[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.body === null ? 0 : Buffer.byteLength(String(row.body));
    if (entries.length === limit || (bytes > maxBytes && entries.length > 0)) return { entries, hasMore: true };
    entries.push(toEntry(row));
  }
  return { entries, hasMore: false };
}

/** INDEXED BY and CROSS JOIN, because SQLite, without statistics of our data, would scan a whole room. */
function prepareStatements(database: Database) {
  const sql = (text: string) => database.prepare(text);
  const pages = (entries: string, where = '') => ({
    up: sql(`SELECT ${ENTRY_COLUMNS} FROM ${entries} WHERE room = ? AND seq > ? ${where} ORDER BY seq LIMIT ?`),
    down: sql(`SELECT ${ENTRY_COLUMNS} FROM ${entries} WHERE room = ? AND seq < ? ${where} ORDER BY seq DESC LIMIT ?`),
  });
  return {
    room: sql('SELECT room, epoch, head, tail, tick, oldest, bytes FROM rooms WHERE name = ?'),
    key: sql(`SELECT ${KEY_COLUMNS} FROM keys WHERE room = ? AND family = ? AND name = ?`),
    entry: sql(`SELECT ${ENTRY_COLUMNS} FROM entries WHERE room = ? AND seq = ?`),
    byIdempotencyKey: sql('SELECT seq, id, at FROM entries INDEXED BY named_appends WHERE room = ? AND once = ? ORDER BY seq'),
    all: pages('entries'),
    listed: pages('entries INDEXED BY listed_entries', 'AND listed = 1'),
    family: sql(`SELECT ${KEY_COLUMNS} FROM keys WHERE room = ? AND family = ? AND name > ? ORDER BY name LIMIT ?`),
    counts: sql('SELECT family, count FROM counts WHERE room = ? AND parent = ? ORDER BY family'),
    countRooms: sql('SELECT count(*) AS count FROM rooms WHERE name IS NOT NULL'),
    secret: sql('SELECT secret FROM secrets'),
    pages: sql(
      'SELECT page_count AS pages, freelist_count AS free, page_size AS size FROM pragma_page_count, pragma_freelist_count, pragma_page_size',
    ),
    tickets: sql(
      `SELECT rooms.name AS room, tickets.epoch, family, tickets.name, value, seq FROM tickets CROSS JOIN rooms USING (room)
       WHERE holder = ? AND coalesce(until, 9e18) > ? AND rooms.name IS NOT NULL ORDER BY rooms.name, family || tickets.name LIMIT ?`,
    ),
    expiredLeases: sql(
      `SELECT rooms.name AS room, family, expired.name FROM (
         SELECT room, family, name FROM leases WHERE until <= ?
         UNION ALL
         SELECT leases.room, family, name FROM nodes CROSS JOIN leases INDEXED BY held_leases USING (node)
         WHERE leases.until IS NULL AND nodes.until <= ?
       ) AS expired JOIN rooms USING (room) WHERE rooms.name IS NOT NULL LIMIT ?`,
    ),
  };
}
