/** Bun's own rooms, run by `bun`: whatever one says, its native publish tells to all of the room that the address names. */
interface BunSocket {
  data: string;
  subscribe(room: string): void;
  send(text: string): void;
}
interface BunServer {
  port: number;
  upgrade(request: Request, options: { data: string }): boolean;
  publish(room: string, text: string | Uint8Array): void;
}
interface BunOptions {
  port: number;
  hostname: string;
  fetch(request: Request): Response | undefined;
  websocket: { maxPayloadLength: number; open(socket: BunSocket): void; message(socket: BunSocket, text: string): void };
}
declare const Bun: { serve(options: BunOptions): BunServer };

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request) {
    const data = new URL(request.url).searchParams.get('room') ?? '';
    return server.upgrade(request, { data }) ? undefined : new Response('not a WebSocket', { status: 400 });
  },
  websocket: {
    maxPayloadLength: 64 * 1024,
    open(socket) {
      socket.subscribe(socket.data);
      socket.send('0');
    },
    message: ({ data }, text) => server.publish(data, text),
  },
});

process.once('SIGTERM', () => process.exit());
console.log(`The peer is listening on http://127.0.0.1:${server.port}`);

export {};
