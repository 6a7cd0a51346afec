import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;

export const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** A folder that nobody else may look into, made if it is not there. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  keepPrivate(path);
}

/** Nothing when there is no such file. What others could read is closed to them first, which only its owner can. */
export function readPrivate(path: string): string | undefined {
  try {
    keepPrivate(path);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole, or as it was before. A `durable` file outlives the loss of power, others only the end of the program. */
export function writePrivate(path: string, text: string, { durable = false } = {}): void {
  replacing(path, { text, durable }, (written) => renameSync(written, path));
}

/** The file as it is there after this: of several programs that create it at once, one has its text kept. */
export function createPrivate(path: string, text: string): string {
  replacing(path, { text, durable: true }, (written) => {
    try {
      linkSync(written, path);
    } catch (error) {
      // Some file systems have no links.
      if (codeOf(error) !== 'EEXIST') renameSync(written, path);
    }
  });
  return readPrivate(path) ?? text;
}

function replacing(path: string, { text, durable }: { text: string; durable: boolean }, place: (written: string) => void): void {
  const written = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.new`;
  try {
    const file = openSync(written, 'wx', FILE_MODE);
    try {
      writeFileSync(file, text);
      if (durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    place(written);
  } finally {
    rmSync(written, { force: true });
  }
}

function keepPrivate(path: string): void {
  // Windows has other permissions, which keep a home to its owner.
  if (process.platform === 'win32') return;
  const found = statSync(path);
  if (!found.isFile() && !found.isDirectory()) throw new Error(`${path} is no file`);
  const { mode, uid } = found;
  if ((mode & OTHERS) === 0) return;
  if (uid !== process.getuid?.()) throw new Error(`${path} is another user's, and not for you alone; see to its permissions`);
  chmodSync(path, mode & ~OTHERS & 0o777);
}
