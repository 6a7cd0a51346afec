import { fileURLToPath } from 'node:url';
import { type ServerProcess, startProgram } from './server-process.ts';

/** Servers of which several work together over one Redis. */
export interface NodeKind {
  name: string;
  start(redisUrl: string): Promise<ServerProcess>;
}

const program = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const engawaCluster: NodeKind = {
  name: 'Engawa',
  start: (redisUrl) => startProgram([program('./engawa-node.js'), redisUrl]),
};

export const socketIoClusters: NodeKind[] = ['classic', 'sharded', 'streams'].map((adapter) => ({
  name: `Socket.IO, ${adapter === 'streams' ? 'streams' : `${adapter} pub/sub`}`,
  start: (redisUrl) => startProgram([program('../peers/socket-io-cluster.js'), adapter, redisUrl]),
}));

/** Runs `use` with so many nodes on one Redis. */
export async function withNodes<Result>(
  kind: NodeKind,
  { redisUrl, count }: { redisUrl: string; count: number },
  use: (nodes: ServerProcess[]) => Promise<Result>,
): Promise<Result> {
  const nodes: ServerProcess[] = [];
  try {
    // One after the other: on few cores, starting together takes no less time.
    while (nodes.length < count) nodes.push(await kind.start(redisUrl));
    return await use(nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}
