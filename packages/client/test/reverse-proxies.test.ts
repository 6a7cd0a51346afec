/** The SDK through real reverse proxies, with and without a path prefix, and through some that pass no WebSocket. */
import { type Client, type ClientEvents, type ClientOptions, connect } from '@engawa/client';
import { startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { type ProxyName, startReverseProxy } from '@engawa/testkit/proxies/reverse-proxies';
import { startSilentProxy } from '@engawa/testkit/proxies/silent-proxy';
import { expect, onTestFinished, test } from 'vitest';
import { createSocketIoTransportFactory } from '#connection/socketio-transport.js';

const PROXIES: ProxyName[] = ['nginx', 'haproxy', 'apache2', 'caddy'];
const WAYS = [
  { name: 'without a path', path: '', strips: false },
  { name: 'with a path that stays', path: '/chat', strips: false },
  { name: 'with a path that is taken off', path: '/chat', strips: true },
];
const CASES = PROXIES.flatMap((proxy) => WAYS.map((way) => ({ proxy, ...way })));

const portOf = (url: string): number => Number(new URL(url).port);

interface Received {
  client: Client;
  errors: ClientEvents['error'][];
}

function open(url: string, options: ClientOptions = {}): Received {
  const client = connect(url, options);
  onTestFinished(() => client.close());
  const errors: ClientEvents['error'][] = [];
  client.on('error', (error) => errors.push(error));
  return { client, errors };
}

/** Sends a chat and receives it. */
async function talk(client: Client, username: string): Promise<void> {
  const room = await withTimeout(client.join('veranda', { username, create: true }), `${username} to be in the room`);
  const sent = room.send(`I am ${username}`);
  await withTimeout(sent.settled, `the chat of ${username}`);
  expect(sent.state).toBe('sent');
}

test.each(CASES)('clients chat through $proxy $name, by WebSocket and by polling', async ({ proxy, path, strips }) => {
  const { url } = await startServer({ path: strips ? '' : path });
  const address = await startReverseProxy(proxy, { server: portOf(url), prefix: path, strips });
  const received = [
    open(address, { transports: ['websocket'] }),
    open(`${address}/`, { transports: ['polling'] }),
    open(new URL(address).origin, { path: `${path}/socket.io/` }),
  ];
  await Promise.all(received.map(({ client }, index) => talk(client, `aya ${index}`)));
  expect(received.flatMap(({ errors }) => errors)).toEqual([]);
});

test('a client polls where WebSocket upgrades are refused, and reports why', async () => {
  const { url } = await startServer();
  const address = await startReverseProxy('nginx', { server: portOf(url), upgrades: false });
  const { client, errors } = open(address);
  const begun = performance.now();
  await talk(client, 'aya');
  expect(performance.now() - begun).toBeLessThan(4_000);
  await until(() => errors.length > 0, 'it is reported');
  expect(errors).toMatchObject([
    { code: 'websocket_failed', retryable: true, address, cause: { message: 'Unexpected server response: 400' } },
  ]);
  expect(errors[0]?.message).toContain('Proxies must pass WebSockets on');
  expect(client.state).toBe('online');
});

test('a client polls where WebSocket upgrades are never answered, and upgrades as soon as one is', async () => {
  const { url } = await startServer();
  const proxy = await startSilentProxy(portOf(url));
  const { client, errors } = open(proxy.url);
  const begun = performance.now();
  await talk(client, 'aya');
  expect(performance.now() - begun).toBeLessThan(8_000);
  await until(() => errors.length > 0, 'it is reported');
  expect(errors).toMatchObject([{ code: 'websocket_failed', address: proxy.url, cause: { message: 'timeout' } }]);
  expect(proxy.webSockets()).toBe(0);
  proxy.passes = true;
  proxy.cut();
  await until(() => proxy.webSockets() === 1, 'a WebSocket is open');
  await talk(client, 'aya');
});

test('a polling client upgrades to WebSocket as soon as it can, without a drop', async () => {
  const { url } = await startServer();
  const proxy = await startSilentProxy(portOf(url));
  proxy.refuses = true;
  const { client, errors } = open(proxy.url, {
    createTransport: createSocketIoTransportFactory({ firstMs: 10, lastMs: 100, openMs: 1_000 }),
  });
  await talk(client, 'aya');
  await until(() => errors.length > 0, 'it is reported');
  expect([errors.map(({ code }) => code), proxy.webSockets()]).toEqual([['websocket_failed'], 0]);
  proxy.passes = true;
  const states: string[] = [];
  client.on('state', (state) => states.push(state));
  await until(() => proxy.webSockets() === 1, 'a WebSocket is open');
  await talk(client, 'aya');
  expect(states).toEqual([]);
});

test('a client that had a WebSocket polls where none connects any more', async () => {
  const { url } = await startServer();
  const proxy = await startSilentProxy(portOf(url));
  proxy.passes = true;
  const { client } = open(proxy.url);
  await talk(client, 'aya');
  proxy.passes = false;
  proxy.cut();
  await until(() => client.state === 'reconnecting', 'it is cut');
  await until(() => client.state === 'online', 'it is back', 30_000);
  await talk(client, 'aya');
  expect(proxy.webSockets()).toBe(0);
});

test('a client whose WebSocket is cut during the upgrade from polling reconnects at once', async () => {
  const { url } = await startServer();
  const proxy = await startSilentProxy(portOf(url));
  Object.assign(proxy, { passes: true, cutsUpgrades: true });
  const { client } = open(proxy.url, { transports: ['polling', 'websocket'] });
  const states: string[] = [];
  client.on('state', (state) => states.push(state));
  await until(() => states.includes('reconnecting'), 'it is cut');
  proxy.cutsUpgrades = false;
  await until(() => client.state === 'online', 'it is back', 5_000);
  await talk(client, 'aya');
});
