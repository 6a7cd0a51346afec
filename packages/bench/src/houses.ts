import { withFolder } from './clean-up.ts';
import { engawa, type NodeKind, peers, withNodes } from './nodes.ts';
import { type RedisProcess, withRedis } from './redis-process.ts';
import type { ServerProcess } from './server-process.ts';

/** Nodes of one kind with a Redis of their own. */
export interface House {
  kind: NodeKind;
  redis: RedisProcess;
  nodes: ServerProcess[];
}

/** Runs `use` with a house of every kind, each with so many nodes, so that all can be measured by turns. */
export async function withHouses<Result>(
  parent: string,
  nodes: number,
  use: (houses: House[]) => Promise<Result>,
  kinds: NodeKind[] = [engawa, ...peers],
): Promise<Result> {
  const [kind, ...others] = kinds;
  if (kind === undefined) return use([]);
  return withFolder(parent, (folder) =>
    withRedis(folder, (redis) =>
      withNodes(kind, { redisUrl: redis.url, count: nodes }, (started) =>
        withHouses(parent, nodes, (houses) => use([{ kind, redis, nodes: started }, ...houses]), others),
      ),
    ),
  );
}
