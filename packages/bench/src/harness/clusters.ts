// Several servers of one kind that share one Redis.
import { withTempFolder } from '../processes/child-processes.ts';
import { type RedisProcess, withRedis } from './redis-process.ts';
import { ENGAWA_ON_REDIS, type ServerKind, SOCKET_IO_ON_REDIS, start } from './server-kinds.ts';
import type { ServerProcess } from './server-process.ts';

export const CLUSTER_KINDS = [ENGAWA_ON_REDIS, ...SOCKET_IO_ON_REDIS];

export interface Cluster {
  kind: ServerKind;
  redis: RedisProcess;
  nodes: ServerProcess[];
}

/** Runs `use` with so many nodes on one Redis. They run on any core. */
export async function withNodes<Result>(
  kind: ServerKind,
  { redisUrl, count }: { redisUrl: string; count: number },
  use: (nodes: ServerProcess[]) => Promise<Result>,
): Promise<Result> {
  const nodes: ServerProcess[] = [];
  try {
    // One after the other: on few cores, starting them together is not faster.
    while (nodes.length < count) nodes.push(await start(kind, { folder: '', redisUrl }, { isPinned: false }));
    return await use(nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.kill()));
  }
}

/** Runs `use` with a cluster of each kind, each with a Redis of its own, so that all can be measured in turn. */
export async function withClusters<Result>(
  parent: string,
  count: number,
  use: (clusters: Cluster[]) => Promise<Result>,
  [kind, ...others]: ServerKind[] = CLUSTER_KINDS,
): Promise<Result> {
  if (kind === undefined) return use([]);
  return withTempFolder(parent, (folder) =>
    withRedis(folder, (redis) =>
      withNodes(kind, { redisUrl: redis.url, count }, (nodes) =>
        withClusters(parent, count, (clusters) => use([{ kind, redis, nodes }, ...clusters]), others),
      ),
    ),
  );
}
