/**
 * The memory that an idle connection retains. It fails when a new version of engine.io, socket.io or ws stores it elsewhere: the server
 * still works then, but uses more memory.
 */
import type { EventEmitter } from 'node:events';
import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { connect, sendRequest, until } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { startWithBystanders } from './helpers/bystanders.ts';

type Emitter = EventEmitter & { _events: object };

interface Inside {
  id: string;
  handshake: object;
  pid: unknown;
  acks: Map<number, unknown>;
  conn: Emitter & { request: unknown; pingIntervalTimer: unknown; transport: Emitter & { name: string; socket: WebSocket } };
}
type WebSocket = Emitter & { _socket: Emitter };

const names = (emitter: EventEmitter, event: string): string[] => emitter.listeners(event).map(({ name }) => name);

function expectLean(socket: Inside): void {
  const { conn } = socket;
  const { transport } = conn;
  const webSocket = transport.socket;
  expect({ request: conn.request, timer: conn.pingIntervalTimer, pid: socket.pid }).toEqual({ request: null, timer: null, pid: undefined });
  expect(socket.handshake).toEqual({ auth: {} });
  expect(names(webSocket, 'error')).toEqual(['bound onError']);
  expect(names(webSocket._socket, 'error')).toEqual(['socketOnError']);
  expect(names(webSocket._socket, 'close')).toEqual(['socketOnClose']);
  expect(names(transport, 'headers')).toEqual([]);
  for (const emitter of [socket as unknown as Emitter, conn, transport, webSocket]) {
    const { _events: events } = emitter;
    expect(Object.getPrototypeOf(events), 'it is no hash table').not.toBeNull();
    for (const event of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) expect(emitter.listeners(event)).toEqual([]);
  }
}

test('a connected socket retains nothing of its handshake', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders();
  const known = new Set(io.sockets.sockets.keys());
  await connectRaw(await openRawWebSocket(url));
  const outsider = [...io.sockets.sockets.values()].find(({ id }) => !known.has(id));
  expectLean(outsider as unknown as Inside);
  await expectUnharmed();
});

test('neither does a socket that connected by polling and upgraded', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders();
  const client = await connect(url, { transports: ['polling', 'websocket'] });
  await until(() => client.io.engine.transport.name === 'websocket', 'the client has upgraded');
  expect(await sendRequest(client, 'list:rooms', {})).toMatchObject({ ok: true });
  expectLean(io.sockets.sockets.get(client.id ?? '') as unknown as Inside);
  await expectUnharmed();
});

test('acknowledgements that are not awaited are not allocated, and requesting one is an error', async () => {
  const { url, io, expectUnharmed } = await startWithBystanders();
  const client = await connect(url);
  const socket = io.sockets.sockets.get(client.id ?? '') as unknown as Inside & { emit: (...args: unknown[]) => void };
  expect(() => socket.emit('x', () => undefined)).toThrow('no acknowledgements');
  await expectUnharmed();
});
