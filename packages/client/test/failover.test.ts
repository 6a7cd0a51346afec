/** An address at its connection limit: which clients can reconnect, and how the others wait. */
import { connect as connectSdk } from '@engawa/client';
import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, newClient, requestOk, startServer, until } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import type { ManagerOptions, Socket, SocketOptions } from 'socket.io-client';
import { expect, onTestFinished, test } from 'vitest';
import { startPython } from './helpers/python.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const portOf = (url: string): number => Number(new URL(url).port);
const RETURNS: Partial<ManagerOptions & SocketOptions> = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 300 };
const authOf = (session: string) => JSON.stringify({ session: session.padEnd(32, '-'), retries: true });

/** The client detects that nothing arrives any more; its own close packet does not get through. */
function giveUp(socket: Socket): void {
  const { ws } = socket.io.engine.transport as unknown as { ws: { terminate: () => void } };
  ws.terminate();
}

test.each([
  { limit: 'the default limit', settings: {} },
  { limit: 'a limit of 30', settings: { connectionsPerAddress: 30 } },
])(
  '30 plain Socket.IO clients of one address, whose uplink fails over, are all reconnected within seconds, with $limit',
  async ({ settings }) => {
    const { url } = await startServer(settings);
    const proxy = await startProxy({ port: portOf(url) });
    const clients = await Promise.all(upTo(30).map(() => connect(proxy.url, RETURNS)));
    const [first, ...others] = clients as [Socket, ...Socket[]];
    await requestOk(first, 'create:room', { roomId: 'office', username: 'aya' });
    await Promise.all(others.map((client, each) => requestOk(client, 'add:member', { roomId: 'office', username: `name ${each}` })));
    const errors: unknown[] = [];
    for (const client of clients) client.on('connect_error', (error) => errors.push(error));
    expect(proxy.blackhole()).toBe(30);
    for (const client of clients) giveUp(client);
    await until(() => clients.every((client) => !client.connected), 'all are away');
    await until(() => clients.every((client) => client.connected), 'all are back', 10_000);
    expect(clients.every((client) => client.recovered)).toBe(true);
    expect(errors).toEqual([]);
    // No end has noticed that the old connections are dead.
    expect(proxy.connections).toBe(60);
  },
);

test.each(['websocket', 'polling'] as const)(
  'a plain Socket.IO client that is refused for now reconnects by itself, over %s',
  async (transport) => {
    const { url } = await startServer({ connectionsPerAddress: 2 });
    const [first] = [await connect(url), await connect(url)];
    const third = newClient(url, { ...RETURNS, transports: [transport] });
    const receivedEvents: string[] = [];
    third.on('connect_error', () => receivedEvents.push('connect_error'));
    third.on('disconnect', (reason) => receivedEvents.push(reason));
    await until(() => receivedEvents.length >= 3, 'it was refused several times');
    expect(new Set(receivedEvents)).toEqual(new Set(['transport close']));
    expect(third.active).toBe(true);
    first.disconnect();
    await until(() => third.connected, 'it is in');
  },
);

test('a Python client that is refused over the limit reconnects by itself', async () => {
  const { url } = await startServer({ connectionsPerAddress: 2 });
  const proxy = await startProxy({ port: portOf(url) });
  const aya = await connect(url);
  await requestOk(aya, 'create:room', { roomId: 'veranda', username: 'aya' });
  const python = startPython({ kind: 'sync', url: proxy.url, transports: 'websocket' });
  await until(() => python.lines.some(({ joined }) => joined === true), 'it joined', 20_000);
  proxy.refuse(true);
  proxy.cut();
  const other = await connect(url, RETURNS);
  proxy.refuse(false);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const connects = () => python.lines.filter(({ connected }) => connected).length;
  expect(connects()).toBe(1);
  other.disconnect();
  await until(() => connects() === 2, 'it is back', 20_000);
});

test('the SDK reports why it is refused for now, and connects as soon as the limit allows it', async () => {
  const { url } = await startServer({ connectionsPerAddress: 1 });
  const first = await connect(url);
  const client = connectSdk(url);
  onTestFinished(() => void client.close());
  const codes: string[] = [];
  client.on('error', ({ code }) => codes.push(code));
  await until(() => codes.length > 0, 'it is reported');
  expect(codes[0]).toBe('too_many_connections');
  first.disconnect();
  await until(() => client.state === 'online', 'it is in');
});

test('each connection admits one more of its own session beyond the limit, and never one of another session', async () => {
  const { url } = await startServer({ connectionsPerAddress: 2 });
  const shown = async (session: string) => {
    const raw = await openRawWebSocket(url);
    await raw.send(`40${authOf(session)}`);
    return { raw, answer: await raw.waitForPacket(/^4[04]\{/) };
  };
  const refused = expect.stringMatching(/^44.*too_many_connections/) as string;
  const admitted = expect.stringMatching(/^40/) as string;
  const first = await shown('aya');
  expect([first.answer, (await shown('ben')).answer]).toEqual([admitted, admitted]);
  const outsider = await shown('eve');
  expect(outsider.answer).toEqual(refused);
  outsider.raw.socket.close();
  await outsider.raw.closed;
  const second = await shown('aya');
  expect(second.answer).toEqual(admitted);
  const third = await shown('aya');
  expect(third.answer).toEqual(refused);
  third.raw.socket.close();
  // The other connection takes the slot of the dead one, which allows one more again.
  first.raw.socket.terminate();
  await until(async () => (await shownOnce(url, 'ben')) === 'in', 'ben may come once more');
  await until(async () => (await shownOnce(url, 'aya')) === 'in', 'aya, too');
  await until(async () => (await shownOnce(url, 'eve')) === 'out', 'eve may not');
});

/** Whether a client is admitted; it disconnects if not. */
async function shownOnce(url: string, session: string): Promise<'in' | 'out'> {
  const raw = await openRawWebSocket(url).catch(() => undefined);
  if (!raw) return 'out';
  await raw.send(`40${authOf(session)}`);
  const isIn = (await raw.waitForPacket(/^4[04]\{/)).startsWith('40');
  if (!isIn) raw.socket.terminate();
  return isIn ? 'in' : 'out';
}

test('several CONNECT packets in one write are one connection', async () => {
  const { url } = await startServer({ connectionsPerAddress: 1 });
  const raw = await openRawWebSocket(url);
  await raw.send(...upTo(5).map(() => `40${authOf('aya')}`));
  await until(() => raw.received.filter((packet) => packet.startsWith('40')).length === 5, 'all are answered');
  await connectRaw(await openRawWebSocket(url), authOf('aya'));
  raw.socket.terminate();
  await until(async () => (await shownOnce(url, 'aya')) === 'in', 'one more');
  expect(await shownOnce(url, 'aya')).toBe('out');
});
