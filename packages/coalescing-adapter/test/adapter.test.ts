/** The coalescing adapter: writes, order, limits and slow consumers, on a real Socket.IO server. */
import { type CoalescingAdapterOptions, createAdapter } from '@engawa/coalescing-adapter';
import { until, withTimeout } from '@engawa/testkit/wait-for';
import type { Socket } from 'socket.io';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { type ClientPair, connectPair, type RunningServer, startServer, waitUntilDelivered } from './helpers/server.ts';

const start = (options?: CoalescingAdapterOptions): Promise<RunningServer> => startServer({ adapter: createAdapter(options) });

const joinAll = (
  running: RunningServer,
  count: number,
  options: Parameters<typeof connectPair>[1] = { transports: ['websocket'] },
): Promise<ClientPair[]> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const pair = await connectPair(running, options);
      await pair.socket.join('room');
      return pair;
    }),
  );

interface Transport {
  socket: { _socket: { write: (...args: unknown[]) => boolean } };
}
const transportOf = ({ conn }: Socket): Transport => conn.transport as unknown as Transport;

const emitMany = ({ io }: RunningServer, count: number): string[] =>
  Array.from({ length: count }, (_, number) => {
    io.to('room').emit('number', number);
    return JSON.stringify(['number', number]);
  });

test('consecutive messages to a room are written to each socket in one write', async () => {
  const running = await start();
  const pairs = await joinAll(running, 3);
  const writes = pairs.map(({ socket }) => vi.spyOn(transportOf(socket).socket._socket, 'write'));
  const sent = emitMany(running, 100);
  await until(() => pairs.every(({ received }) => received.length === 100), 'everything is received');
  for (const { received } of pairs) expect(received).toEqual(sent);
  for (const write of writes) expect(write).toHaveBeenCalledTimes(1);
});

test('a message to a quiet room waits for no timer', async () => {
  const running = await start();
  const [{ received }] = (await joinAll(running, 1)) as [ClientPair];
  running.io.to('room').emit('number', 1);
  // Messages are written in the order of the emits, in this turn of the event loop.
  const write = vi.spyOn(transportOf([...running.io.sockets.sockets.values()][0]!).socket._socket, 'write');
  await new Promise(setImmediate);
  expect(write).toHaveBeenCalledTimes(1);
  await until(() => received.length === 1, 'it is received');
});

test('in a busy room more messages share one write', async () => {
  const running = await start();
  const pairs = await joinAll(running, 20);
  const write = vi.spyOn(transportOf(pairs[0]!.socket).socket._socket, 'write');
  for (let number = 0; number < 200; number += 1) {
    running.io.to('room').emit('number', number);
    await new Promise(setImmediate);
  }
  await until(() => pairs.every(({ received }) => received.length === 200), 'everything is received');
  expect(write.mock.calls.length).toBeLessThan(100);
});

test('an engine without packetCreate sends everything on the original path', async () => {
  const running = await start();
  // As a version of Engine.IO that does not emit this event.
  running.io.engine.on('connection', (conn: Socket['conn']) => {
    const emit = conn.emit.bind(conn) as (...args: unknown[]) => boolean;
    (conn as { emit: unknown }).emit = (name: string, ...args: unknown[]) => (name === 'packetCreate' ? false : emit(name, ...args));
  });
  const [{ socket, received }] = (await joinAll(running, 1)) as [ClientPair];
  const write = vi.spyOn(transportOf(socket).socket._socket, 'write');
  const sent = emitMany(running, 10);
  socket.emit('last');
  await until(() => received.length === 11, 'everything is received');
  expect(received).toEqual([...sent, '["last"]']);
  expect(write.mock.calls.length).toBeGreaterThanOrEqual(10);
});

test('a WebSocket of another kind sends everything on the original path, in order', async () => {
  const running = await start();
  const [{ socket, received }] = (await joinAll(running, 1)) as [ClientPair];
  const { socket: ws } = transportOf(socket) as unknown as { socket: { _sender: { sendFrame: unknown } } };
  const sendFrame = ws._sender.sendFrame as (...args: unknown[]) => void;
  const created = vi.fn();
  // The shape is checked when the first message is sent.
  Object.defineProperty(ws, 'bufferedAmount', { value: 'unknown' });
  socket.conn.on('packetCreate', created);
  const sent = emitMany(running, 10);
  await until(() => received.length === 10, 'everything is received');
  expect(received).toEqual(sent);
  expect(created).toHaveBeenCalledTimes(10);
  expect(ws._sender.sendFrame).toBe(sendFrame);
});

test('more pending messages than the limit are written at once', async () => {
  const running = await start();
  const [{ socket, received }] = (await joinAll(running, 1)) as [ClientPair];
  const write = vi.spyOn(transportOf(socket).socket._socket, 'write');
  for (let number = 0; number <= 16; number += 1) running.io.to('room').emit('long', 'x'.repeat(64 * 1024));
  expect(write).toHaveBeenCalledTimes(1);
  for (let number = 0; number <= 4_096; number += 1) running.io.to('room').emit('short', number);
  expect(write).toHaveBeenCalledTimes(2);
  await until(() => received.length === 17 + 4_097, 'everything is received');
});

test('onAnyOutgoing listeners are called for every message', async () => {
  const running = await start();
  const [{ socket, received }] = (await joinAll(running, 1)) as [ClientPair];
  const receivedEvents: string[] = [];
  socket.onAnyOutgoing((...args: unknown[]) => receivedEvents.push(JSON.stringify(args)));
  const sent = emitMany(running, 3);
  await until(() => received.length === 3, 'everything is received');
  expect(receivedEvents).toEqual(sent);
});

test('pending messages are written before the server closes', async () => {
  const running = await start();
  const pairs = await joinAll(running, 3);
  const sent = emitMany(running, 5);
  await running.close();
  for (const { received } of pairs) {
    await until(() => received.length >= 6, 'it noticed the end');
    expect(received.slice(0, 5)).toEqual(sent);
  }
});

test('pending messages are written before the server ends a connection below Socket.IO', async () => {
  const running = await start();
  const [{ socket, received }] = (await joinAll(running, 1)) as [ClientPair];
  const sent = emitMany(running, 5);
  socket.conn.close();
  await until(() => received.length === 6, 'it noticed the end');
  expect(received.slice(0, 5)).toEqual(sent);
});

test('volatile messages are dropped for a busy socket, and fetchSockets of a room works', async () => {
  const running = await start();
  const pairs = await joinAll(running, 3);
  running.io.to('room').volatile.emit('volatile', 1);
  for (const pair of pairs) await waitUntilDelivered(pair);
  expect(pairs.map(({ received }) => received)).toEqual(pairs.map(() => ['["volatile",1]', 'answer: settled']));
  expect((await running.io.in('room').fetchSockets()).map(({ id }) => id).sort()).toEqual(pairs.map(({ socket }) => socket.id).sort());
});

/** A raw protocol client that stops reading from its connection. */
async function stopped({ io, url }: RunningServer): Promise<{ ws: WebSocket; socket: Socket; arrived: string[] }> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
  onTestFinished(() => ws.terminate());
  const arrived: string[] = [];
  ws.on('message', (data) => arrived.push((data as Buffer).toString()));
  const connected = new Promise<Socket>((resolve) => io.once('connection', resolve));
  ws.on('open', () => ws.send('40'));
  const socket = await withTimeout(connected, 'the connection');
  await until(() => arrived.length === 2, 'it is connected');
  await socket.join('room');
  ws.pause();
  return { ws, socket, arrived };
}

/** Sends more than the operating system buffers for a client that does not read. */
async function talk({ io }: RunningServer, until: () => boolean): Promise<number> {
  let said = 0;
  for (; !until(); said += 1) {
    io.to('room').emit('said', said, 'x'.repeat(60_000));
    await new Promise(setImmediate);
    if (said > 5_000) throw new Error('Nothing came of it.');
  }
  return said;
}

test('a slow consumer is reported, and one that is removed from the room knows what it was sent', async () => {
  let slow: { socket: Socket; room: string } | undefined;
  const running = await start({
    slowConsumer: {
      thresholdBytes: 256 * 1024,
      onSlow: (socket, room) => {
        slow = { socket, room };
        void socket.leave(room);
      },
    },
  });
  const { ws, socket, arrived } = await stopped(running);
  const [reader] = (await joinAll(running, 1)) as [ClientPair];
  const said = await talk(running, () => slow !== undefined);
  expect(slow).toEqual({ socket, room: 'room' });
  await talk(running, () => reader.received.length > said + 5);
  ws.resume();
  await until(() => arrived.length === said + 2, 'everything until then is received');
  await new Promise(setImmediate);
  expect(arrived.slice(2).map((packet) => /^42\["said",(\d+)/.exec(packet)?.[1])).toEqual(Array.from({ length: said }, (_, n) => `${n}`));
});

test('a socket that reads nothing is closed, and the others receive everything', async () => {
  const running = await start({ maxBufferedBytes: 1024 * 1024 });
  const { socket } = await stopped(running);
  const [reader] = (await joinAll(running, 1)) as [ClientPair];
  await talk(running, () => socket.disconnected);
  const arrived = reader.received.length;
  running.io.to('room').emit('after');
  await until(() => reader.received.length > arrived, 'the other client still receives');
});
