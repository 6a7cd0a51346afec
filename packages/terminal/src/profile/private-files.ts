/** Files and folders that are the user's own, and that nobody else may read. */
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

/** A folder that nobody else may look into, made if it is not there. */
export function makePrivateFolder(path: string): void {
  makeFolder(path);
  ensurePrivate(path, statSync(path));
}

/**
 * Nothing when there is no such file. What others could read is closed to them first. A link is not followed, and what
 * another user owns is not believed: somebody else may have put it there.
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

/** Whole, or as it was before. A `durable` file outlives the loss of power, others only the end of the program. */
export function writePrivateFile(path: string, text: string, { durable = false } = {}): void {
  writeTemporaryFile(path, { text, durable }, (temporaryPath) => renameSync(temporaryPath, path));
}

/** The file as it is there after this: of several programs that create it at once, one has its text kept. */
export function createPrivateFile(path: string, text: string): string {
  writeTemporaryFile(path, { text, durable: true }, (temporaryPath) => {
    try {
      linkSync(temporaryPath, path);
    } catch (error) {
      // Some file systems have no links.
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

/** One folder at a time: Node's `recursive` never returns where the system refuses a folder by ENOENT, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (path !== dirname(path)) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
    // The umask may have taken more from the mode than it should.
    chmodSync(path, FOLDER_MODE);
  } catch (error) {
    // Another program may have been first.
    if (!existsSync(path)) throw error;
  }
}

function ensurePrivate(path: string, { mode, uid }: Stats): void {
  // Windows has other permissions, which keep a home to its owner.
  if (process.platform === 'win32') return;
  if (uid !== process.getuid?.()) throw new Error(`${path} is another user's`);
  if ((mode & OTHERS_MASK) !== 0) chmodSync(path, mode & ~OTHERS_MASK & 0o777);
}
