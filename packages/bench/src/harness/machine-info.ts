// Describes the machine, on which all figures depend.
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { SERVER_CORE } from '../generator/cpu-pinning.ts';
import { withTempFolder } from '../processes/child-processes.ts';
import { median } from '../report/statistics.ts';

const DISK_WAITS = 200;
const QUIET = 0.5;

export async function describeMachine(folder: string): Promise<Record<string, string>> {
  const cores = cpus();
  return {
    date: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    processor: `${cores[0]?.model.trim() ?? 'unknown'}, ${cores.length} cores`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    system: `${type()} ${release()} ${arch()}`,
    node: process.version,
    'file system': fileSystemOf(folder),
    'fdatasync of 4 KiB': `${(await diskWait(folder)).toFixed(2)} ms (median of ${DISK_WAITS})`,
    'load at start': loadAtStart(),
    cores: `the server has core ${SERVER_CORE}, the load the others`,
  };
}

function loadAtStart(): string {
  const [load = 0] = loadavg();
  return `${load.toFixed(2)} (average of a minute)${load > QUIET ? ': OTHER PROCESSES RAN, the figures are worse than they could be' : ''}`;
}

/** The mount with the longest path that contains `folder`. */
function fileSystemOf(folder: string): string {
  const mounts = readMounts().filter(({ path }) => `${folder}/`.startsWith(path.endsWith('/') ? path : `${path}/`));
  const fileSystem = mounts.toSorted((a, b) => b.path.length - a.path.length)[0]?.fileSystem ?? 'unknown';
  return fileSystem === 'tmpfs' ? 'tmpfs: in memory, NOTHING WAITS FOR A DISK; choose another folder with --folder' : fileSystem;
}

function readMounts(): { path: string; fileSystem: string }[] {
  try {
    const lines = readFileSync('/proc/mounts', 'utf8').trim().split('\n');
    return lines.map((line) => line.split(' ')).map(([, path = '', fileSystem = '']) => ({ path, fileSystem }));
  } catch {
    return [];
  }
}

async function diskWait(parent: string): Promise<number> {
  return withTempFolder(parent, async (folder) => {
    const file = openSync(join(folder, 'waits'), 'w');
    const block = Buffer.alloc(4096);
    const waits = Array.from({ length: DISK_WAITS }, () => {
      const start = performance.now();
      writeSync(file, block);
      fdatasyncSync(file);
      return performance.now() - start;
    });
    closeSync(file);
    return median(waits);
  });
}
