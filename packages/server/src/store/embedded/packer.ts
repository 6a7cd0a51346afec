import { type Item, Packing, type Section } from '../parcels.ts';
import type { Json, Parcel } from '../store.ts';
import { ENTRY_COLUMNS, KEY_COLUMNS, toEntry, toKey } from './rows.ts';
import { type Database, eachRow, type Row, type Statement, type Value } from './sqlite.ts';

type RoomRow = Parcel['head'] & { room: number };

/** The rows of a section, asked with the room, its oldest entry, and the place after which they begin. */
interface Rows<Of extends Section = Section> {
  section: Of;
  select: Statement;
  toItem: (row: Row) => Item<Of>;
  /** The columns by which they are ordered. */
  order: string[];
  /** Below all of them. */
  start: Value[];
}

/** Packs rooms section by section, each in the order of an index, so that a part costs the part. */
export class Packer {
  readonly #findRoom: Statement;
  readonly #sections: Rows[];

  constructor(database: Database) {
    this.#findRoom = database.prepare('SELECT room, epoch, head, tail, at, tick, oldest FROM rooms WHERE name = ?');
    this.#sections = sectionsOf((sql) => database.prepare(sql));
  }

  /** `next` is the number of a section, and the place in it after which the part begins. */
  pack(name: string, next: string | null): Parcel | null {
    const found = this.#findRoom.get(name) as RoomRow | undefined;
    if (!found) return null;
    const { room, ...head } = found;
    const packing = new Packing(name, head);
    let [number, ...place] = next === null ? [0] : (JSON.parse(next) as [number, ...Value[]]);
    for (const { section, select, toItem, order, start } of this.#sections.slice(number)) {
      if (place.length === 0) place = start;
      for (const row of eachRow(select.iterate(room, head.oldest, ...place))) {
        if (!packing.takes(section, toItem(row))) return packing.close(JSON.stringify([number, ...place]));
        place = order.map((column) => row[column] as Value);
      }
      number += 1;
      place = [];
    }
    return packing.close(null);
  }
}

/** INDEXED BY where SQLite, which has no statistics of ours, would rather go through a whole room. */
function sectionsOf(sql: (text: string) => Statement): Rows[] {
  const entries: Rows<'entries'> = {
    section: 'entries',
    select: sql(`SELECT ${ENTRY_COLUMNS} FROM entries WHERE room = ?1 AND seq > max(?2 - 1, ?3) ORDER BY seq`),
    toItem: toEntry,
    order: ['seq'],
    start: [0],
  };
  const keys: Rows<'keys'> = {
    section: 'keys',
    select: sql(`SELECT family, ${KEY_COLUMNS} FROM keys WHERE room = ?1 AND (family, name) > (?3, ?4) ORDER BY family, name`),
    toItem: (row) => [`${row.family}${row.name}`, toKey(row)],
    order: ['family', 'name'],
    start: ['', ''],
  };
  const tickets: Rows<'tickets'> = {
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
  const onces: Rows<'onces'> = {
    section: 'onces',
    select: sql(
      `SELECT once, min(seq) AS first, count(*) AS count FROM entries INDEXED BY named_appends
       WHERE room = ?1 AND once > ?3 AND seq >= ?2 GROUP BY once ORDER BY once`,
    ),
    toItem: ({ once, first, count }) => [String(once), Number(first), Number(count)],
    order: ['once'],
    start: [''],
  };
  return [entries, keys, tickets, onces];
}
