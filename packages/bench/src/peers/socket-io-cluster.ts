/** One of several Socket.IO servers that tell each other of messages over a Redis, and keep none; as its documentation sets it up. */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { createAdapter as createClassicAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Server } from 'socket.io';
import { listen, serveRooms } from './rooms.ts';

const LINGER_MS = 1_000;

const [kind, url = ''] = process.argv.slice(2);
const connect = () => createClient({ url, RESP: 2 }).connect();
const [one, two] = [await connect(), await connect()];
const adapters = {
  classic: () => createClassicAdapter(one, two),
  sharded: () => createShardedAdapter(one, two),
  streams: () => createStreamsAdapter(one),
};
const http = createServer();
const io = new Server(http, { adapter: adapters[kind as keyof typeof adapters]() });

serveRooms(io);

async function stop(): Promise<never> {
  await Promise.race([io.close(), sleep(LINGER_MS)]);
  process.exit();
}
process.once('SIGTERM', () => void stop());

listen(http);
