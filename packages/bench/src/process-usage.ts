import { readFileSync } from 'node:fs';

/** Linux counts in ticks of 10 ms, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** What a process used since it started: CPU seconds of all its threads and of its first one, and bytes that it sent to disks. */
export interface Usage {
  cpu: number;
  mainThreadCpu: number;
  written: number;
}

/** Every figure is NaN where the system does not tell. */
export function usageOf(pid: number): Usage {
  return {
    cpu: cpuSeconds(`/proc/${pid}/stat`),
    mainThreadCpu: cpuSeconds(`/proc/${pid}/task/${pid}/stat`),
    written: Number(/^write_bytes: (\d+)$/m.exec(readIfThere(`/proc/${pid}/io`))?.[1] ?? Number.NaN),
  };
}

export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
  return Number(kilobytes ?? Number.NaN) * 1024;
}

/** utime and stime, fields 14 and 15 of proc(5); the second field, a name, may hold spaces and ends with the last bracket. */
function cpuSeconds(path: string): number {
  const stat = readIfThere(path);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? Number.NaN) + Number(fields[12] ?? Number.NaN)) / TICKS_PER_SECOND;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
