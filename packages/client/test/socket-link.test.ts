/** The transport over Socket.IO, against a plain Socket.IO server. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Server } from 'socket.io';
import { expect, onTestFinished, test } from 'vitest';
import { createSocketIoTransport, createSocketIoTransportFactory } from '#connection/socketio-transport.js';
import type { Transport } from '#connection/transport.js';

interface Received {
  link: Transport;
  /** The next event of this name; earlier ones count, too. */
  next: (name: string) => Promise<unknown>;
}

/** A plain Socket.IO server. */
async function newServer(): Promise<{ io: Server; url: string }> {
  const http = createServer();
  const io = new Server(http, { connectionStateRecovery: {} });
  await new Promise<void>((resolve) => void http.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => io.close());
  return { io, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

function newLink(url: string, make = createSocketIoTransport): Received {
  const received: { name: string; value: unknown }[] = [];
  const waiting = new Map<string, (value: unknown) => void>();
  const record = (name: string, value?: unknown) => {
    const resolve = waiting.get(name);
    waiting.delete(name);
    if (resolve) resolve(value);
    else received.push({ name, value });
  };
  const link = make(url, {
    onConnect: () => record('up'),
    onDisconnect: (reason) => record('down', reason),
    onRejected: (error) => record('refused', error),
    onConnectError: (error) => record('failed', error),
    onEvent: (event, payload) => record('event', { event, payload }),
  });
  onTestFinished(() => link.close());
  const next = (name: string): Promise<unknown> => {
    const at = received.findIndex((each) => each.name === name);
    if (at >= 0) return Promise.resolve(received.splice(at, 1)[0]?.value);
    return new Promise((resolve) => waiting.set(name, resolve));
  };
  link.open({ session: 'secret' });
  return { link, next };
}

test('the transport sends requests, receives events, and shows its session but no recovery offset', async () => {
  const { io, url } = await newServer();
  const auths: unknown[] = [];
  io.on('connection', (socket) => {
    auths.push(socket.handshake.auth);
    socket.on('echo', (payload: unknown, acknowledge: (answer: unknown) => void) => acknowledge({ ok: true, payload }));
    socket.emit('said', { seq: 1 }, 'an offset');
    socket.on('end', () => socket.conn.close());
  });
  const { link, next } = newLink(url);
  await next('up');
  expect(await link.request('echo', { text: 'x' }, 1_000)).toEqual({ ok: true, payload: { text: 'x' } });
  expect(await next('event')).toEqual({ event: 'said', payload: { seq: 1 } });
  await expect(link.request('end', {}, 5_000)).rejects.toMatchObject({ name: 'LinkError' });
  await next('down');
  await next('up');
  expect(auths).toEqual([
    { session: 'secret', recovery: false, retries: true },
    { session: 'secret', recovery: false, retries: true },
  ]);
});

test('a request without an answer, or without a connection, rejects with a TransportError', async () => {
  const { url } = await newServer();
  const { link, next } = newLink(url);
  await expect(link.request('early', {}, 1_000)).rejects.toMatchObject({ name: 'LinkError' });
  await next('up');
  await expect(link.request('unanswered', {}, 20)).rejects.toMatchObject({ name: 'LinkError' });
});

test('the transport reconnects after the server has ended the connection', async () => {
  const { io, url } = await newServer();
  const { next } = newLink(url);
  await next('up');
  io.disconnectSockets();
  expect(await next('down')).toBe('io server disconnect');
  await next('up');
});

test('the transport reconnects after a connection that ended before it was open', async () => {
  const http = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void http.close());
  await once(http, 'listening');
  const { next } = newLink(
    `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    createSocketIoTransportFactory({ firstMs: 10, lastMs: 10, openMs: 500 }),
  );
  const [{ headers }, socket] = (await once(http, 'upgrade')) as [IncomingMessage, Socket];
  const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  new Server(http);
  await next('up');
});

test('a rejection is reported with its error, and not retried before the next open', async () => {
  const { io, url } = await newServer();
  const error = { code: 'rate_limited', message: 'Slow down.', retryable: true, retryAfterMs: 50 };
  let refusals = 1;
  io.use((_, next) => next(refusals-- > 0 ? Object.assign(new Error('Slow down.'), { data: error }) : undefined));
  const { link, next } = newLink(url);
  expect(await next('refused')).toEqual(error);
  link.open({ session: 'secret' });
  await next('up');
});

test('a closed transport reports no loss, and can be opened again', async () => {
  const { url } = await newServer();
  const { link, next } = newLink(url);
  await next('up');
  let isLost = false;
  void next('down').then(() => {
    isLost = true;
  });
  link.close();
  link.open({ session: 'secret' });
  await next('up');
  expect(isLost).toBe(false);
});
