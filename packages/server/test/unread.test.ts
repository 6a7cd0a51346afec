/** The unread data of a client, as far as the operating system shows it: real sockets, and a stub of Engine.IO's side. */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from '@engawa/testkit/wait-for';
import type { Server } from 'socket.io';
import { expect, onTestFinished, test } from 'vitest';
import { type EngineConn, UnreadTracker } from '#socketio/unread-tracker.js';

/** More than the operating system buffers for one connection. */
const LARGE = 'x'.repeat(32 * 1024 * 1024);

/** A polling connection: each poll is answered at once, on a connection of its own, of which only the head is read. */
async function polling() {
  const engine = new EventEmitter();
  const unread = new UnreadTracker(engine as unknown as Server['engine']);
  let isClosed = false;
  const state = { res: null as ServerResponse | null };
  const conn: EngineConn = {
    readyState: 'open',
    writeBuffer: [],
    transport: {
      name: 'polling',
      get res() {
        return state.res;
      },
    },
    close: () => (isClosed = true),
  };
  const server = createServer((_, response) => {
    const data = LARGE;
    state.res = response;
    engine.emit('flush', conn, [{ data }]);
    response.end(data);
    state.res = null;
  });
  server.listen(0);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const poll = async (): Promise<IncomingMessage> => {
    const [response] = (await once(request({ port: (server.address() as AddressInfo).port }).end(), 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    return response.pause();
  };
  return { conn, unread, poll, isClosed: () => isClosed };
}

test('a poll response is unread until the operating system has accepted all of it', async () => {
  const { conn, unread, poll, isClosed } = await polling();
  expect(unread.unreadPollBytes(conn)).toBe(0);
  const response = await poll();
  expect(unread.unreadPollBytes(conn)).toBe(LARGE.length);
  response.resume();
  await once(response, 'end');
  await until(() => unread.unreadPollBytes(conn) === 0, 'it is read');
  (await poll()).resume();
  expect(isClosed()).toBe(false);
});

test('a client that polls again before it has read the answer is disconnected', async () => {
  const { poll, isClosed } = await polling();
  await poll();
  await poll();
  await until(isClosed, 'the connection is closed');
});

test('an answer of an ended connection is not awaited', async () => {
  const { conn, unread, poll } = await polling();
  (await poll()).destroy();
  await until(() => unread.unreadPollBytes(conn) === 0, 'it is gone');
});

test('there is progress while an answer is read, and none while it is not', async () => {
  const { conn, unread, poll } = await polling();
  const response = await poll();
  let before = -1;
  await until(async () => {
    const settled = unread.readProgressOf(conn) === before;
    before = unread.readProgressOf(conn);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return settled;
  }, 'the system takes no more');
  response.resume();
  await until(() => unread.readProgressOf(conn) !== before, 'there is progress');
});
