/** One of several Socket.IO servers that tell each other of messages over a Redis, and keep none; as its documentation sets it up. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { createAdapter as createClassicAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter';
import { Server } from 'socket.io';

interface Place {
  roomId: string;
  username: string;
}
type Chat = Place & { message: string };
type Acknowledge = ((answer: { ok: true }) => void) | undefined;

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

io.on('connection', (socket) => {
  async function join({ roomId }: Place, acknowledge: Acknowledge): Promise<void> {
    await socket.join(roomId);
    acknowledge?.({ ok: true });
  }
  socket.on('create:room', join);
  socket.on('add:member', join);
  socket.on('create:chat', ({ roomId, username, message }: Chat, acknowledge: Acknowledge) => {
    io.to(roomId).emit('create:chat:success', { roomId, username, message });
    acknowledge?.({ ok: true });
  });
});

async function stop(): Promise<never> {
  await Promise.race([io.close(), sleep(LINGER_MS)]);
  process.exit();
}
process.once('SIGTERM', () => void stop());

http.listen(0, '127.0.0.1', () => {
  console.log(`The peer is listening on http://127.0.0.1:${(http.address() as AddressInfo).port}`);
});
