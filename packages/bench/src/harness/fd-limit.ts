// The limit of open files of a process.
import { readFileSync } from 'node:fs';

/** Files of a server besides its connections. */
const OTHER_FILES = 1_000;

/** At most so many connections as a server may have open, if the system reports the limit. */
export function maxConnections(wanted: number): number {
  const [, files] = /^Max open files\s+(\d+)/m.exec(readIfThere('/proc/self/limits')) ?? [];
  return files === undefined ? wanted : Math.min(wanted, Number(files) - OTHER_FILES);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
