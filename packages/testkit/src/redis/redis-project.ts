/** Starts the Redis of a project of vitest.config.ts, and ends it with the run. What does not start fails the run. */
import type { TestProject } from 'vitest/node';
import { startCluster, startRedis, startSentinel } from './redis-servers.ts';

const starters: Record<string, () => Promise<{ url: string; close: () => Promise<void> }>> = {
  Redis: startRedis,
  // No server is to be taken for dead here, however long it takes to answer.
  'Redis Cluster': () => startCluster({ nodeTimeout: 15_000 }),
  'Redis Sentinel': () => startSentinel({ downAfter: 60_000 }),
};

export default async function startProjectRedis({ name, provide }: TestProject): Promise<() => Promise<void>> {
  const redis = await starters[name]!();
  provide('redis', { name, url: redis.url });
  return () => redis.close();
}
