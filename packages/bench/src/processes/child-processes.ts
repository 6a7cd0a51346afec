// Child processes and temporary folders that end with this process.
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

const children = new Set<ChildProcess>();
const folders = new Set<string>();
const hasTaskset = spawnSync('taskset', ['--version']).status === 0;

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}

function owned(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export const spawnChild: (...args: Parameters<typeof spawn>) => ChildProcess = (...args) => owned(spawn(...args));
/** Runs on that core alone, if the system can pin processes. */
export function forkChild(script: URL, core?: number): ChildProcess {
  const [execPath = process.execPath, ...execArgv] = withCpuPinning([process.execPath], core);
  return owned(fork(script, { execPath, execArgv }));
}

/** A command line that runs another one on that core alone; the same one if the system cannot pin processes. */
export const withCpuPinning = (command: string[], core?: number): string[] =>
  core === undefined || !hasTaskset ? command : ['taskset', '-c', String(core), ...command];

/** Pins all threads of a running process. */
export function pinToCore(pid: number, core?: number): void {
  if (core !== undefined && hasTaskset) spawnSync('taskset', ['-a', '-p', '-c', String(core), String(pid)]);
}

/** Runs `use` with a new folder inside `parent`, and removes the folder. */
export async function withTempFolder<Result>(parent: string, use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(parent, 'engawa-bench-'));
  folders.add(folder);
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}
