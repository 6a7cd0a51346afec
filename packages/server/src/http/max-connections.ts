/** Computes how many connections the limit of open files allows. */
import { readdirSync, readFileSync } from 'node:fs';

/** Descriptors that connections leave to the store, to Redis and to what else the process opens. */
const RESERVED_DESCRIPTORS = 64;

/** How many connections there may be so that the store can still open its files. Undefined where nothing limits them. */
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

/** Where there is no /proc. It takes some milliseconds. */
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
