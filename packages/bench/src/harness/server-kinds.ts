import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCores, SERVER_CORE } from '../generator/cpu-pinning.ts';
import type { Dialect } from '../generator/virtual-user.ts';
import { pinToCore, withCpuPinning, withTempFolder } from '../processes/child-processes.ts';
import { hasRedis, withRedis } from './redis-process.ts';
import { type ServerProcess, serveArgs, startCommand } from './server-process.ts';

/** A server that is measured beside others. */
export interface ServerKind {
  name: string;
  dialect: Dialect;
  /** What it does with a chat before it is told. */
  keeps: string;
  /** It acknowledges what is asked. */
  acknowledges: boolean;
  /** Tells everybody of everybody who joins. */
  announcesJoins?: boolean;
  isOurs?: boolean;
  needsRedis?: boolean;
  /** Why it cannot run here. */
  missing?: () => string | undefined;
  command: (place: { folder: string; redisUrl: string }) => string[];
}

const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const node = (path: string, ...args: string[]): string[] => [process.execPath, script(path), ...args];

export const ENGAWA: ServerKind = {
  name: 'Engawa',
  dialect: 'socket.io',
  keeps: 'on the disk, synced',
  acknowledges: true,
  isOurs: true,
  command: ({ folder }) => [process.execPath, ...serveArgs(folder)],
};

export const TUTORIAL: ServerKind = {
  name: 'tutorial',
  dialect: 'socket.io',
  keeps: 'sent to Redis',
  acknowledges: false,
  announcesJoins: true,
  needsRedis: true,
  command: ({ redisUrl }) => node('../peers/tutorial.js', redisUrl),
};

export const SOCKET_IO: ServerKind = {
  name: 'Socket.IO',
  dialect: 'socket.io',
  keeps: 'no',
  acknowledges: true,
  command: () => node('../peers/socket-io.js'),
};

/** The adapter alone. */
export const FAN_OUT: ServerKind = {
  ...SOCKET_IO,
  name: 'Socket.IO, our adapter',
  isOurs: true,
  command: () => node('../peers/socket-io.js', '--fan-out'),
};

const adapted = (adapter: string, keeps: string): ServerKind => ({
  name: `Socket.IO, ${adapter} adapter`,
  dialect: 'socket.io',
  keeps,
  acknowledges: true,
  needsRedis: true,
  command: ({ redisUrl }) => node('../peers/socket-io-cluster.js', adapter, redisUrl),
});

export const BUN: ServerKind = {
  name: 'Bun publish',
  dialect: 'plain',
  keeps: 'no',
  acknowledges: false,
  missing: () => (bunPath() === undefined ? 'no bun on the PATH (npm install --global bun, or --install-bun)' : undefined),
  command: () => [String(bunPath()), script('../peers/bun-publish.js')],
};

export const BASELINE: ServerKind = {
  name: 'floor in Node',
  dialect: 'plain',
  keeps: 'no',
  acknowledges: false,
  command: () => node('../peers/baseline.js'),
};

export const BASELINE_IN_C: ServerKind = {
  name: 'floor in C',
  dialect: 'plain',
  keeps: 'no',
  acknowledges: false,
  missing: () => (spawnSync('cc', ['--version']).status === 0 ? undefined : 'no cc on the PATH'),
  command: ({ folder }) => [compiled(script('../../src/peers/baseline.c'), folder)],
};

/** In the order of reports. */
export const SERVER_KINDS: ServerKind[] = [
  ENGAWA,
  FAN_OUT,
  TUTORIAL,
  SOCKET_IO,
  adapted('classic', 'no'),
  adapted('sharded', 'no'),
  adapted('streams', 'the last 10,000, sent to Redis'),
  BUN,
  BASELINE,
  BASELINE_IN_C,
];

/** Why it cannot run here; undefined when it can. */
export const unavailableReason = ({ needsRedis, missing }: ServerKind): string | undefined =>
  missing?.() ?? (needsRedis && !hasRedis() ? 'no redis-server on the PATH' : undefined);

/** Runs `use` with a new server on the first core; a Redis that it needs is on another. */
export function withServerOf<Result>(kind: ServerKind, parent: string, use: (server: ServerProcess) => Promise<Result>): Promise<Result> {
  return withTempFolder(parent, (folder) => {
    const start = (redisUrl: string) => withStarted(kind.command({ folder, redisUrl }), use);
    if (!kind.needsRedis) return start('');
    const redisFolder = join(folder, 'redis');
    mkdirSync(redisFolder);
    return withRedis(redisFolder, ({ url, pid }) => {
      pinToCore(pid, loadCores().at(-1));
      return start(url);
    });
  });
}

/** It is not given time to say goodbye: what it was asked may fill minutes. */
async function withStarted<Result>(command: string[], use: (server: ServerProcess) => Promise<Result>): Promise<Result> {
  const server = await startCommand(withCpuPinning(command, SERVER_CORE));
  try {
    return await use(server);
  } finally {
    await server.kill();
  }
}

function compiled(source: string, folder: string): string {
  const program = join(folder, 'program');
  const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source]);
  if (status !== 0) throw new Error(`cc failed: ${String(stderr)}`);
  return program;
}

const BUN_FOLDER = script('../../../../node_modules/.cache/bun');

export function installBun(): void {
  mkdirSync(BUN_FOLDER, { recursive: true });
  spawnSync('npm', ['install', '--no-save', '--prefix', BUN_FOLDER, 'bun'], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function bunPath(): string | undefined {
  const installed = join(BUN_FOLDER, 'node_modules/.bin/bun');
  return ['bun', installed].find((path) => (path === 'bun' || existsSync(path)) && spawnSync(path, ['--version']).status === 0);
}
