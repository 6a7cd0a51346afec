/** Real Redis for tests, from Debian's `redis-server`: one server, a cluster, or a primary under sentinels. */
import { RedisFixture, type RedisOptions, withFreePorts } from './redis-config.ts';
import { RedisServer } from './redis-server.ts';

export { sendRedisCommand } from './redis-call.ts';
export { type ClusterNode, type RedisCluster, startCluster } from './redis-cluster.ts';
export { type RedisSentinel, startSentinel } from './redis-sentinel.ts';
export type { RedisServer };

/** It has an append-only file, which is synced every second by default. `close` deletes its directory. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const fixture = await RedisFixture.create(options);
  const start = ([port = 0]: number[]) => fixture.start(new RedisServer({ ...fixture.serverSetup(port), dir: fixture.folder }));
  return fixture.cleanUpOnError(() => withFreePorts(1, start));
}
