/** The checks of every HTTP request and upgrade, and the cost of refused ones. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { createConnection, type Socket as TcpSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { LIMITS } from '@engawa/protocol';
import { attack, connectRaw, openRawPolling, openRawWebSocket, rawRequest } from '@engawa/testkit/actors/raw-clients';
import { startServer, until, withTimeout } from '@engawa/testkit/processes/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ATTACKER_HEADERS, startWithBystanders } from './helpers/bystanders.ts';

const GOOD = 'https://good.example';
const EVIL = 'https://evil.example';
const POLLING = '/socket.io/?EIO=4&transport=polling';

interface Wish {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

/** One request; its status, headers and body. */
const ask = (url: string, { method = 'GET', path, headers = {}, body = '' }: Wish) =>
  withTimeout(
    new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      httpRequest(`${url}${path}`, { method, headers }, (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer }), reject);
      })
        .on('error', reject)
        .end(body);
    }),
    'an answer',
  );

/** An open TCP connection, and the data received so far. */
async function open(url: string): Promise<{ socket: TcpSocket; receivedEvents: () => string; closed: Promise<void> }> {
  const { hostname, port } = new URL(url);
  const socket = createConnection(Number(port), hostname).on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  await once(socket, 'connect');
  return { socket, receivedEvents: () => Buffer.concat(chunks).toString(), closed };
}

test.each(['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.msgpack.min.js.map'])(
  'GET /socket.io/%s is answered with the place of the library',
  async (name) => {
    const { url } = await startServer();
    const { status, body } = await ask(url, { path: `/socket.io/${name}` });
    expect(status).toBe(404);
    expect(JSON.parse(body)).toMatchObject({ error: 'not_found', message: expect.stringMatching(/socket\.io-client from npm/) as string });
  },
);

test.each(['/socket.io', '/socket.io/socket.io.jsx', '/favicon.ico', '/socket.io.js'])(
  'GET %s is answered 404, and no more',
  async (path) => {
    const { url } = await startServer();
    const { status, body } = await ask(url, { path });
    expect([status, (JSON.parse(body) as { message: string }).message]).toEqual([404, 'There is nothing here.']);
  },
);

describe('methods', () => {
  const ofPages = ['PUT', 'POST', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS'].flatMap((method) =>
    ['/', '/health', '/ready'].map((path) => [method, path, 'GET, HEAD'] as const),
  );
  const ofSocketIo = ['PUT', 'DELETE', 'PATCH', 'TRACE', 'HEAD'].map((method) => [method, POLLING, 'GET, POST, OPTIONS'] as const);

  test.each([...ofPages, ...ofSocketIo])('%s %s is answered 405, with the allowed methods', async (method, path, allow) => {
    const { url } = await startServer();
    expect(await ask(url, { method, path })).toMatchObject({ status: 405, headers: { allow, connection: 'close' } });
  });

  test.each(['PUT', 'DELETE', 'TRACE'])('%s of an open session is answered 405, and the session continues', async (method) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const session = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
    const { pathname, search } = new URL(session.address);
    expect(await ask(url, { method, path: pathname + search })).toMatchObject({ status: 405 });
    expect(await attack(session, [])).toEqual([]);
    await expectUnharmed();
  });

  test.each(['/', '/health', '/ready'])('HEAD %s is answered as GET is, without a body', async (path) => {
    const { url } = await startServer();
    expect(await ask(url, { method: 'HEAD', path })).toMatchObject({ status: 200, body: '' });
  });

  test('an upgrade needs GET', async () => {
    const { url } = await startServer();
    const head = `POST /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect(await rawRequest(url, head)).toMatch(/^HTTP\/1\.1 405 [\s\S]*allow: GET\r\n/);
  });

  test('an HTTP/2 upgrade is ignored, and the request is answered like any other', async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const offer = (path: string, method = 'GET') =>
      `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`;
    expect(await rawRequest(url, offer('/health'))).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close\r\n[\s\S]*\{"status":"ok"\}/i);
    expect(await rawRequest(url, offer(POLLING))).toMatch(/^HTTP\/1\.1 200 [\s\S]*"sid":/);
    expect(await rawRequest(url, offer('/nowhere'))).toMatch(/^HTTP\/1\.1 404 /);
    expect(await rawRequest(url, offer(POLLING, 'POST'))).toMatch(/^HTTP\/1\.1 400 [\s\S]*upgrade_not_taken/);
    await expectUnharmed();
  });

  test.each(['/', '/health', '/nowhere'])('an upgrade at %s is answered 404 at once', async (path) => {
    const { url } = await startServer();
    const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect(await rawRequest(url, head)).toMatch(/^HTTP\/1\.1 404 /);
  });

  test.each([
    ['names no host', 'GET /health HTTP/1.1\r\n\r\n', 400],
    ['expects what there is not', 'GET /health HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n', 417],
    ['is no HTTP', 'hello?\r\n\r\n', 400],
    ['has 20 KB of headers', `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('a request that %s is refused', async (_, head, status) => {
    const { url } = await startServer();
    expect(await rawRequest(url, head)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  test.each([{ method: 'PUT', path: '/health' }, { path: '/nowhere' }, { path: `${POLLING}&j=1` }])(
    'a refusal is a short JSON that reveals nothing about the server: %j',
    async (wish) => {
      const { url } = await startServer();
      const { headers, body } = await ask(url, wish);
      expect(headers).toMatchObject({ 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
      expect(Object.keys(headers)).not.toContain('server');
      expect(Object.keys(JSON.parse(body) as object)).toEqual(['error', 'message', 'retryable']);
      expect(body.length).toBeLessThan(200);
    },
  );
});

describe('JSONP', () => {
  test.each(['j=0', '%6A=0', 'j', 'j=0&j=1', 'j[]=0&j=0', 'transport=polling&j=</script>'])(
    'a request with %s is refused, for a handshake and in an open session',
    async (query) => {
      const { url, expectUnharmed } = await startWithBystanders({ allowedOrigins: [GOOD] });
      expect(await ask(url, { path: `${POLLING}&${query}` })).toMatchObject({
        status: 400,
        body: '{"error":"jsonp_not_allowed","message":"JSONP is not offered.","retryable":false}',
      });
      const session = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
      const { pathname, search } = new URL(session.address);
      for (const method of ['GET', 'POST'])
        expect(await ask(url, { method, path: `${pathname}${search}&${query}`, body: 'd=42' })).toMatchObject({ status: 400 });
      expect(await attack(session, [])).toEqual([]);
      await expectUnharmed();
    },
  );
});

describe('origins', () => {
  const openSession = async () => {
    const setup = await startWithBystanders({ allowedOrigins: [GOOD] });
    const session = await connectRaw(await openRawPolling(setup.url, { headers: { ...ATTACKER_HEADERS, origin: GOOD } }));
    const { pathname, search } = new URL(session.address);
    return { ...setup, session, path: pathname + search };
  };

  test.each([
    ['GET', { origin: EVIL }],
    ['POST', { origin: EVIL }],
    ['POST', { origin: 'null' }],
    ['POST', { origin: EVIL, 'content-type': 'application/x-www-form-urlencoded' }],
    ['OPTIONS', { origin: EVIL }],
    ['GET', { 'sec-fetch-site': 'cross-site' }],
    ['GET', { 'sec-fetch-site': 'same-site' }],
    ['POST', { 'sec-fetch-site': 'cross-site' }],
  ])('a page of another origin is refused in a session that is open: %s with %j', async (method, headers) => {
    const { url, path, session, expectUnharmed } = await openSession();
    const body = method === 'POST' ? '427["list:rooms",{}]' : '';
    const answer = await ask(url, { method, path, headers, body });
    expect(answer).toMatchObject({ status: 403, headers: { connection: 'close' } });
    // The page may read the refusal, and nothing of the session.
    expect(JSON.parse(answer.body)).toEqual({
      error: 'origin_not_allowed',
      message: 'Pages of this origin may not connect.',
      retryable: false,
    });
    expect(session.received.filter((packet) => packet.startsWith('437'))).toEqual([]);
    expect(await attack(session, [])).toEqual([]);
    await expectUnharmed();
  });

  test('a page of another origin cannot take an open session over by an upgrade', async () => {
    const { url, path, session, expectUnharmed } = await openSession();
    const sid = new URLSearchParams(path.slice(path.indexOf('?'))).get('sid');
    await expect(openRawWebSocket(url, { headers: { origin: EVIL }, query: `&sid=${sid}` })).rejects.toThrow('403');
    expect(await attack(session, [])).toEqual([]);
    await expectUnharmed();
  });

  const welcome: Record<string, string>[] = [
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { origin: GOOD, 'sec-fetch-site': 'cross-site' },
    {},
  ];

  test.each(welcome)('the page itself, an allowed page and a client that is not a page are admitted: %j', async (headers) => {
    const { url } = await startServer({ allowedOrigins: [GOOD] });
    expect((await ask(url, { path: POLLING, headers })).status).toBe(200);
  });

  test('an old WebSocket sends its origin in another header, which is checked as well', async () => {
    const { url } = await startServer({ allowedOrigins: [GOOD] });
    await expect(openRawWebSocket(url, { headers: { 'sec-websocket-origin': EVIL } })).rejects.toThrow('403');
  });

  test('with all origins allowed, no origin is checked', async () => {
    const { url } = await startServer();
    expect((await ask(url, { path: POLLING, headers: { origin: EVIL } })).status).toBe(200);
    expect((await ask(url, { path: POLLING, headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(200);
  });
});

describe('queries', () => {
  test.each([
    ['transport=websocket&transport=polling', 200],
    ['transport=polling&transport=websocket', 400],
    ['transport[]=polling', 400],
    ['transport=__proto__', 400],
    ['transport=constructor', 400],
    ['__proto__=polling&transport=polling', 200],
    ['transport=polling&EIO=3&EIO=4', 200],
    ['transport=polling&EIO=99', 400],
    ['transport=polling&sid=__proto__', 400],
    ['transport=polling&sid=constructor&sid=toString', 400],
    ['transport=polling&sid=', 200],
    [`transport=polling&sid=${'x'.repeat(8_000)}`, 400],
  ])('?%.60s is answered %i, and the process continues', async (query, status) => {
    const { url, expectUnharmed } = await startWithBystanders();
    expect((await ask(url, { path: `/socket.io/?EIO=4&${query}` })).status).toBe(status);
    await expectUnharmed();
  });
});

describe('requests of one address', () => {
  const { requests, sockets } = LIMITS.perAddress;
  const pipelined = (count: number, path = '/health') => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(count);

  test('pipelined requests are answered until the rate is used up; then one 429 follows, and nothing after it', async () => {
    const { url } = await startServer({ requestRatePerAddress: 5 });
    const { socket, receivedEvents, closed } = await open(url);
    socket.write(pipelined(1_000));
    await withTimeout(closed, 'the end of the connection');
    const answers = receivedEvents().split('HTTP/1.1 ').slice(1);
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual([...Array.from({ length: 50 }, () => '200'), '429']);
    expect(answers.at(-1)).toMatch(/retry-after: 1\r\n[\s\S]*{"error":"rate_limited","message":"[^"]+","retryable":true}/);
  });

  test('a flood of pipelined requests is ended, and no other client is affected', async () => {
    const { url, expectUnharmed } = await startWithBystanders({ trustedProxies: ['192.0.2.0/24'] });
    const all = await Promise.all(Array.from({ length: 10 }, () => open(url)));
    for (const { socket } of all) socket.write(pipelined(2 * requests.burst));
    await expectUnharmed();
    await withTimeout(Promise.all(all.map(({ closed }) => closed)), 'the end of the connections', 30_000);
    await expectUnharmed();
  });

  test('an address beyond its rate gets no new TCP connection, and soon gets one again', async () => {
    const { url } = await startServer({ requestRatePerAddress: 5 });
    const first = await open(url);
    first.socket.write(pipelined(60));
    await withTimeout(first.closed, 'the end of the connection');
    const second = await open(url);
    second.socket.write(pipelined(1));
    await withTimeout(second.closed, 'the end of the second connection');
    expect(second.receivedEvents()).toBe('');
    await until(async () => (await ask(url, { path: '/health' }).catch(() => undefined))?.status === 200, 'it is answered again');
  });

  test('refused requests count too: unknown sessions, methods, paths, unlisted hosts', async () => {
    const { url } = await startServer({ requestRatePerAddress: 1 });
    const lines = [`GET ${POLLING}&sid=nobody HTTP/1.1\r\nHost: x`, 'PUT /health HTTP/1.1\r\nHost: x', 'GET /nowhere HTTP/1.1\r\nHost: x'];
    const statuses: string[] = [];
    for (const head of [...lines, ...lines, 'GET /health HTTP/1.1', 'GET', 'hello?', ...lines])
      statuses.push((await rawRequest(url, `${head}\r\nConnection: close\r\n\r\n`)).slice(9, 12));
    const refused = ['400', '405', '404'];
    expect(statuses.slice(0, 9)).toEqual([...refused, ...refused, '400', '400', '400']);
    expect(statuses.slice(-2)).toEqual(['', '']);
  });

  test('an address has 300 TCP connections at most, and other addresses are not affected', async () => {
    const { url, expectUnharmed } = await startWithBystanders({ trustedProxies: ['192.0.2.0/24'] });
    const all = await Promise.all(Array.from({ length: sockets + 20 }, () => open(url)));
    let ended = 0;
    for (const { closed } of all) void closed.then(() => (ended += 1));
    // Aya and Ben use this address, too.
    await until(() => ended >= 22, 'those that are too many are ended');
    expect(ended).toBe(22);
    all.find(({ socket }) => !socket.destroyed)?.socket.destroy();
    await until(async () => (await ask(url, { path: '/health' }).catch(() => undefined))?.status === 200, 'there is a place again');
    await expectUnharmed();
  });

  test('half-sent requests are ended after 10 seconds, while others are answered', { timeout: 30_000 }, async () => {
    const { url, expectUnharmed } = await startWithBystanders();
    const heads = ['', 'GET /hea', 'GET /health HTTP/1.1\r\nHost: x\r\nX', `POST ${POLLING} HTTP/1.1\r\nHost: x\r\n`];
    const began = performance.now();
    const half = await Promise.all(heads.map(() => open(url)));
    for (const [index, { socket }] of half.entries()) socket.write(heads[index] ?? '');
    await expectUnharmed();
    await withTimeout(Promise.all(half.map(({ closed }) => closed)), 'the end of them all', 20_000);
    expect(performance.now() - began).toBeGreaterThan(9_000);
    const [silent, ...begun] = half.map(({ receivedEvents }) => receivedEvents());
    expect(silent).toBe('');
    for (const answer of begun) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    await expectUnharmed();
  });
});

describe('limits per address', () => {
  const many = (url: string, count: number) =>
    Promise.all(Array.from({ length: count }, () => openRawWebSocket(url, { headers: ATTACKER_HEADERS })));

  test('each limit can be lifted alone: without that of connections, an office of 150 is admitted', async () => {
    const { url } = await startServer({ trustedProxies: 1, connectionsPerAddress: 0, connectionRatePerAddress: 0 });
    await Promise.all((await many(url, 150)).map((each) => connectRaw(each)));
  });

  test('an exempt network has none of the limits', async () => {
    const { url } = await startServer({ trustedProxies: 1, limitsExempt: ['203.0.113.0/24'] });
    await Promise.all((await many(url, 150)).map((each) => connectRaw(each)));
    await expect(Promise.all(Array.from({ length: 150 }, () => openRawWebSocket(url)))).rejects.toThrow('429');
  });
});
