/** Creates and locks the data directory, and explains failures to the operator. */
import { accessSync, constants, existsSync, mkdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreError } from '../contract.ts';
import { classifySqliteError, type Database, openDatabase, type SqliteErrorKind } from './sqlite-driver.ts';

/** `f_type` of network file systems, whose locks and memory maps are not reliable (statfs(2)). */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
]);

/** The name of the network file system that contains the directory; undefined for a local one. */
export function networkFileSystemOf(folder: string): string | undefined {
  return NETWORK_FILE_SYSTEMS.get(statfsSync(folder).type);
}

/**
 * Locks the directory until the returned lock is closed or the process ends. The lock is an open transaction on a file next to
 * the data; the operating system releases it even after a crash.
 */
export function lockDataDirectory(folder: string): Database {
  try {
    createFolder(folder);
  } catch (error) {
    throw new StoreError('failed', `The data folder ${folder} cannot be created: ${(error as Error).message}`, error);
  }
  assertWritable(folder);
  return withOperatorError(folder, () => {
    const lock = openDatabase(join(folder, 'engawa.lock'));
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return lock;
  });
}

/** Creates one directory at a time: Node's `recursive` option never returns if the system refuses with ENOENT, as in /proc. */
function createFolder(path: string): void {
  if (isFolder(path)) return;
  if (path !== dirname(path)) createFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have created it first.
    if (!isFolder(path)) throw error;
  }
}

const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();

/** SQLite would open a read-only directory without an error, and without locking it. */
function assertWritable(folder: string): void {
  try {
    for (const path of [folder, join(folder, 'engawa.db'), join(folder, 'engawa.lock')])
      if (existsSync(path)) accessSync(path, constants.W_OK);
  } catch (error) {
    throw new StoreError('failed', `The data folder ${folder} ${ERROR_TEXTS.readonly} (${(error as Error).message}).`, error);
  }
}

const ERROR_TEXTS: Record<SqliteErrorKind, string> = {
  busy: 'is in use by another server; stop it first, or choose another folder',
  readonly: 'cannot be written to; check its owner and permissions',
  full: 'has no space left',
  io: 'cannot be read or written; check the disk',
  damaged: 'contains a file that is damaged or not a database of Engawa; nothing was changed, restore it from a backup',
  unknown: 'cannot be opened',
};

/** Runs `open`, and converts its errors to messages that tell the operator what to do. */
export function withOperatorError<Result>(folder: string, open: () => Result): Result {
  try {
    return open();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const errorKind = classifySqliteError(error);
    const reason = errorKind === 'full' ? 'full' : 'failed';
    throw new StoreError(reason, `The data folder ${folder} ${ERROR_TEXTS[errorKind]} (${(error as Error).message}).`, error);
  }
}
