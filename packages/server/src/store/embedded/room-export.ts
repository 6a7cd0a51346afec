/** Exports a room from SQLite in chunks. */
import type { Json, RoomChunk } from '../contract.ts';
import { ChunkBuilder, type ChunkItem, type ChunkSection } from '../export-chunk.ts';
import { ENTRY_COLUMNS, KEY_COLUMNS, toEntry, toKeyState } from './row-mapping.ts';
import { type Database, iterateRows, type Row, type Statement, type Value } from './sqlite-driver.ts';

type RoomRow = RoomChunk['head'] & { room: number };

/** Reads the rows of a section. Parameters: the room, its oldest entry, and the values after which the rows begin. */
interface SectionRows<Of extends ChunkSection = ChunkSection> {
  section: Of;
  select: Statement;
  toItem: (row: Row) => ChunkItem<Of>;
  /** The columns by which the rows are sorted. */
  order: string[];
  /** Values below all rows. */
  start: Value[];
}

/** Exports rooms section by section, each in the order of an index, so that the cost of a chunk does not depend on the room. */
export class RoomExporter {
  readonly #findRoom: Statement;
  readonly #sections: SectionRows[];

  constructor(database: Database) {
    this.#findRoom = database.prepare(
      'SELECT room, epoch, head, tail AS lastBroadcastId, at, tick AS hlc, oldest FROM rooms WHERE name = ?',
    );
    this.#sections = prepareSections((sql) => database.prepare(sql));
  }

  /** `next` is the number of a section, and the values of `order` after which the chunk begins. */
  exportChunk(name: string, next: string | null): RoomChunk | null {
    const roomRow = this.#findRoom.get(name) as RoomRow | undefined;
    if (!roomRow) return null;
    const { room, ...head } = roomRow;
    const builder = new ChunkBuilder(name, head);
    let [number, ...cursor] = next === null ? [0] : (JSON.parse(next) as [number, ...Value[]]);
    for (const { section, select, toItem, order, start } of this.#sections.slice(number)) {
      if (cursor.length === 0) cursor = start;
      for (const row of iterateRows(select.iterate(room, head.oldest, ...cursor))) {
        if (!builder.tryAdd(section, toItem(row))) return builder.build(JSON.stringify([number, ...cursor]));
        cursor = order.map((column) => row[column] as Value);
      }
      number += 1;
      cursor = [];
    }
    return builder.build(null);
  }
}

/** INDEXED BY, because SQLite, without statistics of our data, would scan a whole room. */
function prepareSections(sql: (text: string) => Statement): SectionRows[] {
  const entries: SectionRows<'entries'> = {
    section: 'entries',
    select: sql(`SELECT ${ENTRY_COLUMNS} FROM entries WHERE room = ?1 AND seq > max(?2 - 1, ?3) ORDER BY seq`),
    toItem: toEntry,
    order: ['seq'],
    start: [0],
  };
  const keys: SectionRows<'keys'> = {
    section: 'keys',
    select: sql(`SELECT family, ${KEY_COLUMNS} FROM keys WHERE room = ?1 AND (family, name) > (?3, ?4) ORDER BY family, name`),
    toItem: (row) => [`${row.family}${row.name}`, toKeyState(row)],
    order: ['family', 'name'],
    start: ['', ''],
  };
  const tickets: SectionRows<'tickets'> = {
    section: 'tickets',
    select: sql(
      `SELECT holder, family, name, value, epoch, seq, until FROM tickets INDEXED BY tickets_of_rooms
       WHERE room = ?1 AND (holder, family, name) > (?3, ?4, ?5) ORDER BY holder, family, name`,
    ),
    toItem: ({ holder, family, name, value, epoch, seq, until }) => ({
      holder: String(holder),
      key: `${family}${name}`,
      value: JSON.parse(String(value)) as Json,
      epoch: String(epoch),
      seq: Number(seq),
      until: until as number | null,
    }),
    order: ['holder', 'family', 'name'],
    start: ['', '', ''],
  };
  const idempotencyKeys: SectionRows<'idempotencyKeys'> = {
    section: 'idempotencyKeys',
    select: sql(
      `SELECT once, min(seq) AS first, count(*) AS count FROM entries INDEXED BY named_appends
       WHERE room = ?1 AND once > ?3 AND seq >= ?2 GROUP BY once ORDER BY once`,
    ),
    toItem: ({ once, first, count }) => [String(once), Number(first), Number(count)],
    order: ['once'],
    start: [''],
  };
  return [entries, keys, tickets, idempotencyKeys];
}
