// Which cores the server and the load run on.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

const TICKS_PER_SECOND = 100;
const MAX_LOAD_PROCESSES = 3;

/** The server's core, which the load does not use if there are several. */
export const SERVER_CORE = 0;

/** The cores of the load, one process each. */
export function loadCores(): number[] {
  const cores = cpus().map((_, core) => core);
  return cores.length === 1 ? cores : cores.slice(1, 1 + MAX_LOAD_PROCESSES);
}

/** Seconds in which a core was busy since the system started; NaN if unknown. */
export function busySeconds(core: number): number {
  try {
    const line = readFileSync('/proc/stat', 'utf8').split('\n')[core + 1] ?? '';
    const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number);
    return (user + nice + system + irq + softIrq + steal) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}
