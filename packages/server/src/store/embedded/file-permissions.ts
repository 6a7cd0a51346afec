/** Restricts the data directory and its files to their owner: modes 0700 and 0600, whatever the umask. */
import { chmodSync, closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHER_USERS_MASK = 0o077;
/** The mark of a directory that several users share, such as /tmp. */
const STICKY_BIT = 0o1000;

const STORE_FILES = new Set([
  'engawa.db',
  'engawa.db-wal',
  'engawa.db-shm',
  'engawa.db-journal',
  'engawa.lock',
  'engawa.lock-journal',
  'engawa.witness',
  'engawa.witness.new',
]);
/** Files that a file system itself creates at its mount point. */
const MOUNT_FILES = new Set(['lost+found']);

/**
 * Creates the file with its mode unless it exists, so that no other user can open it before it has its mode. SQLite gives the
 * files next to a database the mode of the database.
 *
 * An existing file is not opened: closing it would release the locks that this process has on it (fcntl(2)).
 */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', FILE_MODE));
  } catch {
    // The file exists; otherwise SQLite reports why it cannot be created.
  }
}

/** Restricts our files to their owner; the directory, too, unless it contains files of others. */
export function makePrivate(folder: string): void {
  const names = readdirSync(folder);
  for (const name of names) if (STORE_FILES.has(name)) restrict(join(folder, name), FILE_MODE);
  if (names.every((name) => STORE_FILES.has(name) || MOUNT_FILES.has(name))) restrict(folder, FOLDER_MODE);
}

/** Whether other users of the machine may read or write the database. */
export const isAccessibleToOthers = (folder: string): boolean =>
  process.platform !== 'win32' && [folder, join(folder, 'engawa.db')].every((path) => (statSync(path).mode & OTHER_USERS_MASK) !== 0);

/** Errors are ignored: a file system without modes, or a different owner, must not prevent the start. */
function restrict(path: string, mode: number): void {
  try {
    const found = statSync(path).mode;
    if ((found & 0o777) !== mode && (found & STICKY_BIT) === 0) chmodSync(path, mode);
  } catch {
    // `isAccessibleToOthers` warns the operator if necessary.
  }
}
