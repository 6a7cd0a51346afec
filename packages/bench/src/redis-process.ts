import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { spawnOwned } from './clean-up.ts';

export interface RedisProcess {
  url: string;
  pid: number;
}

export const hasRedis = (): boolean => spawnSync('redis-server', ['--version']).status === 0;

/** A real Redis with nothing in it, which keeps what it has in `folder`, with the settings of its packagers. */
export async function withRedis<Result>(folder: string, use: (redis: RedisProcess) => Promise<Result>): Promise<Result> {
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'yes'];
  const child = spawnOwned('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Redis ended (exit code ${code}).`)));
  });
  const ready = new Promise<void>((resolve) =>
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('Ready to accept connections') && resolve()),
  );
  await Promise.race([ready, ended]);
  try {
    return await Promise.race([use({ url: `redis://127.0.0.1:${port}`, pid: Number(child.pid) }), ended]);
  } finally {
    child.kill('SIGTERM');
    await ended.catch(() => undefined);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
