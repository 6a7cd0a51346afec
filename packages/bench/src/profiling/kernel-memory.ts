// Memory of the kernel for sockets.
import { readFileSync } from 'node:fs';

const PAGE = 4096;

/** Bytes for the whole machine: buffers of TCP, and objects of the kernel such as sockets. */
export interface KernelMemory {
  tcp: number;
  slab: number;
}

/** A figure is NaN if the system does not report it. */
export const kernelMemory = (): KernelMemory => ({
  tcp: numberIn('/proc/net/sockstat', /^TCP:.* mem (\d+)$/m) * PAGE,
  slab: numberIn('/proc/meminfo', /^Slab:\s+(\d+) kB$/m) * 1024,
});

function numberIn(path: string, pattern: RegExp): number {
  try {
    return Number(pattern.exec(readFileSync(path, 'utf8'))?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}
