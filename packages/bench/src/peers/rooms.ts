// Rooms of Socket.IO and nothing else: chats are not stored, and joins are not broadcast.
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Server } from 'socket.io';

export interface Membership {
  roomId: string;
  username: string;
}
export type Chat = Membership & { message: string };
type Acknowledge = ((answer: { ok: true }) => void) | undefined;

/** As Engawa: more pending connections wait in the kernel. */
const BACKLOG = 4_096;

export function serveRooms(io: Server): void {
  io.on('connection', (socket) => {
    async function join({ roomId }: Membership, acknowledge: Acknowledge): Promise<void> {
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
}

/** Prints where it listens, for the process that starts the peer. */
export function listen(http: HttpServer, port = 0): void {
  http.listen({ port, host: '127.0.0.1', backlog: BACKLOG }, () => {
    console.log(`The peer is listening on http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  });
}
