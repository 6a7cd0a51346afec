import { createClient } from '@redis/client';

/** One command to one server, on a connection of its own: so it works whatever happened to the server before. */
export async function sendCommand(port: number, ...args: (string | number)[]): Promise<unknown> {
  const client = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false }, RESP: 2 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(args.map(String));
  } finally {
    client.destroy();
  }
}
