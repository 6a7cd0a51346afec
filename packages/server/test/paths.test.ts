/** A server under a path, behind real reverse proxies that remove the path, or pass it on. */

import { connect, newClient, requestOk, startServer } from '@engawa/testkit/processes/server';
import { type ProxyName, startReverseProxy } from '@engawa/testkit/proxies/reverse-proxies';
import { expect, test } from 'vitest';

const PROXIES: ProxyName[] = ['nginx', 'haproxy', 'apache2', 'caddy'];
const WAYS = [
  { name: 'without a path', path: '', strips: false },
  { name: 'with a path that stays', path: '/chat', strips: false },
  { name: 'with a path that is taken off', path: '/chat', strips: true },
];
const CASES = PROXIES.flatMap((proxy) => WAYS.map((way) => ({ proxy, ...way })));

test.each(CASES)('plain Socket.IO clients chat through $proxy $name, by WebSocket and by polling', async ({ proxy, path, strips }) => {
  const { url } = await startServer({ path: strips ? '' : path });
  const address = await startReverseProxy(proxy, { server: Number(new URL(url).port), prefix: path, strips });
  for (const transport of ['websocket', 'polling']) {
    const socket = await connect(new URL(address).origin, { path: `${path}/socket.io/`, transports: [transport] });
    await requestOk(socket, 'create:room', { roomId: transport, username: 'aya' });
    await requestOk(socket, 'create:chat', { roomId: transport, username: 'aya', message: 'hello' });
  }
});

test('routes under a path also exist without it, for checks that bypass the proxy', async () => {
  const { url } = await startServer({ path: '/chat' });
  const paths = ['/chat', '/chat/', '/chat/health', '/health', '/chatter/health', '/chat/nothing', '/chatsocket.io/'];
  const statuses = paths.map(async (path) => (await fetch(url + path)).status);
  expect(await Promise.all(statuses)).toEqual([200, 200, 200, 200, 404, 404, 404]);
  await connect(url);
  await connect(url, { path: '/chat/socket.io/' });
  await expect(connectFails(url, '/other/socket.io/')).resolves.toBe(true);
});

/** A WebSocket on another path is refused, too. */
const connectFails = (url: string, path: string): Promise<boolean> =>
  new Promise((resolve) => {
    newClient(url, { path })
      .once('connect', () => resolve(false))
      .once('connect_error', () => resolve(true));
  });
