// Runs the scripting commands as processes with pipes.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createTempFolder, until, withTimeout } from '@engawa/testkit/processes/server';
import { onTestFinished } from 'vitest';
import { emptyWorkingFolder } from './current-folder.ts';

export const ENGAWA: string = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));

export interface CommandRun {
  process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** All complete lines so far. */
  lines: () => string[];
  stderr: () => string;
  waitForStderr: (text: string) => Promise<void>;
  waitForLines: (count: number) => Promise<void>;
  /** The exit code or the signal. */
  waitForExit: (timeout?: number) => Promise<number | NodeJS.Signals | null>;
}

/** Environment with a new home. */
export const newHome = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, HOME: createTempFolder(), USER: 'aya' });

interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The whole input; `null` keeps it open. */
  input?: string | null;
  /** A descriptor instead of a pipe. */
  stdin?: number;
  /** Shell commands to run before the command, in a private mount namespace. */
  setUp?: string | undefined;
}

/** Runs the command as a process with pipes. */
export function runEngawa(
  args: string[],
  { env = newHome(), cwd = emptyWorkingFolder(), input = '', stdin, setUp }: RunOptions = {},
): CommandRun {
  const command = [process.execPath, ENGAWA, ...args];
  const [program = '', ...words] =
    setUp === undefined ? command : ['unshare', '--mount', 'sh', '-ec', `${setUp}; exec "$@"`, 'sh', ...command];
  const child = spawn(program, words, { stdio: [stdin ?? 'pipe', 'pipe', 'pipe'], env, cwd }) as CommandRun['process'];
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  if (stdin === undefined) {
    child.stdin.on('error', () => undefined);
    if (input !== null) child.stdin.end(input);
  }
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const lines = () => stdout.split('\n').slice(0, -1);
  const outputSummary = () => `; it printed ${lines().length} lines, and said:\n${stderr}`;
  return {
    process: child,
    lines,
    stderr: () => stderr,
    waitForStderr: (text) => until(() => stderr.includes(text), `it says ${text}${outputSummary()}`),
    waitForLines: (count) =>
      until(() => lines().length >= count, `it prints ${count} lines`, 50_000).catch((error: Error) => {
        throw new Error(`${error.message}${outputSummary()}`);
      }),
    async waitForExit(timeout = 50_000) {
      const [code, signal] = await withTimeout(closed, `the end${outputSummary()}`, timeout);
      return signal ?? code;
    },
  };
}

/** The output of a run, which must end with exit code 0. */
export async function outputLines(run: CommandRun): Promise<string[]> {
  const code = await run.waitForExit();
  if (code !== 0) throw new Error(`it ended with ${code}: ${run.stderr()}`);
  return run.lines();
}

/** The messages of JSON lines. */
export const messageTexts = (lines: string[]): unknown[] => lines.map((line) => (JSON.parse(line) as { message: unknown }).message);

/** Removes the times at the start of lines. */
export const withoutTimes = (lines: string[]): string[] => lines.map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''));
