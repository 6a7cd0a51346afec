import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { spawnChild, withTempFolder } from '../processes/child-processes.ts';

const PROGRAM = fileURLToPath(new URL('../../../engawa/bin/engawa.js', import.meta.url));
const STOP_MS = 10_000;

export interface ServerProcess {
  url: string;
  pid: number;
  /** When it was spawned and when it said that it listens, milliseconds of this clock. */
  spawnedAt: number;
  listeningAt: number;
  /** Where a debugger attaches to a server that was started with `--inspect`; never, of others. */
  inspector: Promise<string>;
  /** Rejects with what the server said when it had ended by itself or ends badly. */
  stop(): Promise<void>;
  /** Ends it as a power cut would, but for the disk. */
  kill(): Promise<void>;
}

/** `engawa serve` as operators run it, but without rates, and for this machine only; on a free port unless one is given. */
export const startServer = (folder: string, port = 0): Promise<ServerProcess> => startProgram(serveArgs(folder, port));

export const serveArgs = (folder: string, port = 0): string[] => [
  PROGRAM,
  'serve',
  '--host',
  '127.0.0.1',
  '--port',
  String(port),
  '--data-dir',
  folder,
];

/** Any server in Node that says where it is listening, and ends with 0 when it is told to. */
export const startProgram = (args: string[]): Promise<ServerProcess> => startCommand([process.execPath, ...args]);

/** The same of any command line. */
export async function startCommand([program = '', ...args]: string[]): Promise<ServerProcess> {
  const spawnedAt = performance.now();
  const child = spawnChild(program, args, {
    env: { ...process.env, ENGAWA_LIMITS: 'off', ENGAWA_QUOTA_ROOMS_PER_SESSION: '0', ENGAWA_LOG: 'silent' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = endOf(child);
  const inspector = spoken(child.stderr, /Debugger listening on (ws:\S+)\n/);
  const url = await Promise.race([spoken(child.stdout, /listening on (http:\S+)\n/), ended]);
  const listeningAt = performance.now();
  if (url instanceof Error) throw url;

  async function stop(): Promise<void> {
    child.kill('SIGTERM');
    const hurry = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    const { exitCode, message } = await ended;
    clearTimeout(hurry);
    if (exitCode !== 0) throw new Error(message);
  }
  async function kill(): Promise<void> {
    child.kill('SIGKILL');
    await ended;
  }
  return { url, pid: Number(child.pid), spawnedAt, listeningAt, inspector, stop, kill };
}

class ServerEnded extends Error {
  readonly exitCode: number | null;

  constructor(exitCode: number | null, said: string) {
    super(`The server ended (exit code ${exitCode}):\n${said}`);
    this.exitCode = exitCode;
  }
}

async function endOf(child: ChildProcess): Promise<ServerEnded> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return new ServerEnded(exitCode, said);
}

/** What a stream says at the place that the pattern takes. */
function spoken(stream: Readable | null, pattern: RegExp): Promise<string> {
  let said = '';
  return new Promise((resolve) => {
    function hear(chunk: Buffer): void {
      said += chunk.toString();
      const [, place] = pattern.exec(said) ?? [];
      if (place !== undefined) resolve(place);
    }
    stream?.on('data', hear);
  });
}

export async function withServer<Result>(folder: string, use: (server: ServerProcess) => Promise<Result>): Promise<Result> {
  const server = await startServer(folder);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

/** A server with nothing in it, in a folder of its own inside `parent`. */
export const withNewServer = <Result>(parent: string, use: (server: ServerProcess) => Promise<Result>): Promise<Result> =>
  withTempFolder(parent, (folder) => withServer(folder, use));
