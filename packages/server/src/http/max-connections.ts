/** Computes how many connections the limit of open files allows. */
import { readdirSync, readFileSync } from 'node:fs';

/** File descriptors reserved for the store, for Redis and for other files of the process. */
const RESERVED_DESCRIPTORS = 64;

/** The maximum of connections that leaves enough file descriptors to the store. Undefined if there is no limit. */
export function computeMaxConnections(): number | undefined {
  const limit = readOpenFilesLimit();
  return limit === undefined ? undefined : Math.max(1, limit - countOpenFiles() - RESERVED_DESCRIPTORS);
}

function readOpenFilesLimit(): number | undefined {
  const limit = Number(readProcLimit() ?? readReportLimit());
  return Number.isFinite(limit) ? limit : undefined;
}

function readProcLimit(): string | undefined {
  try {
    return /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** For systems without /proc. It takes some milliseconds. */
function readReportLimit(): string | number | undefined {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: string | number } } };
  return userLimits?.open_files?.soft;
}

function countOpenFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
