import { withTempFolder } from '../processes/child-processes.ts';
import { engawaCluster, type NodeKind, socketIoClusters, withNodes } from './cluster-kinds.ts';
import { type RedisProcess, withRedis } from './redis-process.ts';
import type { ServerProcess } from './server-process.ts';

/** Nodes of one kind with a Redis of their own. */
export interface Cluster {
  kind: NodeKind;
  redis: RedisProcess;
  nodes: ServerProcess[];
}

/** Runs `use` with a house of every kind, each with so many nodes, so that all can be measured by turns. */
export async function withClusters<Result>(
  parent: string,
  nodes: number,
  use: (houses: Cluster[]) => Promise<Result>,
  kinds: NodeKind[] = [engawaCluster, ...socketIoClusters],
): Promise<Result> {
  const [kind, ...others] = kinds;
  if (kind === undefined) return use([]);
  return withTempFolder(parent, (folder) =>
    withRedis(folder, (redis) =>
      withNodes(kind, { redisUrl: redis.url, count: nodes }, (started) =>
        withClusters(parent, nodes, (houses) => use([{ kind, redis, nodes: started }, ...houses]), others),
      ),
    ),
  );
}
