// The tutorial's server, written after its description: rooms in a Redis set `rooms`, members in a set `members` as
// `room::user`, chats in lists `chat::<room>` as `user::text`. A chat is broadcast before Redis has it.
import { createServer } from 'node:http';
import { createClient } from '@redis/client';
import { Server } from 'socket.io';
import { type Chat, listen, type Membership } from './rooms.ts';

const [url = ''] = process.argv.slice(2);
const redis = await createClient({ url, RESP: 2 }).connect();
const http = createServer();
const io = new Server(http, { cors: { origin: '*' } });

io.on('connection', (socket) => {
  const refuse = (message: string): void => void socket.emit('error', { message });

  async function addMember({ roomId, username }: Membership): Promise<void> {
    await redis.sAdd('members', `${roomId}::${username}`);
    await socket.join(roomId);
    io.to(roomId).emit('add:member:success', { roomId, username });
  }

  socket.on('create:room', async ({ roomId, username }: Membership) => {
    if (await redis.sIsMember('rooms', roomId)) return refuse('Room already exist.');
    await redis.sAdd('rooms', roomId);
    await socket.join(roomId);
    io.to(roomId).emit('create:room:success', { roomId, username });
    await addMember({ roomId, username });
  });
  socket.on('add:member', async ({ roomId, username }: Membership) => {
    if (!(await redis.sIsMember('rooms', roomId))) return refuse('Room does not exist.');
    if (await redis.sIsMember('members', `${roomId}::${username}`))
      return refuse('Username already exists, please choose another username.');
    await addMember({ roomId, username });
  });
  socket.on('remove:member', async ({ roomId, username }: Membership) => {
    if (!(await redis.sIsMember('rooms', roomId))) return refuse('Room does not exist.');
    await redis.sRem('members', `${roomId}::${username}`);
    await socket.leave(roomId);
    io.to(roomId).emit('remove:member:success', { roomId, username });
  });
  socket.on('create:chat', ({ roomId, username, message }: Chat) => {
    void redis.lPush(`chat::${roomId}`, `${username}::${message}`);
    io.to(roomId).emit('create:chat:success', { roomId, username, message });
  });
});

process.once('SIGTERM', () => process.exit());
listen(http);
