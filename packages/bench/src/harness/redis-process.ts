// A real Redis server in a process of its own.
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { spawnChild } from '../processes/child-processes.ts';

/** Below the ports of outgoing connections: one of these could take the port of a server that restarts. */
const PORTS = { from: 10_000, count: 22_000 };
const READY = /Ready to accept connections/;

export interface RedisProcess {
  url: string;
  pid: number;
  /** Rejects when the process has ended. */
  ended: Promise<never>;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** After it has ended: on the same port and data. */
  startAgain(): Promise<RedisProcess>;
}

export const hasRedis = (): boolean => spawnSync('redis-server', ['--version']).status === 0;

/** Runs `use` with a new Redis that stores its data in `folder`, with an append-only file. */
export async function withRedis<Result>(folder: string, use: (redis: RedisProcess) => Promise<Result>): Promise<Result> {
  const redis = await startRedis(folder, await freePort());
  try {
    return await Promise.race([use(redis), redis.ended]);
  } finally {
    await redis.end('SIGTERM');
  }
}

/** Resolves when it accepts connections, with the data that the folder has. */
export async function startRedis(folder: string, port: number): Promise<RedisProcess> {
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'yes'];
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
  return { url: `redis://127.0.0.1:${port}`, pid: Number(child.pid), ended, end, startAgain: () => startRedis(folder, port) };
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
