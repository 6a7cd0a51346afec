/** A proxy that never answers WebSocket upgrades, as some firewalls do. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface SilentProxy {
  url: string;
  /** Whether upgrades are passed on; if not, they are never answered. */
  passes: boolean;
  /** Whether the other upgrades are refused at once. */
  refuses: boolean;
  /** Whether a WebSocket is cut after the server has answered its probe: in the middle of an upgrade from polling. */
  cutsUpgrades: boolean;
  /** The number of open WebSockets that it has passed on. */
  webSockets: () => number;
  /** Ends all connections. */
  cut: () => void;
}

/** Milliseconds until a newly connected client polls. */
const POLL_MS = 300;

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
        // Wait until a poll is pending: until its answer the client is between both transports.
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
