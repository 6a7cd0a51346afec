/** The part of `node:sqlite` that this engine uses; `@photostructure/sqlite` has the same API for Node 20, where it is absent. */
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

export type Value = string | number | null;
export type Row = Record<string, Value>;

export interface Statement {
  run(...values: Value[]): { changes: number | bigint };
  get(...values: Value[]): unknown;
  all(...values: Value[]): unknown[];
  iterate(...values: Value[]): IterableIterator<unknown>;
}

interface Sqlite {
  DatabaseSync: new (path: string, options?: { readOnly?: boolean }) => Database;
}

const { DatabaseSync } = ((process.getBuiltinModule('node:sqlite') as unknown) ?? (await import('@photostructure/sqlite'))) as Sqlite;

/** How long a statement waits for another connection. */
export const BUSY_TIMEOUT_MS = 5_000;

/** Primary result codes, https://sqlite.org/rescode.html */
const FULL = 13;
const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const CANTOPEN = 14;
const NOTADB = 26;

export type SqliteErrorKind = 'full' | 'busy' | 'readonly' | 'io' | 'damaged' | 'unknown';

const KINDS_BY_CODE = new Map<number, SqliteErrorKind>([
  [FULL, 'full'],
  [BUSY, 'busy'],
  [READONLY, 'readonly'],
  [CANTOPEN, 'readonly'],
  [IOERR, 'io'],
  [CORRUPT, 'damaged'],
  [NOTADB, 'damaged'],
]);

/** What an error of SQLite means here; extended result codes keep the primary one in their low byte. */
export function classifySqliteError(error: unknown): SqliteErrorKind {
  const { errcode } = error as { errcode?: number };
  return (errcode !== undefined && KINDS_BY_CODE.get(errcode & 0xff)) || 'unknown';
}

export function openDatabase(path: string, options: { readOnly?: boolean } = {}): Database {
  const database = new DatabaseSync(path, options);
  // First of all: the other connection of this process may hold a lock while it switches to WAL.
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return database;
}

/** Rows one by one; after an error the statement is ready for its next question, which it else answers with the same error. */
export function* iterateRows(rows: IterableIterator<unknown>): Iterable<Row> {
  try {
    for (const row of rows) yield row as Row;
  } catch (error) {
    rows.return?.();
    throw error;
  }
}
