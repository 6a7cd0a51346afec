// Files and folders that only the user may read, written atomically.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS_MASK = 0o077;

export const errorCode = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** Creates the folder if it is missing, and makes it accessible to the user only. */
export function makePrivateFolder(path: string): void {
  makeFolder(path);
  ensurePrivate(path, statSync(path));
}

/**
 * Reads a file; undefined if it does not exist. Removes read permission of other users first. Does not follow symbolic links and
 * rejects files of another owner, because an attacker may have put them there.
 */
export function readPrivateFile(path: string): string | undefined {
  try {
    const stats = lstatSync(path);
    if (!stats.isFile()) throw new Error(`${path} is not a regular file`);
    ensurePrivate(path, stats);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes atomically. A `durable` file survives a power loss; others survive only the end of the process. */
export function writePrivateFile(path: string, text: string, { durable = false } = {}): void {
  writeTemporaryFile(path, { text, durable }, (temporaryPath) => renameSync(temporaryPath, path));
}

/** Creates the file and returns its content. If several processes create it at once, all get the content of one of them. */
export function createPrivateFile(path: string, text: string): string {
  writeTemporaryFile(path, { text, durable: true }, (temporaryPath) => {
    try {
      linkSync(temporaryPath, path);
    } catch (error) {
      // Some file systems have no hard links.
      if (errorCode(error) !== 'EEXIST') renameSync(temporaryPath, path);
    }
  });
  return readPrivateFile(path) ?? text;
}

function writeTemporaryFile(
  path: string,
  { text, durable }: { text: string; durable: boolean },
  moveIntoPlace: (temporaryPath: string) => void,
): void {
  const temporaryPath = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.new`;
  try {
    const file = openSync(temporaryPath, 'wx', FILE_MODE);
    try {
      fchmodSync(file, FILE_MODE);
      writeFileSync(file, text);
      if (durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    moveIntoPlace(temporaryPath);
  } finally {
    rmSync(temporaryPath, { force: true });
  }
}

/** Creates one folder at a time: Node's `recursive` never returns if the system answers ENOENT, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (path !== dirname(path)) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
    // The umask may have removed permissions of the owner.
    chmodSync(path, FOLDER_MODE);
  } catch (error) {
    // Another process may have created it.
    if (!existsSync(path)) throw error;
  }
}

function ensurePrivate(path: string, { mode, uid }: Stats): void {
  // Windows has other permissions, which protect the home directory.
  if (process.platform === 'win32') return;
  if (uid !== process.getuid?.()) throw new Error(`${path} is another user's`);
  if ((mode & OTHERS_MASK) !== 0) chmodSync(path, mode & ~OTHERS_MASK & 0o777);
}
