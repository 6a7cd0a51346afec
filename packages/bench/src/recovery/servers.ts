import { fileURLToPath } from 'node:url';
import { hasRedis, withRedis } from '../harness/redis-process.ts';
import { type ServerProcess, startProgram, startServer } from '../harness/server-process.ts';
import { type RecoveringClient, ResumingClient, StockClient } from './clients.ts';

/** Starts the server on what the last one left, on a free port unless one is given. */
export type StartServer = (port?: number) => Promise<ServerProcess>;

/** A kind of server with what it keeps its messages in, and the reader who comes back to it. */
export interface RecoveryServer {
  name: string;
  reader: new (...reading: ConstructorParameters<typeof StockClient>) => RecoveringClient;
  /** With the processes that keep messages beside the server. */
  open<Result>(folder: string, use: (start: StartServer, keepers: number[]) => Promise<Result>): Promise<Result>;
}

const PEER = fileURLToPath(new URL('../peers/socket-io-recovery.js', import.meta.url));

const engawa = (name: string, reader: RecoveryServer['reader']): RecoveryServer => ({
  name,
  reader,
  open: (folder, use) => use((port) => startServer(folder, port), []),
});

const inMemory: RecoveryServer = {
  name: 'Socket.IO, in memory',
  reader: StockClient,
  open: (_, use) => use((port = 0) => startProgram([PEER, String(port)]), []),
};

const redisStreams: RecoveryServer = {
  name: 'Socket.IO, Redis Streams',
  reader: StockClient,
  open: (folder, use) => withRedis(folder, ({ url, pid }) => use((port = 0) => startProgram([PEER, String(port), url]), [pid])),
};

/** Those that this machine can run. */
export const recoveryServers = (): RecoveryServer[] => [
  inMemory,
  ...(hasRedis() ? [redisStreams] : []),
  engawa('Engawa, stock client', StockClient),
  engawa('Engawa, resume:rooms', ResumingClient),
];
