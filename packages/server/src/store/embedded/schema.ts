/** Schema of the SQLite database, its migrations, and how it is opened. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../contract.ts';
import { createPrivate, makePrivate } from './file-permissions.ts';
import { type Database, openDatabase } from './sqlite-driver.ts';

/** "Enga" in ASCII: identifies our databases, also to the command `file`. */
const APPLICATION_ID = 0x456e6761;

/**
 * The migrations from each format to the next; a new file runs all of them.
 *
 * A room whose name is null has ended, and its rows wait for their removal. A key `a/b/c` has the family `a/b/` and the name `c`;
 * `counts` stores for parent `a/` and family `b` the number of keys of `a/b/`. `bytes` of a room is the size of the bodies in
 * `entries`. Entries of format 1 have the HLC value 0, below all later ones. Up to format 2, the states of chats were in keys
 * that did not belong to their entries, and trimmed entries, below `oldest` of their room, could remain to be removed.
 */
const FORMATS = [
  `CREATE TABLE rooms (
  room INTEGER PRIMARY KEY, name TEXT UNIQUE, epoch TEXT NOT NULL, head INTEGER NOT NULL, tail TEXT, at INTEGER NOT NULL
) STRICT;
CREATE TABLE entries (
  room INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, prev TEXT, at INTEGER NOT NULL, by TEXT NOT NULL,
  author TEXT NOT NULL, kind TEXT NOT NULL, body TEXT, quiet INTEGER NOT NULL, listed INTEGER NOT NULL, once TEXT,
  PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX listed_entries ON entries (room, seq) WHERE listed = 1;
CREATE INDEX named_appends ON entries (room, once) WHERE once IS NOT NULL;
CREATE TABLE keys (
  room INTEGER NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (room, family, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE counts (
  room INTEGER NOT NULL, parent TEXT NOT NULL, family TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (room, parent, family)
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
  room INTEGER NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, node TEXT NOT NULL, until INTEGER,
  PRIMARY KEY (room, family, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX released_leases ON leases (until) WHERE until IS NOT NULL;
CREATE INDEX held_leases ON leases (node) WHERE until IS NULL;
CREATE TABLE nodes (node TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = ${APPLICATION_ID};`,
  `ALTER TABLE rooms ADD COLUMN oldest INTEGER NOT NULL DEFAULT 1;
ALTER TABLE rooms ADD COLUMN trimmed INTEGER;
CREATE INDEX trimmed_rooms ON rooms (trimmed) WHERE trimmed IS NOT NULL;
CREATE TABLE ticks (newest INTEGER NOT NULL) STRICT;
INSERT INTO ticks VALUES (0);
ALTER TABLE entries ADD COLUMN tick INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN mark INTEGER;
CREATE TABLE tickets (
  holder TEXT NOT NULL, room INTEGER NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, epoch TEXT NOT NULL,
  seq INTEGER NOT NULL, until INTEGER, PRIMARY KEY (holder, room, family, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_of_rooms ON tickets (room);
CREATE INDEX ending_tickets ON tickets (until) WHERE until IS NOT NULL;`,
  `DELETE FROM entries WHERE seq < (SELECT oldest FROM rooms WHERE rooms.room = entries.room AND trimmed = 1);
DROP INDEX trimmed_rooms;
ALTER TABLE rooms DROP COLUMN trimmed;
ALTER TABLE rooms ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN tick INTEGER NOT NULL DEFAULT 0;
UPDATE rooms SET bytes = (SELECT coalesce(sum(octet_length(body)), 0) FROM entries WHERE entries.room = rooms.room),
  tick = coalesce((SELECT tick FROM entries WHERE entries.room = rooms.room AND seq = head), (SELECT newest FROM ticks));
INSERT INTO counts SELECT room, 'entry/', name, 1 FROM keys WHERE family = 'chat/';
DELETE FROM counts WHERE parent = '' AND family = 'chat';
UPDATE keys SET family = 'entry/' || name || '/', name = 'chat' WHERE family = 'chat/';
UPDATE counts SET parent = 'entry/' || substr(parent, 10) || 'reaction/' WHERE parent GLOB 'reaction/*';
UPDATE keys SET family = 'entry/' || substr(family, 10, instr(substr(family, 10), '/')) || 'reaction/' ||
  substr(family, 10 + instr(substr(family, 10), '/')) WHERE family GLOB 'reaction/*';`,
  `CREATE TABLE secrets (secret TEXT NOT NULL) STRICT;
INSERT INTO secrets VALUES (lower(hex(randomblob(32))));`,
];

const databasePath = (folder: string): string => join(folder, 'engawa.db');

export const hasDatabase = (folder: string): boolean => existsSync(databasePath(folder));

const pragma = (database: Database, name: string): unknown => Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0];

/**
 * Opens the only connection that writes. FULL makes every commit wait for the disk; secure_delete overwrites erased data, so that
 * no deleted text remains in the file. File modes are changed last: a directory that is refused stays unchanged.
 */
export function openForWriting(folder: string): Database {
  createPrivate(databasePath(folder));
  const database = openDatabase(databasePath(folder));
  try {
    const isNew = pragma(database, 'schema_version') === 0 && pragma(database, 'application_id') === 0;
    const format = isNew ? 0 : readFormat(folder, database);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 67108864');
    if (format < FORMATS.length)
      database.exec(`BEGIN IMMEDIATE; ${FORMATS.slice(format).join('\n')} PRAGMA user_version = ${FORMATS.length}; COMMIT`);
    makePrivate(folder);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export const openForReading = (folder: string): Database => openDatabase(databasePath(folder), { readOnly: true });

/** Refuses a database of another program or of a later version. */
function readFormat(folder: string, database: Database): number {
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    throw new StoreError('failed', `The file ${databasePath(folder)} is a database of another program; nothing was changed.`);
  }
  const format = Number(pragma(database, 'user_version'));
  if (format < 1 || format > FORMATS.length) {
    throw new StoreError(
      'failed',
      `The file ${databasePath(folder)} has format ${format}, this version of Engawa supports up to ${FORMATS.length}; nothing was changed.`,
    );
  }
  return format;
}

/**
 * Splits `a/b/c` into `['a/b/', 'c']` and `settings` into `['', 'settings']`: the final slash distinguishes a family from no
 * family.
 */
export function splitKey(key: string): [family: string, name: string] {
  const slash = key.lastIndexOf('/');
  return [key.slice(0, slash + 1), key.slice(slash + 1)];
}
