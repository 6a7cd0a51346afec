// CPU, memory and disk writes of a process, from /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in ticks of 10 ms on all architectures of Node. */
const TICKS_PER_SECOND = 100;

/** Since the start of the process: CPU seconds of all threads and of the first, and bytes sent to disks. */
export interface CpuUsage {
  cpu: number;
  mainThreadCpu: number;
  written: number;
}

/** A figure is NaN if the system does not report it. */
export function cpuUsage(pid: number): CpuUsage {
  return {
    cpu: cpuSeconds(`/proc/${pid}/stat`),
    mainThreadCpu: cpuSeconds(`/proc/${pid}/task/${pid}/stat`),
    written: Number(/^write_bytes: (\d+)$/m.exec(readIfThere(`/proc/${pid}/io`))?.[1] ?? Number.NaN),
  };
}

/** Since the start of a thread: CPU seconds, those of them in the kernel, and bytes written to files. */
export interface Thread {
  id: number;
  cpu: number;
  kernel: number;
  written: number;
}

/** The running threads; the first has the id of the process. Empty if the system does not report them. */
export function threadUsage(pid: number): Thread[] {
  return idsIn(`/proc/${pid}/task`).map((id) => {
    const [path, written] = [`/proc/${pid}/task/${id}`, /^wchar: (\d+)$/m];
    return {
      id,
      cpu: cpuSeconds(`${path}/stat`),
      kernel: kernelSeconds(`${path}/stat`),
      written: Number(written.exec(readIfThere(`${path}/io`))?.[1] ?? Number.NaN),
    };
  });
}

export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
  return Number(kilobytes ?? Number.NaN) * 1024;
}

/** utime and stime, fields 14 and 15 of proc(5). The second field, a name, may contain spaces and ends with the last bracket. */
function secondsIn(path: string): [user: number, kernel: number] {
  const stat = readIfThere(path);
  const [user, kernel] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11);
  return [Number(user ?? Number.NaN) / TICKS_PER_SECOND, Number(kernel ?? Number.NaN) / TICKS_PER_SECOND];
}

function cpuSeconds(path: string): number {
  const [user, kernel] = secondsIn(path);
  return user + kernel;
}

const kernelSeconds = (path: string): number => secondsIn(path)[1];

function idsIn(path: string): number[] {
  try {
    return readdirSync(path).map(Number);
  } catch {
    return [];
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
