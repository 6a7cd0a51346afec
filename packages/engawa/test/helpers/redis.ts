// A Redis server that ends with the test.

import { type RedisServer, startRedis } from '@engawa/testkit/redis/redis-servers';
import { onTestFinished } from 'vitest';

export async function startTestRedis(...[options]: Parameters<typeof startRedis>): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.close());
  return server;
}
