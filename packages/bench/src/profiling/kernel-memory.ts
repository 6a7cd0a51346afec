import { readFileSync } from 'node:fs';

const PAGE = 4096;

/** Bytes that the kernel uses for all of this machine: of TCP what waits in buffers, and its own objects, sockets among them. */
export interface KernelMemory {
  tcp: number;
  slab: number;
}

/** Every figure is NaN where the system does not tell. */
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
