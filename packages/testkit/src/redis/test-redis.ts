/** Redis servers, clusters and primaries under sentinels that end with the test. */
import { onTestFinished } from 'vitest';
import { type RedisCluster, type RedisSentinel, type RedisServer, startCluster, startRedis, startSentinel } from './redis-servers.ts';

export const newRedis = (...options: Parameters<typeof startRedis>): Promise<RedisServer> => closeWithTest(startRedis(...options));

export const newCluster = (...options: Parameters<typeof startCluster>): Promise<RedisCluster> => closeWithTest(startCluster(...options));

export const newSentinel = (...options: Parameters<typeof startSentinel>): Promise<RedisSentinel> =>
  closeWithTest(startSentinel(...options));

async function closeWithTest<Redis extends { close(): Promise<void> }>(starting: Promise<Redis>): Promise<Redis> {
  const redis = await starting;
  onTestFinished(() => redis.close());
  return redis;
}
