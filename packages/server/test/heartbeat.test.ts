/** Pings of connections by one timer. */
import { connectRaw, openRawPolling, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';

const INTERVAL_MS = 400;
const TIMEOUT_MS = 300;
/** Extra milliseconds for a busy machine. */
const SLACK_MS = 400;

const start = async () => startServer({ rateLimits: 'off', pingInterval: INTERVAL_MS, pingTimeout: TIMEOUT_MS });
const waits = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const pings = (receivedEvents: readonly string[]): number => receivedEvents.filter((packet) => packet === '2').length;

test('a client that answers no ping is detected in time, and the others stay', async () => {
  const { url } = await start();
  const living = await Promise.all(Array.from({ length: 20 }, () => connect(url)));
  const began = performance.now();
  const dead = await Promise.all(Array.from({ length: 20 }, async () => connectRaw(await openRawWebSocket(url))));
  await withTimeout(Promise.all(dead.map(({ closed }) => closed)), 'the end of the dead');
  const took = performance.now() - began;
  expect(took).toBeGreaterThan(TIMEOUT_MS);
  expect(took).toBeLessThan(INTERVAL_MS + TIMEOUT_MS + SLACK_MS);
  for (const { received } of dead) expect(pings(received)).toBe(1);
  await waits(2 * INTERVAL_MS);
  expect(living.filter(({ connected }) => connected)).toHaveLength(20);
});

test('any other packet while a pong is due extends the timeout once', async () => {
  const { url } = await start();
  const client = await connectRaw(await openRawWebSocket(url));
  await client.waitForPacket(/^2$/);
  const began = performance.now();
  const asking = setInterval(() => void client.send('420["list:rooms",{}]'), 50);
  await withTimeout(client.closed, 'the end of the connection that only sends requests').finally(() => clearInterval(asking));
  const took = performance.now() - began;
  expect(took).toBeGreaterThan(TIMEOUT_MS + 50);
  expect(took).toBeLessThan(2 * TIMEOUT_MS + SLACK_MS);
});

test('each connection gets one ping in each interval, whenever it connected', async () => {
  const { url } = await start();
  const clients = [];
  for (let each = 0; each < 10; each += 1) {
    const client = await connectRaw(await openRawWebSocket(url));
    client.socket.on('message', (data: Buffer) => data.toString() === '2' && void client.send('3'));
    clients.push(client);
    await waits(INTERVAL_MS / 10);
  }
  const before = clients.map(({ received }) => pings(received));
  await waits(5 * INTERVAL_MS);
  for (const [index, { received }] of clients.entries()) {
    expect(pings(received) - (before[index] ?? 0)).toBeGreaterThanOrEqual(4);
    expect(pings(received) - (before[index] ?? 0)).toBeLessThanOrEqual(6);
  }
});

test('a polling client is pinged, and detected when it stops polling', async () => {
  const { url } = await start();
  const silent = await openRawPolling(url, { polls: false });
  await silent.postBody('40');
  const stays = await connect(url, { transports: ['polling'] });
  await waits(3 * INTERVAL_MS);
  expect(stays.connected).toBe(true);
  await until(async () => (await silent.postBody('420["list:rooms",{}]')) === 400, 'the session has ended');
});

test('a client that upgrades from polling to a WebSocket is pinged there', async () => {
  const { url } = await start();
  const client = await connect(url, { transports: ['polling', 'websocket'] });
  await until(() => client.io.engine.transport.name === 'websocket', 'the client has upgraded');
  let receivedEvents = 0;
  client.io.engine.on('packet', ({ type }: { type: string }) => (receivedEvents += type === 'ping' ? 1 : 0));
  await waits(4 * INTERVAL_MS);
  expect(receivedEvents).toBeGreaterThanOrEqual(3);
  expect(client.connected).toBe(true);
});
