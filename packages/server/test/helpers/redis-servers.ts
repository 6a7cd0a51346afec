/** Real Redis for tests, from Debian's `redis-server`: one server, a cluster, or a primary under sentinels. */
import { Ground, onFreePorts, type RedisOptions } from './redis-ground.ts';
import { RedisServer } from './redis-server.ts';

export { call } from './redis-call.ts';
export { type ClusterNode, type RedisCluster, startCluster } from './redis-cluster.ts';
export { type RedisSentinel, startSentinel } from './redis-sentinel.ts';
export type { RedisServer };

/** It keeps an append-only file, which reaches the disk every second, unless it is told otherwise. `close` deletes its folder. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const ground = await Ground.prepare(options);
  const start = ([port = 0]: number[]) => ground.start(new RedisServer({ ...ground.server(port), dir: ground.folder }));
  return ground.orNothing(() => onFreePorts(1, start));
}
