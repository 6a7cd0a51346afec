/** How many files and connections the system lets this process have open. */
import { readdirSync, readFileSync } from 'node:fs';

/** Descriptors that connections leave to the store, to Redis and to what else the process opens. */
const RESERVE = 64;

/** How many connections there may be so that the store can still open its files. Undefined where nothing limits them. */
export function mostConnections(): number | undefined {
  const limit = openFilesLimit();
  return limit === undefined ? undefined : Math.max(1, limit - openFiles() - RESERVE);
}

function openFilesLimit(): number | undefined {
  const limit = Number(softLimitOfLinux() ?? softLimitInReport());
  return Number.isFinite(limit) ? limit : undefined;
}

function softLimitOfLinux(): string | undefined {
  try {
    return /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** Where there is no /proc. It takes some milliseconds. */
function softLimitInReport(): string | number | undefined {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: string | number } } };
  return userLimits?.open_files?.soft;
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
