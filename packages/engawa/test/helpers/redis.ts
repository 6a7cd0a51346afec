// A Redis server that ends with the test.
import { onTestFinished } from 'vitest';
import { type RedisServer, startRedis } from '../../../server/test/helpers/redis-servers.ts';

export async function startTestRedis(...[options]: Parameters<typeof startRedis>): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.close());
  return server;
}
