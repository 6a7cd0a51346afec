/** The faulty proxy that other tests put between clients and servers. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { until, withTimeout } from '@engawa/testkit/processes/server';
import { type FaultyProxy, startProxy } from '@engawa/testkit/proxies/faulty-proxy';
import { expect, onTestFinished, test } from 'vitest';

/** Echoes every connection, after a greeting. */
async function startEcho(greeting = ''): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.write(greeting);
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

interface Client {
  socket: Socket;
  /** How the connection ended: the code of its error, or `end`. */
  ended: Promise<string>;
  received: () => Buffer;
  /** Resolves with all received data, once it has this many bytes. */
  receives: (bytes: number) => Promise<string>;
}

function connect({ port }: FaultyProxy): Client {
  const chunks: Buffer[] = [];
  const socket = createConnection({ port, host: '127.0.0.1' });
  onTestFinished(() => void socket.destroy());
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code))).on('close', () => resolve('end'));
  });
  const received = () => Buffer.concat(chunks);
  const receives = async (bytes: number) => {
    await until(() => received().length >= bytes, `${bytes} bytes came`);
    return received().toString('latin1');
  };
  return { socket, ended, received, receives };
}

/** The proxy, and a client that has received its first byte through it. */
async function start(options: Parameters<typeof startProxy>[1] = {}): Promise<Client & { proxy: FaultyProxy; echo: Set<Socket> }> {
  const { port, sockets } = await startEcho('.');
  const proxy = await startProxy({ port }, options);
  const client = connect(proxy);
  await client.receives(1);
  return { ...client, proxy, echo: sockets };
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('a proxy without faults changes nothing, and passes on half-closed connections', async () => {
  const { socket, received, ended } = await start();
  const bytes = randomBytes(4 * 2 ** 20);
  socket.end(bytes);
  expect(await withTimeout(ended, 'the end')).toBe('end');
  expect(received().subarray(1).equals(bytes)).toBe(true);
});

test('a side that does not read makes the sender wait', async () => {
  const { socket, proxy, receives } = await start();
  proxy.stall(true);
  const bytes = randomBytes(16 * 2 ** 20);
  let isTaken = false;
  socket.write(bytes, () => (isTaken = true));
  await pause(300);
  expect(isTaken).toBe(false);
  proxy.stall(false);
  expect((await receives(1 + bytes.length)).slice(1)).toBe(bytes.toString('latin1'));
});

test('cut resets every connection on both sides, and accepts new ones', async () => {
  const { proxy, ended, echo } = await start();
  expect([proxy.connections, echo.size]).toEqual([1, 1]);
  proxy.cut();
  expect(await withTimeout(ended, 'the end')).toBe('ECONNRESET');
  await until(() => proxy.connections === 0 && echo.size === 0, 'nothing is left');
  expect(await connect(proxy).receives(1)).toBe('.');
});

test('refuse resets new connections and leaves existing ones', async () => {
  const { proxy, socket, receives } = await start();
  proxy.refuse(true);
  expect(await withTimeout(connect(proxy).ended, 'the end')).toBe('ECONNRESET');
  socket.write('a');
  expect(await receives(2)).toBe('.a');
  proxy.refuse(false);
  expect(await connect(proxy).receives(1)).toBe('.');
});

test('stall passes nothing on, and neither side detects it', async () => {
  const { proxy, socket, received, receives, echo } = await start();
  proxy.stall(true);
  socket.write('a');
  const silent = connect(proxy);
  await until(() => echo.size === 2, 'the server has the second connection');
  await pause(200);
  expect([received().toString(), silent.received().toString(), socket.closed]).toEqual(['.', '', false]);
  proxy.stall(false);
  expect([await receives(2), await silent.receives(1)]).toEqual(['.a', '.']);
});

test('a server does not detect during a stall that its client has disconnected', async () => {
  const { proxy, socket, echo } = await start();
  proxy.stall(true);
  socket.resetAndDestroy();
  await pause(200);
  expect([proxy.connections, echo.size]).toEqual([1, 1]);
  proxy.stall(false);
  await until(() => proxy.connections === 0 && echo.size === 0, 'the server knows');
});

test('delay adds its time in each direction and preserves the order, for any jitter', async () => {
  const { proxy, socket, receives } = await start();
  proxy.delay(50, 50);
  const begun = performance.now();
  let said = '';
  for (let number = 0; number < 20; number += 1) {
    socket.write(`${number},`);
    said += `${number},`;
    await pause(5);
  }
  expect(await receives(1 + said.length)).toBe(`.${said}`);
  expect(performance.now() - begun).toBeGreaterThan(95);
});

test('throttle passes the set number of bytes a second', async () => {
  const { proxy, socket, receives } = await start();
  proxy.throttle(50_000);
  const begun = performance.now();
  const bytes = randomBytes(20_000);
  socket.write(bytes);
  expect((await receives(20_001)).slice(1)).toBe(bytes.toString('latin1'));
  expect(performance.now() - begun).toBeGreaterThan(390);
});

test('stutter delays random packets, with all that follow', async () => {
  const draws = [0.9, 0.01];
  const { proxy, socket, received, receives } = await start({ random: () => draws.shift() ?? 0.9 });
  proxy.stutter({ share: 0.05, ms: 500 });
  socket.write('a');
  const begun = performance.now();
  await pause(20);
  socket.write('b');
  await pause(100);
  expect(received().toString()).toBe('.');
  expect(await receives(3)).toBe('.ab');
  expect(performance.now() - begun).toBeGreaterThan(490);
});

test('cutAfter a number of bytes passes exactly those', async () => {
  const { proxy, socket, received, ended } = await start();
  proxy.cutAfter({ bytes: 1 + 1_000 + 250 });
  socket.write(randomBytes(1_000));
  await withTimeout(ended, 'the end');
  expect(received().length).toBe(1 + 250);
});

test('cutAfter a silence waits until nothing passes', async () => {
  const { proxy, socket, ended } = await start();
  proxy.cutAfter({ idleMs: 400 });
  const begun = performance.now();
  for (let number = 0; number < 5; number += 1) {
    socket.write('a');
    await pause(100);
  }
  expect(socket.closed).toBe(false);
  expect(await withTimeout(ended, 'the end')).toBe('ECONNRESET');
  expect(performance.now() - begun).toBeGreaterThan(750);
});

test('cutAfter an age cuts under any traffic, each connection at its own time', async () => {
  const { port } = await startEcho('.');
  const proxy = await startProxy({ port });
  proxy.cutAfter({ ageMs: 300 });
  for (const time of ['first', 'second']) {
    const begun = performance.now();
    const { socket, received, ended } = connect(proxy);
    const talking = setInterval(() => socket.write('a'), 20);
    expect(await withTimeout(ended, `the ${time} end`)).toBe('ECONNRESET');
    clearInterval(talking);
    expect(performance.now() - begun).toBeGreaterThan(290);
    expect(received().length).toBeGreaterThan(1);
  }
});

test('flap cuts repeatedly until it is stopped', async () => {
  const { proxy, ended } = await start();
  proxy.flap(50);
  await withTimeout(ended, 'the first cut');
  await withTimeout(connect(proxy).ended, 'the second cut');
  proxy.flap(0);
  const { socket, receives } = connect(proxy);
  await receives(1);
  await pause(120);
  expect(socket.closed).toBe(false);
});

test('retarget sends new connections to another address', async () => {
  const { proxy, socket, receives } = await start();
  const { port } = await startEcho('other');
  proxy.retarget(port);
  expect(await connect(proxy).receives(5)).toBe('other');
  socket.write('a');
  expect(await receives(2)).toBe('.a');
});

test('retarget to several addresses uses them in turn', async () => {
  const { proxy, socket, receives } = await start();
  const [one, two] = [await startEcho('one'), await startEcho('two')];
  proxy.retarget(one.port, two.port);
  const greetings: string[] = [];
  for (let count = 0; count < 4; count += 1) greetings.push(await connect(proxy).receives(3));
  expect(greetings).toEqual(['one', 'two', 'one', 'two']);
  socket.write('a');
  expect(await receives(2)).toBe('.a');
});

test('a connection to a missing server is cut', async () => {
  const proxy = await startProxy({ port: 1 });
  expect(await withTimeout(connect(proxy).ended, 'the end')).toBe('ECONNRESET');
  await until(() => proxy.connections === 0, 'nothing is left');
});
