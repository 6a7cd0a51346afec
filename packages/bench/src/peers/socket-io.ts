// A Socket.IO server with rooms and nothing else, set up as its documentation does: ADAPTER PORT REDIS_URL [--recovery].
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdapter as createCoalescingAdapter } from '@engawa/coalescing-adapter';
import { createClient } from '@redis/client';
import { createAdapter as createClassicAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Server } from 'socket.io';
import { listen, serveRooms } from './rooms.ts';

/** A half-open connection does not answer, which takes half a minute to detect. */
const CLOSE_TIMEOUT_MS = 1_000;

const [adapterName = 'memory', port, redisUrl, ...flags] = process.argv.slice(2);
const redis = redisUrl ? await createClient({ url: redisUrl, RESP: 2 }).connect() : undefined;
const subscriber = await redis?.duplicate().connect();
const adapters: Record<string, () => object> = {
  memory: () => ({}),
  coalescing: () => ({ adapter: createCoalescingAdapter() }),
  classic: () => ({ adapter: createClassicAdapter(redis, subscriber) }),
  sharded: () => ({ adapter: createShardedAdapter(redis, subscriber) }),
  streams: () => ({ adapter: createStreamsAdapter(redis) }),
};
const http = createServer();
const io = new Server(http, { ...adapters[adapterName]?.(), ...(flags.includes('--recovery') && { connectionStateRecovery: {} }) });

serveRooms(io);

async function stop(): Promise<never> {
  await Promise.race([io.close(), sleep(CLOSE_TIMEOUT_MS)]);
  // Waits for pending writes: the sessions of the connections that were just closed.
  await redis?.close();
  process.exit();
}
process.once('SIGTERM', () => void stop());

listen(http, Number(port));
