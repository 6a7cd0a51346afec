/** A real Socket.IO server, and clients that record what they receive. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { withTimeout } from '@engawa/testkit/wait-for';
import { Server, type ServerOptions, type Socket } from 'socket.io';
import { type Socket as Client, io as connect, type ManagerOptions, type SocketOptions } from 'socket.io-client';
import { onTestFinished } from 'vitest';

export interface RunningServer {
  io: Server;
  url: string;
  close: () => Promise<void>;
}

/** A real Socket.IO server on a free port. */
export async function startServer(options: Partial<ServerOptions>): Promise<RunningServer> {
  const http = createServer();
  const io = new Server(http, { serveClient: false, ...options });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => io.close();
  onTestFinished(close);
  return { io, url, close };
}

/** A plain Socket.IO client, and the server's socket for it. */
export interface ClientPair {
  client: Client;
  socket: Socket;
  /** Everything that the client received, in order, including acknowledgements. */
  received: string[];
}

/** A plain Socket.IO client that records everything it receives. */
export async function connectPair(
  { io, url }: RunningServer,
  { namespace = '/', ...options }: Partial<ManagerOptions & SocketOptions> & { namespace?: string } = {},
): Promise<ClientPair> {
  const client = connect(url + namespace, { forceNew: true, reconnection: false, ...options });
  onTestFinished(() => void client.disconnect());
  return pairOf(io, client, namespace);
}

/** Resolves when the client is connected. */
export async function pairOf(io: Server, client: Client, namespace: string): Promise<ClientPair> {
  const received: string[] = [];
  client.onAny((...args: unknown[]) => {
    const answer = args.at(-1);
    received.push(serialize(args.filter((arg) => typeof arg !== 'function')));
    if (typeof answer === 'function') (answer as (text: string) => void)('received');
  });
  client.on('disconnect', (reason) => received.push(`disconnect: ${reason}`));
  await withTimeout(new Promise<void>((resolve, reject) => client.once('connect', resolve).once('connect_error', reject)), 'connect');
  const socket = io.of(namespace).sockets.get(String(client.id));
  if (!socket) throw new Error('The server does not know its client.');
  socket.on('ask', (text: string, answer: (text: string) => void) => answer(text));
  return { client, socket, received };
}

const serialize = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (ArrayBuffer.isView(part) ? Buffer.from(part as Uint8Array).toString('hex') : part));

/** Resolves when the client has received everything that was sent to it so far. */
export async function waitUntilDelivered({ client, received }: ClientPair, text = 'settled'): Promise<void> {
  const answer = await withTimeout(client.emitWithAck('ask', text) as Promise<string>, 'an answer');
  received.push(`answer: ${answer}`);
}
