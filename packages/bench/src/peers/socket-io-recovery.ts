/**
 * Socket.IO's own connection state recovery with its default settings, as its documentation sets it up: in memory, or,
 * where the address of a Redis is given, with the Redis Streams adapter. Rooms and chats are named as ours are.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Server } from 'socket.io';
import { listen, serveRooms } from './rooms.ts';

const LINGER_MS = 1_000;

const [port, redisUrl] = process.argv.slice(2);
const redis = redisUrl === undefined ? undefined : await createClient({ url: redisUrl }).connect();
const http = createServer();
const io = new Server(http, { connectionStateRecovery: {}, ...(redis && { adapter: createAdapter(redis) }) });

serveRooms(io);

async function stop(): Promise<never> {
  // Whose connection is half open does not answer, which would take half a minute to find out.
  await Promise.race([io.close(), sleep(LINGER_MS)]);
  // Waits for what was asked of Redis: the sessions of those who were just disconnected.
  await redis?.close();
  process.exit();
}
process.once('SIGTERM', () => void stop());

listen(http, Number(port));
