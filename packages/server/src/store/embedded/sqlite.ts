/** The part of `node:sqlite` that this engine uses; `@photostructure/sqlite` has the same API for Node 20, where it is absent. */
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

type Value = string | number | null;
export type Row = Record<string, Value>;

interface Statement {
  run(...values: Value[]): { changes: number | bigint };
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
  iterate(...values: Value[]): IterableIterator<unknown>;
}

interface Sqlite {
  DatabaseSync: new (path: string, options?: { readOnly?: boolean }) => Database;
}

const { DatabaseSync } = ((process.getBuiltinModule('node:sqlite') as unknown) ?? (await import('@photostructure/sqlite'))) as Sqlite;

/** Primary result codes, https://sqlite.org/rescode.html */
const FULL = 13;
const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const CANTOPEN = 14;
const NOTADB = 26;

export type Trouble = 'full' | 'busy' | 'readonly' | 'io' | 'damaged' | 'unknown';

const troubles = new Map<number, Trouble>([
  [FULL, 'full'],
  [BUSY, 'busy'],
  [READONLY, 'readonly'],
  [CANTOPEN, 'readonly'],
  [IOERR, 'io'],
  [CORRUPT, 'damaged'],
  [NOTADB, 'damaged'],
]);

/** What an error of SQLite means here; extended result codes keep the primary one in their low byte. */
export function troubleOf(error: unknown): Trouble {
  const { errcode } = error as { errcode?: number };
  return (errcode !== undefined && troubles.get(errcode & 0xff)) || 'unknown';
}

export function openDatabase(path: string, options: { readOnly?: boolean } = {}): Database {
  const database = new DatabaseSync(path, options);
  // First of all: the other connection of this process may hold a lock while it switches to WAL.
  database.exec('PRAGMA busy_timeout = 5000');
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => withWholeText(database.prepare(sql)),
    close: () => database.close(),
  };
}

/**
 * SQLite takes text to end at U+0000. So U+0000 and U+0001 are kept as two characters each, which leaves the order of
 * texts as it is. JSON text has neither of them.
 */
function withWholeText(statement: Statement): Statement {
  return {
    run: (...values) => statement.run(...values.map(toText)),
    get: (...values) => fromRow(statement.get(...values.map(toText))),
    all: (...values) => statement.all(...values.map(toText)).map(fromRow),
    *iterate(...values) {
      const rows = statement.iterate(...values.map(toText));
      try {
        for (const row of rows) yield fromRow(row);
      } catch (error) {
        // Else the next question of this statement, too, would be answered with this error.
        rows.return?.();
        throw error;
      }
    },
  };
}

function toText(value: Value): Value {
  if (typeof value !== 'string' || !(value.includes('\0') || value.includes('\u0001'))) return value;
  return value.replaceAll('\u0001', '\u0001\u0002').replaceAll('\0', '\u0001\u0001');
}

function fromRow(found: unknown): unknown {
  const row = found as Row | undefined;
  for (const name in row) {
    const value = row[name];
    if (typeof value === 'string' && value.includes('\u0001')) {
      row[name] = value.replace(/\u0001[\u0001\u0002]/g, (kept) => (kept[1] === '\u0001' ? '\0' : '\u0001'));
    }
  }
  return row;
}
