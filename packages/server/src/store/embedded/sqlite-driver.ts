/**
 * Typed wrapper around `node:sqlite` and its error codes. On Node 20, which lacks it, `@photostructure/sqlite` has the same API.
 */
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

/** Milliseconds that a statement waits for another connection. */
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

/** Classifies an SQLite error. Extended result codes have the primary code in their low byte. */
export function classifySqliteError(error: unknown): SqliteErrorKind {
  const { errcode } = error as { errcode?: number };
  return (errcode !== undefined && KINDS_BY_CODE.get(errcode & 0xff)) || 'unknown';
}

export function openDatabase(path: string, options: { readOnly?: boolean } = {}): Database {
  const database = new DatabaseSync(path, options);
  // This must come first: the other connection of this process may hold a lock while it switches to WAL.
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return database;
}

/** Yields rows one by one. After an error it resets the statement, which would otherwise return the same error again. */
export function* iterateRows(rows: IterableIterator<unknown>): Iterable<Row> {
  try {
    for (const row of rows) yield row as Row;
  } catch (error) {
    rows.return?.();
    throw error;
  }
}
