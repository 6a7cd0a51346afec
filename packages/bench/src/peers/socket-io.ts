/**
 * A Socket.IO server with rooms and nothing else: nothing is kept, who joins is told to nobody. With `--fan-out` it tells
 * its rooms through our adapter.
 */
import { createServer } from 'node:http';
import { createAdapter } from '@engawa/coalescing-adapter';
import { Server } from 'socket.io';
import { listen, serveRooms } from './rooms.ts';

const http = createServer();
const io = new Server(http, process.argv.includes('--fan-out') ? { adapter: createAdapter() } : {});

serveRooms(io);

process.once('SIGTERM', () => process.exit());
listen(http);
