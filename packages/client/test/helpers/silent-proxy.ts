import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface SilentProxy {
  url: string;
  /** Whether upgrades are passed on from now on; before, nobody answers them. */
  passes: boolean;
  /** Whether the others are refused, at once. */
  refuses: boolean;
  /** Whether a WebSocket is cut once the server has answered its probe: in the middle of an upgrade from polling. */
  cutsUpgrades: boolean;
  /** WebSockets that it has passed on, and that are open. */
  webSockets: () => number;
  /** Ends all connections. */
  cut: () => void;
}

/** Until a client that has just connected polls. */
const POLL_MS = 300;

/** A proxy that takes upgrades and never answers them, as some firewalls do. */
export async function startSilentProxy(server: number): Promise<SilentProxy> {
  const sockets = new Set<Socket>();
  const webSockets = new Set<Socket>();
  const proxy = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined).on('close', () => sockets.delete(client));
    client.once('data', (head: Buffer) => {
      const isUpgrade = /^upgrade: websocket/im.test(head.toString('latin1'));
      if (isUpgrade && !state.passes && state.refuses)
        client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      if (isUpgrade && !state.passes) return;
      if (isUpgrade) webSockets.add(client);
      const upstream = createConnection({ port: server, host: '127.0.0.1' });
      upstream.pipe(client);
      const forward = () => {
        upstream.write(head);
        client.pipe(upstream);
      };
      if (isUpgrade && state.cutsUpgrades) {
        // Not before a poll waits for what comes next: until its answer the client is between both.
        setTimeout(forward, POLL_MS);
        upstream.on('data', (data: Buffer) => data.includes('3probe') && setImmediate(() => client.destroy()));
      } else forward();
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.on('close', () => {
        webSockets.delete(client);
        upstream.destroy();
      });
    });
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    proxy.close();
    cut();
  });
  const { port } = proxy.address() as AddressInfo;
  const state = {
    url: `http://127.0.0.1:${port}`,
    passes: false,
    refuses: false,
    cutsUpgrades: false,
    webSockets: () => webSockets.size,
    cut,
  };
  return state;
}
