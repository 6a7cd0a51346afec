/**
 * The floor in Node: bytes of a room to its sockets, several messages in one write, and nothing else. It knows of WebSocket
 * what it must: the handshake, and where a frame ends. No pings, no fragments, no limits: nobody could be served by it.
 */
import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';

/** Messages of a room wait for so long, in which others come. */
const FLUSH_MS = 5;
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const HELLO = Buffer.from([0x81, 1, 0x30]);

class Room {
  readonly sockets = new Set<Socket>();
  #waiting: Buffer[] = [];

  tell(frame: Buffer): void {
    if (this.#waiting.push(frame) === 1) setTimeout(() => this.#flush(), FLUSH_MS);
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    for (const socket of this.sockets) socket.write(bytes);
  }
}

const rooms = new Map<string, Room>();

function roomOf(name: string): Room {
  const room = rooms.get(name) ?? new Room();
  rooms.set(name, room);
  return room;
}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  socket.once('data', (request) => {
    const [, name = ''] = /room=(\S+)/.exec(request.toString('latin1')) ?? [];
    const [, key = ''] = /Sec-WebSocket-Key: (\S+)/i.exec(request.toString('latin1')) ?? [];
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64');
    const head = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
      '',
      '',
    ];
    socket.write(head.join('\r\n'));
    socket.write(HELLO);
    const room = roomOf(name);
    room.sockets.add(socket);
    socket.once('close', () => room.sockets.delete(socket));
    let begun: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const bytes = begun.length === 0 ? chunk : Buffer.concat([begun, chunk]);
      let at = 0;
      for (let size = sizeOf(bytes, at); size > 0 && at + size <= bytes.length; size = sizeOf(bytes, at)) {
        room.tell(unmasked(bytes.subarray(at, at + size)));
        at += size;
      }
      begun = bytes.subarray(at);
    });
  });
});

/** Of a client's frame of at most 64 KiB; 0 when that cannot be said yet. */
function sizeOf(bytes: Buffer, at: number): number {
  if (bytes.length - at < 4) return 0;
  const short = bytes.readUInt8(at + 1) & 0x7f;
  return short < 126 ? 6 + short : 8 + bytes.readUInt16BE(at + 2);
}

/** As a server sends it. The load masks with zeros, so that nothing is to be undone. */
function unmasked(frame: Buffer): Buffer {
  const head = frame.readUInt8(1) === 0xfe ? 4 : 2;
  const bytes = Buffer.concat([frame.subarray(0, head), frame.subarray(head + 4)]);
  bytes[1] = bytes.readUInt8(1) & 0x7f;
  return bytes;
}

process.once('SIGTERM', () => process.exit());
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  const address = server.address();
  console.log(`The peer is listening on http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
});
