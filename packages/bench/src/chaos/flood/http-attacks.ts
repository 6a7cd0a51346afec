// Attacks with HTTP requests: unusual methods, queries, headers and bodies, and invalid polling.
import { randomUUID } from 'node:crypto';
import { type Attack, type AttackContext, atMost } from './attack.ts';
import { ORIGIN, POLLING, pollingSession, upgradeRequest, WEBSOCKET_KEY, WEBSOCKET_VERSION } from './requests.ts';

const LOOPS = 20;

const HOSTILE_QUERIES = [
  '',
  '?EIO=4',
  '?EIO=4&transport=websocket&transport=polling',
  '?EIO=4&transport[]=polling',
  '?EIO=4&transport=__proto__',
  '?EIO=4&transport=constructor',
  '?transport=polling',
  '?EIO=3&transport=polling',
  '?EIO=99&transport=polling',
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'x'.repeat(10_000)].map((sid) => `?EIO=4&transport=polling&sid=${sid}`),
];

const MALFORMED_REQUESTS: readonly string[] = [
  `GET / HTTP/1.1\r\nHost: x\r\n${Array.from({ length: 2_100 }, (_, each) => `X-${each}: 1\r\n`).join('')}\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(64 * 1024)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\nCookie: ${'a=b; '.repeat(3_200)}\r\n\r\n`,
  'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  upgradeRequest([WEBSOCKET_KEY, WEBSOCKET_VERSION, 'Sec-WebSocket-Extensions: constructor']),
  upgradeRequest([WEBSOCKET_KEY, WEBSOCKET_VERSION, 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99']),
  upgradeRequest([WEBSOCKET_KEY, WEBSOCKET_VERSION, `Sec-WebSocket-Extensions: ${'permessage-deflate, '.repeat(600)}x`]),
  upgradeRequest([WEBSOCKET_KEY, WEBSOCKET_VERSION, `Sec-WebSocket-Protocol: a${' '.repeat(12_000)}b`]),
  upgradeRequest([WEBSOCKET_VERSION, 'Sec-WebSocket-Key: short']),
  upgradeRequest([WEBSOCKET_KEY, 'Sec-WebSocket-Version: 8']),
];

const METHODS: readonly (readonly [method: string, path: string])[] = [
  ['PUT', `${POLLING}&sid=x`],
  ['DELETE', `${POLLING}&sid=x`],
  ['PATCH', POLLING],
  ['TRACE', '/'],
  ['PUT', '/health'],
  ['POST', '/ready'],
];

/** Writes a request and reads the response until the server closes the connection or the deadline passes. */
async function exchange(context: AttackContext, request: string | Buffer, milliseconds = 1_000): Promise<string> {
  const socket = await context.tcp();
  let response = '';
  socket.on('data', (chunk: Buffer) => (response = (response + chunk.toString('latin1')).slice(0, 4_096)));
  context.budget.spend(request.length);
  socket.write(request);
  await atMost(new Promise((resolve) => socket.once('close', resolve)), milliseconds);
  socket.destroy();
  return response;
}

export const httpAttacks: readonly Attack[] = [
  {
    name: 'hostile-queries',
    what: 'Handshakes whose transport, protocol version or session id is missing, twice there, or a key of prototypes.',
    groups: [3, 4],
    run: (context) =>
      context.repeat(LOOPS, (_, round) => context.http({ path: `/socket.io/${HOSTILE_QUERIES[round % HOSTILE_QUERIES.length]}` })),
  },
  {
    name: 'unknown-sessions',
    what: 'Polling requests with session ids that the server does not know, each of which it could log.',
    groups: [4],
    run: (context) => context.repeat(LOOPS, () => context.http({ path: `${POLLING}&sid=${randomUUID()}` })),
  },
  {
    name: 'http-methods',
    what: 'Methods that no path here knows.',
    groups: [5],
    run: (context) =>
      context.repeat(LOOPS, async (_, round) => {
        const [method, path] = METHODS[round % METHODS.length] as (typeof METHODS)[number];
        const { status } = await context.http({ method, path });
        if (status >= 200 && status < 300) context.budget.report(`${method} ${path} is answered ${status}`);
      }),
  },
  {
    name: 'malformed-requests',
    what: 'Too many headers, too large ones, two hosts, two lengths, and upgrades with hostile extensions, protocols and keys.',
    groups: [5, 6, 7],
    run: (context) =>
      context.repeat(LOOPS, (_, round) => exchange(context, MALFORMED_REQUESTS[round % MALFORMED_REQUESTS.length] ?? '', 300)),
  },
  {
    name: 'polling-misuse',
    what: 'Two GETs and two POSTs of one session at once, binary and oversized bodies, and a body of nothing but separators.',
    groups: [12],
    run: (context) =>
      context.repeat(LOOPS, async () => {
        const path = await pollingSession(context);
        if (path === undefined) return;
        const post = (body: string, headers: Record<string, string> = {}) => context.http({ method: 'POST', path, body, headers });
        await atMost(Promise.all([context.http({ path }), context.http({ path }), post('40'), post('40')]), 1_000);
        await atMost(post('40', { 'content-type': 'application/octet-stream' }), 1_000);
        await atMost(post('x'.repeat(70_000), { 'transfer-encoding': 'chunked' }), 1_000);
        await atMost(post('\x1e'.repeat(60_000)), 1_000);
      }),
  },
  {
    name: 'jsonp-polling',
    what: 'A page of another origin uses script tags and form posts for polling, which CORS does not guard.',
    groups: [1, 12],
    args: ['--allowed-origins', ORIGIN],
    run: (context) =>
      context.repeat(10, async () => {
        const { status, body } = await context.http({ path: `${POLLING}&j=0` });
        const [, sid] = /sid\\?":\\?"([\w-]+)/.exec(body) ?? [];
        if (status !== 200 || sid === undefined) return;
        const path = `${POLLING}&j=0&sid=${sid}`;
        const headers = { origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' };
        await context.http({ method: 'POST', path, headers, body: `d=${encodeURIComponent('40')}` });
        const answer = await context.http({ path });
        if (answer.body.includes('40{')) context.budget.report('a page of a foreign origin has connected by script tags and form posts');
      }),
  },
];
