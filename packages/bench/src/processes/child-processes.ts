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

/** The child ends with this process at the latest. */
function owned(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export const spawnChild: (...args: Parameters<typeof spawn>) => ChildProcess = (...args) => owned(spawn(...args));
/** On that core alone, where the system can. */
export function forkChild(script: URL, core?: number): ChildProcess {
  const [execPath = process.execPath, ...execArgv] = withCpuPinning([process.execPath], core);
  return owned(fork(script, { execPath, execArgv }));
}

/** The command line that runs another one on that core alone, or the same where the system cannot. */
export const withCpuPinning = (command: string[], core?: number): string[] =>
  core === undefined || !hasTaskset ? command : ['taskset', '-c', String(core), ...command];

/** The same of a process that runs, with all its threads. */
export function pinToCore(pid: number, core?: number): void {
  if (core !== undefined && hasTaskset) spawnSync('taskset', ['-a', '-p', '-c', String(core), String(pid)]);
}

/** Gives `use` a new folder inside `parent`, and removes it. */
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
