import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { spawnChild } from '../processes/child-processes.ts';

/** Below those that the system gives to outgoing connections: one of them would take the place of a server that starts again. */
const PORTS = { from: 10_000, count: 22_000 };
const READY = /Ready to accept connections|\+monitor/;

export interface RedisProcess {
  url: string;
  port: number;
  pid: number;
  /** Rejects when it has ended. */
  ended: Promise<never>;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** After it has ended: on the same port, with what it has on its disk. */
  startAgain(): Promise<RedisProcess>;
}

export const hasRedis = (): boolean => spawnSync('redis-server', ['--version']).status === 0;

/** A real Redis with nothing in it, which keeps what it has in `folder`, with the settings of its packagers. */
export async function withRedis<Result>(folder: string, use: (redis: RedisProcess) => Promise<Result>): Promise<Result> {
  const redis = await startRedis(folder, await freePort());
  try {
    return await Promise.race([use(redis), redis.ended]);
  } finally {
    await redis.end('SIGTERM');
  }
}

/** Resolves when it takes connections; with what it left in the folder, if there is something. */
export const startRedis = (folder: string, port: number, more: string[] = []): Promise<RedisProcess> =>
  startRedisServer(port, ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'yes', ...more]);

export async function startRedisServer(port: number, args: string[]): Promise<RedisProcess> {
  const child = spawnChild('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Redis ended (exit code ${code}).`)));
  });
  ended.catch(() => undefined);
  const ready = new Promise<void>((resolve) => child.stdout?.on('data', (chunk: Buffer) => READY.test(chunk.toString()) && resolve()));
  await Promise.race([ready, ended]);
  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    child.kill(signal);
    await ended.catch(() => undefined);
  }
  return { url: `redis://127.0.0.1:${port}`, port, pid: Number(child.pid), ended, end, startAgain: () => startRedisServer(port, args) };
}

export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
