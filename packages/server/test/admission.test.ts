/** Which handshakes get a connection, and how the others are refused. */
import { createConnection } from 'node:net';
import { LIMITS } from '@engawa/protocol';
import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, startServer, until } from '@engawa/testkit/processes/server';
import { expect, onTestFinished, test } from 'vitest';
import { HandshakeGate } from '#http/handshake-gate.js';
import { AddressLimiter, UNLIMITED } from '#limits/address-limiter.js';
import { AdmissionQueue } from '#limits/admission-queue.js';
import { ATTACKER_HEADERS, countResources, forwardedFor, startWithBystanders } from './helpers/bystanders.ts';

const { connections, connects } = LIMITS.perAddress;
const allOf = <Result>(count: number, make: () => Promise<Result>) => Promise.all(Array.from({ length: count }, make));
const poll = (url: string) => fetch(`${url}/socket.io/?EIO=4&transport=polling`);

test('an address beyond twice its connection limit is refused by HTTP before a session exists; other addresses are admitted', async () => {
  const setup = await startWithBystanders();
  const { url, expectUnharmed } = setup;
  await allOf(2 * connections, () => openRawWebSocket(url, { headers: ATTACKER_HEADERS }));
  const before = countResources(setup);
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: ATTACKER_HEADERS });
  expect(response.status).toBe(429);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await response.json()).toMatchObject({ error: 'too_many_connections' });
  await expect(openRawWebSocket(url, { headers: ATTACKER_HEADERS })).rejects.toThrow('429');
  expect(countResources(setup)).toEqual(before);
  await connect(url, { extraHeaders: forwardedFor('203.0.113.8') });
  await expectUnharmed();
});

test('an address that connects at more than twice its rate is refused by HTTP, with the time after which to retry', async () => {
  const { url } = await startServer({ connectionsPerAddress: 0, connectionRatePerAddress: 1 });
  const statuses: number[] = [];
  for (let each = 0; each < 30; each += 1) statuses.push((await poll(url)).status);
  expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 200));
  expect(statuses.at(-1)).toBe(429);
  const refused = await poll(url);
  expect(await refused.json()).toMatchObject({ error: 'rate_limited' });
  expect(refused.headers.get('retry-after')).toBe('1');
});

test('between the limit and twice the limit, a client that retries by itself is refused over the connection, with a code', async () => {
  const { url } = await startServer();
  await allOf(connections, () => openRawWebSocket(url));
  const polite = await openRawWebSocket(url);
  await polite.send('40{"retries":true}');
  expect(JSON.parse((await polite.waitForPacket(/^44/)).slice(2))).toMatchObject({
    data: { code: 'too_many_connections', retryable: true },
  });
});

test('queued handshakes count as connections, so that one address cannot fill the queue', async () => {
  const queue = new AdmissionQueue();
  const admission = new HandshakeGate({ queue, memory: { isHigh: false }, isClosing: () => false });
  const address = new AddressLimiter('192.0.2.1', { ...LIMITS.perAddress, connects: null });
  const all = allOf(1_000, () => admission.admit(address));
  expect(address.queuedHandshakes).toBe(2 * connections);
  expect(queue.queuedCount).toBe(2 * connections);
  const refusals = (await all).filter((refusal) => refusal !== undefined);
  expect(refusals).toHaveLength(1_000 - 2 * connections);
  expect(refusals[0]).toMatchObject({ status: 429, code: 'too_many_connections' });
  expect(address.queuedHandshakes).toBe(0);
});

test('the admission queue is bounded for all addresses together', async () => {
  const queue = new AdmissionQueue();
  const admission = new HandshakeGate({ queue, memory: { isHigh: false }, isClosing: () => false });
  const address = new AddressLimiter('exempt', UNLIMITED);
  const all = allOf(20_010, () => admission.admit(address));
  expect(queue.queuedCount).toBe(20_000);
  const refusals = (await all).filter((refusal) => refusal !== undefined);
  expect(refusals).toHaveLength(10);
  expect(refusals[0]).toMatchObject({ status: 503, code: 'busy', headers: { 'retry-after': '5' } });
});

test('a client that disconnects while it is queued leaves no session', async () => {
  const setup = await startWithBystanders();
  const before = countResources(setup);
  const { hostname, port } = new URL(setup.url);
  for (let each = 0; each < 50; each += 1) {
    const socket = createConnection(Number(port), hostname).on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    socket.write('GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n', () => socket.resetAndDestroy());
  }
  await setup.expectUnharmed();
  await until(() => JSON.stringify(countResources(setup)) === JSON.stringify(before), 'nothing is left of them');
});

test('with its limits lifted, an office of a hundred browsers is admitted as fast as before after a restart', async () => {
  const { url } = await startServer({ connectionsPerAddress: 200, connectionRatePerAddress: 100 });
  expect(connects.burst).toBeLessThan(200);
  const all = await allOf(200, () => openRawWebSocket(url));
  await Promise.all(all.map((each) => connectRaw(each)));
});
