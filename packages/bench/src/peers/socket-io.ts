/**
 * A Socket.IO server with rooms and nothing else: nothing is kept, who joins is told to nobody. With `--fan-out` it tells
 * its rooms through our adapter.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fanOut } from '@engawa/fan-out';
import { Server } from 'socket.io';

interface Place {
  roomId: string;
  username: string;
}
type Acknowledge = ((answer: { ok: true }) => void) | undefined;

const http = createServer();
const io = new Server(http, process.argv.includes('--fan-out') ? { adapter: fanOut() } : {});

io.on('connection', (socket) => {
  async function join({ roomId }: Place, acknowledge: Acknowledge): Promise<void> {
    await socket.join(roomId);
    acknowledge?.({ ok: true });
  }
  socket.on('create:room', join);
  socket.on('add:member', join);
  socket.on('create:chat', ({ roomId, username, message }: Place & { message: string }, acknowledge: Acknowledge) => {
    io.to(roomId).emit('create:chat:success', { roomId, username, message });
    acknowledge?.({ ok: true });
  });
});

process.once('SIGTERM', () => process.exit());
http.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  console.log(`The peer is listening on http://127.0.0.1:${(http.address() as AddressInfo).port}`);
});
