import { fileURLToPath } from 'node:url';
import { AskingReader, type Reader, StockReader } from './recovering-reader.ts';
import { hasRedis, withRedis } from './redis-process.ts';
import { type ServerProcess, startProgram, startServer } from './server-process.ts';

/** Starts the server on what the last one left, on a free port unless one is given. */
export type Start = (port?: number) => Promise<ServerProcess>;

/** A kind of server with what it keeps its messages in, and the reader who comes back to it. */
export interface Engine {
  name: string;
  reader: new (...reading: ConstructorParameters<typeof StockReader>) => Reader;
  /** With the processes that keep messages beside the server. */
  open<Result>(folder: string, use: (start: Start, keepers: number[]) => Promise<Result>): Promise<Result>;
}

const PEER = fileURLToPath(new URL('./peers/socket-io-recovery.js', import.meta.url));

const engawa = (name: string, reader: Engine['reader']): Engine => ({
  name,
  reader,
  open: (folder, use) => use((port) => startServer(folder, port), []),
});

const inMemory: Engine = {
  name: 'Socket.IO, in memory',
  reader: StockReader,
  open: (_, use) => use((port = 0) => startProgram([PEER, String(port)]), []),
};

const redisStreams: Engine = {
  name: 'Socket.IO, Redis Streams',
  reader: StockReader,
  open: (folder, use) => withRedis(folder, ({ url, pid }) => use((port = 0) => startProgram([PEER, String(port), url]), [pid])),
};

/** Those that this machine can run. */
export const engines = (): Engine[] => [
  inMemory,
  ...(hasRedis() ? [redisStreams] : []),
  engawa('Engawa, stock client', StockReader),
  engawa('Engawa, resume:rooms', AskingReader),
];
