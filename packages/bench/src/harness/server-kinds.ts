// The servers under test: how each is started, and what it does with a chat.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCores, SERVER_CORE } from '../generator/cpu-pinning.ts';
import type { Dialect } from '../generator/virtual-user.ts';
import { pinToCore, withCpuPinning, withTempFolder } from '../processes/child-processes.ts';
import { hasRedis, withRedis } from './redis-process.ts';
import { ENGAWA_COMMAND, type ServerProcess, serveArgs, startServer } from './server-process.ts';

export interface ServerKind {
  name: string;
  dialect: Dialect;
  /** Where a chat is before it is broadcast. */
  stores: string;
  isOurs?: boolean;
  needsRedis?: boolean;
  /** Why it cannot run here. */
  missing?: () => string | undefined;
  command: (storage: Storage) => string[];
}

/** Where a server stores its data, and its port; 0 is a free one. */
export interface Storage {
  folder: string;
  /** Empty if the kind needs none. */
  redisUrl: string;
  port?: number;
}

const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const node = (path: string, args: string[]): string[] => [process.execPath, script(path), ...args];

export const ENGAWA: ServerKind = {
  name: 'Engawa',
  dialect: 'socket.io',
  stores: 'on the disk, synced',
  isOurs: true,
  command: ({ folder, port }) => [process.execPath, ...serveArgs(folder, port)],
};

export const ENGAWA_ON_REDIS: ServerKind = {
  ...ENGAWA,
  stores: 'in Redis',
  needsRedis: true,
  command: ({ redisUrl, port = 0 }) => [
    process.execPath,
    ...[ENGAWA_COMMAND, 'serve', '--host', '127.0.0.1', '--port', String(port), '--redis-url', redisUrl],
  ],
};

export const TUTORIAL: ServerKind = {
  name: 'tutorial',
  dialect: 'socket.io',
  stores: 'sent to Redis',
  needsRedis: true,
  command: ({ redisUrl }) => node('../peers/tutorial.js', [redisUrl]),
};

type Adapter = 'memory' | 'coalescing' | 'classic' | 'sharded' | 'streams';

const socketIo = (adapter: Adapter, more: Partial<ServerKind>, ...flags: string[]): ServerKind => ({
  name: `Socket.IO, ${adapter} adapter`,
  dialect: 'socket.io',
  stores: 'no',
  command: ({ redisUrl, port = 0 }) => node('../peers/socket-io.js', [adapter, String(port), redisUrl, ...flags]),
  ...more,
});

export const SOCKET_IO = socketIo('memory', { name: 'Socket.IO' });
export const COALESCING = socketIo('coalescing', { name: 'Socket.IO, our adapter', isOurs: true });
export const SOCKET_IO_ON_REDIS = [
  socketIo('classic', { needsRedis: true }),
  socketIo('sharded', { needsRedis: true }),
  socketIo('streams', { needsRedis: true, stores: 'the last 10,000, sent to Redis' }),
];
/** With Socket.IO's own connection state recovery. */
export const SOCKET_IO_RECOVERING = [
  socketIo('memory', { name: 'Socket.IO, in memory' }, '--recovery'),
  socketIo('streams', { name: 'Socket.IO, Redis Streams', needsRedis: true }, '--recovery'),
];

export const BASELINE: ServerKind = {
  name: 'baseline in C',
  dialect: 'plain',
  stores: 'no',
  missing: () => (spawnSync('cc', ['--version']).status === 0 ? undefined : 'no cc on the PATH'),
  command: ({ folder }) => [compile(script('../../src/peers/baseline.c'), folder)],
};

/** All that deliver chats, in the order of reports. */
export const SERVER_KINDS: ServerKind[] = [ENGAWA, COALESCING, TUTORIAL, SOCKET_IO, ...SOCKET_IO_ON_REDIS, BASELINE];

/** Why it cannot run here; undefined if it can. */
export const unavailableReason = ({ needsRedis, missing }: ServerKind): string | undefined =>
  missing?.() ?? (needsRedis && !hasRedis() ? 'no redis-server on the PATH' : undefined);

export const isAvailable = (kind: ServerKind): boolean => unavailableReason(kind) === undefined;

/** Starts a server, on the first core alone unless it is not to be pinned. */
export const start = (kind: ServerKind, storage: Storage, { isPinned = true } = {}): Promise<ServerProcess> =>
  startServer(isPinned ? withCpuPinning(kind.command(storage), SERVER_CORE) : kind.command(storage));

/** Runs `use` with a new folder, and with a new Redis on another core if the kind needs one. */
export function withStorage<Result>(kind: ServerKind, parent: string, use: (storage: Storage) => Promise<Result>): Promise<Result> {
  return withTempFolder(parent, (folder) => {
    if (!kind.needsRedis) return use({ folder, redisUrl: '' });
    const redisFolder = join(folder, 'redis');
    mkdirSync(redisFolder);
    return withRedis(redisFolder, ({ url, pid }) => {
      pinToCore(pid, loadCores().at(-1));
      return use({ folder, redisUrl: url });
    });
  });
}

/** Runs `use` with a new server without data. It is killed afterwards: its queues may hold minutes of work. */
export const withServerOf = <Result>(kind: ServerKind, parent: string, use: (server: ServerProcess) => Promise<Result>): Promise<Result> =>
  withStorage(kind, parent, async (storage) => {
    const server = await start(kind, storage);
    try {
      return await use(server);
    } finally {
      await server.kill();
    }
  });

function compile(source: string, folder: string): string {
  const program = join(folder, 'program');
  const { status, stderr } = spawnSync('cc', ['-O2', '-o', program, source]);
  if (status !== 0) throw new Error(`cc failed: ${String(stderr)}`);
  return program;
}
