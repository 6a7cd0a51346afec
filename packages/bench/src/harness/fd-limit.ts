import { readFileSync } from 'node:fs';

/** Files that a server needs beside its connections. */
const OTHER_FILES = 1_000;

/** As many of these as a server may have open, where the system tells. */
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
