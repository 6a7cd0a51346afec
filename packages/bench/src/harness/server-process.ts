// Starts a server process and waits until it listens.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { spawnChild } from '../processes/child-processes.ts';

export const ENGAWA_COMMAND = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
/** Characters of standard error that are stored for an error message. */
const MAX_ERROR_TEXT = 4_096;
const NO_LIMITS = { ENGAWA_RATE_LIMITS: 'off', ENGAWA_QUOTA_ROOMS_PER_SESSION: '0', ENGAWA_LOG_LEVEL: 'silent' };

export interface ServerProcess {
  url: string;
  pid: number;
  /** When the process was started and when it said that it listens, in milliseconds of this clock. */
  spawnedAt: number;
  listeningAt: number;
  /** Where a debugger attaches to a server that runs with `--inspect`; never resolves for others. */
  inspector: Promise<string>;
  hasExited: () => boolean;
  /** SIGTERM, and SIGKILL if it does not end in time. Rejects if it had ended by itself or ends badly. */
  stop: () => Promise<void>;
  /** SIGKILL. */
  kill: () => Promise<void>;
}

interface StartOptions {
  /** Environment variables; by default without rate limits and without a log. */
  env?: Record<string, string>;
  /** Receives standard error. */
  onError?: (chunk: string) => void;
}

/** Arguments of Node for `engawa serve` on this machine only; a free port unless one is given. */
export const serveArgs = (folder: string, port = 0): string[] => [
  ENGAWA_COMMAND,
  'serve',
  ...['--host', '127.0.0.1'],
  ...['--port', String(port)],
  ...['--data-dir', folder],
];

/** Starts a command line that prints where it listens. Rejects if it ends before, or does not listen in time. */
export async function startServer(
  [program = '', ...args]: string[],
  { env = NO_LIMITS, onError }: StartOptions = {},
): Promise<ServerProcess> {
  const spawnedAt = performance.now();
  const child = spawnChild(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr?.on('data', (chunk: Buffer) => onError?.(chunk.toString()));
  const ended = endOf(child);
  const inspector = firstMatch(child.stderr, /Debugger listening on (ws:\S+)\n/);
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  const url = await Promise.race([firstMatch(child.stdout, /listening on (http:\S+)\n/), ended]);
  clearTimeout(timer);
  const listeningAt = performance.now();
  if (url instanceof Error) throw url;

  async function stop(): Promise<void> {
    child.kill('SIGTERM');
    const killTimer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const { exitCode, message } = await ended;
    clearTimeout(killTimer);
    if (exitCode !== 0) throw new Error(message);
  }
  async function kill(): Promise<void> {
    child.kill('SIGKILL');
    await ended;
  }
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return { url, pid: Number(child.pid), spawnedAt, listeningAt, inspector, hasExited, stop, kill };
}

class ServerEnded extends Error {
  readonly exitCode: number | null;

  constructor(exitCode: number | null, output: string) {
    super(`The server ended (exit code ${exitCode}):\n${output}`);
    this.exitCode = exitCode;
  }
}

async function endOf(child: ChildProcess): Promise<ServerEnded> {
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-MAX_ERROR_TEXT)));
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return new ServerEnded(exitCode, output);
}

/** The first match of the pattern in a stream. */
function firstMatch(stream: Readable | null, pattern: RegExp): Promise<string> {
  let head = '';
  return new Promise((resolve) => {
    function read(chunk: Buffer): void {
      head += chunk.toString();
      const [, found] = pattern.exec(head) ?? [];
      if (found === undefined) return;
      stream?.off('data', read);
      stream?.resume();
      resolve(found);
    }
    stream?.on('data', read);
  });
}
