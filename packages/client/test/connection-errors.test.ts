/** Connection errors: a client reports why, where, and what to do; and does not retry what cannot succeed. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, type ClientEvents, type ClientOptions, connect } from '@engawa/client';
import { createSelfSignedCertificate } from '@engawa/testkit/processes/certificates';
import { startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, onTestFinished, test } from 'vitest';
import { openBrowser } from './helpers/browser.ts';
import { startDemoPage } from './helpers/demo-page.ts';

type Received = ClientEvents['error'];

interface Opened {
  client: Client;
  errors: Received[];
  /** Resolves with the first error. */
  first: Promise<Received>;
}

function open(url: string, options: ClientOptions = {}): Opened {
  const client = connect(url, options);
  onTestFinished(() => client.close());
  const errors: Received[] = [];
  client.on('error', (error) => errors.push(error));
  const first = until(() => errors.length > 0, 'an error is reported', 20_000).then(() => errors[0] as Received);
  return { client, errors, first };
}

async function listening(server: TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** Counts the accepted connections. */
async function counted(server: TcpServer): Promise<{ port: number; count: () => number }> {
  let count = 0;
  server.on('connection', () => (count += 1));
  return { port: await listening(server), count: () => count };
}

const closedPort = async (): Promise<number> => {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
};

/** Longer than any delay after a first attempt. */
const PAUSE_MS = 3_000;

test('a closed port is reported with address, cause and advice, and retried', async () => {
  const port = await closedPort();
  const address = `http://127.0.0.1:${port}`;
  const { client, errors, first } = open(address);
  expect(await first).toMatchObject({ code: 'unreachable', retryable: true, address, cause: { code: 'ECONNREFUSED' } });
  expect((await first).message).toBe(`${address}: connect ECONNREFUSED 127.0.0.1:${port}. Is the server running there?`);
  await until(() => errors.length > 1, 'it is tried again');
  expect(client.state).toBe('connecting');
});

test('a server that accepts connections and does not answer is reported', async () => {
  const port = await listening(createTcpServer());
  const { first } = open(`http://127.0.0.1:${port}`);
  expect(await first).toMatchObject({ code: 'unreachable', cause: { message: 'timeout' } });
});

test.each(['', 'nonsense', 'localhost:3000', 'ftp://127.0.0.1', '//127.0.0.1', 'http://'])(
  '%j is reported as an invalid URL',
  async (url) => {
    const { client, first } = open(url);
    const joining = client.join('veranda', { username: 'aya' });
    await expect(withTimeout(joining, 'the join to be refused')).rejects.toMatchObject({ code: 'invalid_url', retryable: false });
    expect(await first).toMatchObject({
      code: 'invalid_url',
      retryable: false,
      address: `'${url}'`,
      advice: 'It begins with http:// or https://.',
    });
    expect(client.state).toBe('closed');
    await expect(client.join('veranda', { username: 'aya' })).rejects.toMatchObject({ code: 'invalid_url' });
    expect(await client.listRooms()).toMatchObject({ ok: false, error: { code: 'invalid_url' } });
  },
);

const answering = (listener: RequestListener) => createServer(listener);
const others: [string, () => TcpServer, RegExp][] = [
  ['has nothing there', () => answering((_, response) => response.writeHead(404).end('Not found')), /HTTP 404/],
  ['sends elsewhere', () => answering((_, response) => response.writeHead(401).end()), /HTTP 401/],
  ['answers with a page', () => answering((_, response) => response.end('<!doctype html><p>hello')), /parser error/],
  ['answers with nothing', () => answering((_, response) => response.end()), /parser error/],
  [
    'does not speak HTTP',
    () => createTcpServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.2\r\n')),
    /Parse Error/,
  ],
];

test.each(others)('a server that %s is reported as not a chat server, and not retried', async (_, make, reason) => {
  const { port, count } = await counted(make());
  const { client, errors, first } = open(`http://127.0.0.1:${port}/chat`);
  expect(await first).toMatchObject({ code: 'not_a_chat_server', retryable: false, address: `http://127.0.0.1:${port}/chat` });
  expect((await first).message).toMatch(reason);
  expect(client.state).toBe('closed');
  const before = count();
  await pause(PAUSE_MS);
  expect([errors.length, count() - before]).toEqual([1, 0]);
});

test('a certificate that is not valid, and a port without TLS, are reported and not retried', async () => {
  const wrong = await counted(createTlsServer(await createSelfSignedCertificate()));
  const none = await counted(createServer());
  for (const { port, count } of [wrong, none]) {
    const address = `https://127.0.0.1:${port}`;
    const { client, errors, first } = open(address);
    expect(await first).toMatchObject({ code: 'tls_failed', retryable: false, address });
    expect((await first).message).toContain('NODE_EXTRA_CA_CERTS');
    expect(client.state).toBe('closed');
    const before = count();
    await pause(PAUSE_MS);
    expect([errors.length, count() - before]).toEqual([1, 0]);
  }
});

test('a proxy whose server is down, and a server that is starting, are retried', async () => {
  const { port } = await counted(answering((_, response) => response.writeHead(502).end('Bad gateway')));
  const { client, errors, first } = open(`http://127.0.0.1:${port}`);
  expect(await first).toMatchObject({ code: 'unreachable', retryable: true });
  expect((await first).message).toContain('HTTP 502');
  await until(() => errors.length > 1, 'it is tried again');
  expect(client.state).toBe('connecting');
});

test('after the first connection every error is retried', async () => {
  const { url } = await startServer();
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const { client, errors } = open(proxy.url);
  await withTimeout(client.join('veranda', { username: 'aya', create: true }), 'the join');
  proxy.retarget(await listening(answering((_, response) => response.writeHead(404).end())));
  proxy.cut();
  await until(() => errors.some(({ code }) => code === 'not_a_chat_server'), 'another one is met', 20_000);
  expect(errors.every(({ retryable }) => retryable)).toBe(true);
  proxy.retarget(Number(new URL(url).port));
  await until(() => client.state === 'online', 'it is back', 20_000);
});

test('a page with a forbidden origin is reported, and does not retry', async () => {
  const { url } = await startServer({ allowedOrigins: ['https://chat.example.org'] });
  const proxy = await startProxy({ port: Number(new URL(url).port) });
  const [context, site] = await Promise.all([openBrowser(), startDemoPage()]);
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${site.port}/client.js`);
  // As a string, since compiled test code cannot import modules of the page.
  const received = (await page.evaluate(`import('/client.js').then(async ({ connect }) => {
    const client = connect(${JSON.stringify(proxy.url)});
    const error = await new Promise((resolve) => client.on('error', resolve));
    return { ...error, cause: undefined, state: client.state };
  })`)) as Received & { state: string };
  expect(received).toMatchObject({ code: 'origin_not_allowed', retryable: false, address: proxy.url, state: 'closed' });
  expect(received.message).toBe(`${proxy.url}: Pages of this origin may not connect. Add this origin to ENGAWA_ALLOWED_ORIGINS.`);
  await until(() => proxy.connections <= 1, 'what it opened is closed');
  await pause(PAUSE_MS);
  expect(proxy.connections).toBeLessThanOrEqual(1);
});
