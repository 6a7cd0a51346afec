// A proxy in front of a server whose connections can be cut.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

export interface CuttableProxy {
  url: string;
  /** Resets all connections for the client, and for the server if it is to notice; otherwise the server goes on sending. */
  cut(isNoticed: boolean): void;
  close(): Promise<void>;
}

export async function openCuttableProxy(target: string): Promise<CuttableProxy> {
  const port = Number(new URL(target).port);
  const pairs = new Set<{ client: Socket; server: Socket }>();
  const listener = createServer((client) => {
    const server = createConnection({ port, host: '127.0.0.1', noDelay: true });
    const pair = { client: client.setNoDelay(), server };
    pairs.add(pair);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on('error', () => undefined);
    server.on('close', () => {
      client.destroy();
      pairs.delete(pair);
    });
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');

  function cut(isNoticed: boolean): void {
    for (const { client, server } of pairs) {
      client.unpipe(server);
      server.unpipe(client);
      client.resetAndDestroy();
      if (isNoticed) server.resetAndDestroy();
      else server.resume();
    }
  }
  async function close(): Promise<void> {
    cut(true);
    await new Promise((resolve) => listener.close(resolve));
  }
  return { url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`, cut, close };
}
