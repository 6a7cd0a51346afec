/** Hostile HTTP requests and handshakes (attack list, groups 3 to 8, 12 and 88): refused or ended, and others are unharmed. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { attack, connectRaw, openRawPolling, rawRequest } from '@engawa/testkit/actors/raw-clients';
import { until, withTimeout } from '@engawa/testkit/processes/server';
import { describe, expect, test } from 'vitest';
import { ATTACKER_HEADERS, countResources, startWithBystanders } from './helpers/bystanders.ts';

const POLLING = '/socket.io/?EIO=4&transport=polling';
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const VERSION = 'Sec-WebSocket-Version: 13';
/** What a refusal must not reveal: where the code is, and how it came there. */
const INTERNALS = /node_modules|\/(?:work|home|root|usr|src|dist)\/|\bat \w+ \(|\.[jt]s:\d/;

const get = (path: string, headers: readonly string[] = []): string =>
  [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '\r\n'].join('\r\n');
const upgrade = (headers: readonly string[]): string =>
  [
    'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    ...headers,
    '\r\n',
  ].join('\r\n');
const statusOf = (response: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(response)?.[1] ?? 0);

describe('3: a handshake with an invalid query', () => {
  test.each([
    ['no transport', '/socket.io/?EIO=4'],
    ['two transports, the last of which is none', '/socket.io/?EIO=4&transport=polling&transport=x'],
    ['a list of transports', '/socket.io/?EIO=4&transport[]=polling'],
    ['a prototype key for a transport', '/socket.io/?EIO=4&transport=__proto__'],
    ['a constructor for a transport', '/socket.io/?EIO=4&transport=constructor'],
    ['a WebSocket without an upgrade', '/socket.io/?EIO=4&transport=websocket'],
    ['no version', '/socket.io/?transport=polling'],
    ['an old version', '/socket.io/?EIO=3&transport=polling'],
    ['a version that there is not', '/socket.io/?EIO=99&transport=polling'],
  ])('%s is refused', async (_, path) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const response = await rawRequest(url, get(path));
    expect(statusOf(response)).toBe(400);
    expect(response).not.toMatch(INTERNALS);
    await expectUnharmed();
  });
});

describe('4: an invalid session id', () => {
  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '../x', '%00', '%20'])('%s is refused', async (sid) => {
    const { url, expectUnharmed } = await startWithBystanders();
    for (const query of [`&sid=${sid}`, `&sid=${sid}&sid=${sid}`, `&sid=${sid.padEnd(10_000, 'x')}`])
      expect(statusOf(await rawRequest(url, get(POLLING + query)))).toBe(400);
    await expectUnharmed();
  });

  test('the id of an ended session is refused, and the id of a session on another transport changes nothing there', async () => {
    const { url, aya, expectUnharmed } = await startWithBystanders();
    const session = await connectRaw(await openRawPolling(url, { headers: ATTACKER_HEADERS }));
    const path = session.address.slice(url.length);
    await session.send('1');
    await withTimeout(session.closed, 'the end of the session');
    expect(statusOf(await rawRequest(url, get(path)))).toBe(400);
    expect(statusOf(await rawRequest(url, get(`${POLLING}&sid=${aya.io.engine.id}`)))).toBe(400);
    await expectUnharmed();
  });
});

describe('5, 6, 7: requests and upgrades with hostile headers', () => {
  test.each([
    [
      '2,100 headers of 10 bytes',
      get(
        '/',
        Array.from({ length: 2_100 }, (_, each) => `X-${each}: 1`.padEnd(10)),
      ),
    ],
    ['a header of 64 KiB', get('/', [`X: ${'x'.repeat(65_536)}`])],
    ['a cookie of 17 KB', get('/', [`Cookie: ${'a=b; '.repeat(3_400)}`])],
    ['a length and chunks', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx'],
    ['a header without a name', get('/', [': x'])],
    ['a key that is too short', upgrade([VERSION, 'Sec-WebSocket-Key: short'])],
    ['no key', upgrade([VERSION])],
    ['version 7', upgrade([KEY, 'Sec-WebSocket-Version: 7'])],
    ['a protocol without a name', upgrade([KEY, VERSION, 'Sec-WebSocket-Protocol: ,,,'])],
  ])('%s: refused', async (_, request) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const response = await rawRequest(url, request);
    expect(statusOf(response)).toBeGreaterThanOrEqual(400);
    expect(statusOf(response)).toBeLessThan(500);
    expect(response).not.toMatch(INTERNALS);
    await expectUnharmed();
  });

  test.each([
    ['a prototype key for an extension', 'Sec-WebSocket-Extensions: constructor'],
    ['an extension with a wrong window', 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99'],
    ['an extension 600 times', `Sec-WebSocket-Extensions: ${'permessage-deflate, '.repeat(600)}x`],
    ['a protocol of 12,000 spaces', `Sec-WebSocket-Protocol: a${' '.repeat(12_000)}b`],
  ])('%s: refused, or opened without it', async (_, header) => {
    const { url, expectUnharmed } = await startWithBystanders();
    const { hostname, port } = new URL(url);
    const socket = connectTcp(Number(port), hostname, () => socket.write(upgrade([KEY, VERSION, header])));
    const [head] = (await withTimeout(once(socket, 'data'), 'an answer')) as [Buffer];
    expect([101, 400]).toContain(statusOf(head.toString()));
    expect(head.toString().toLowerCase()).not.toContain('sec-websocket-extensions');
    socket.destroy();
    await expectUnharmed();
  });
});

test('8: requests and upgrades that are reset half-way leave nothing', async () => {
  const setup = await startWithBystanders({ allowedOrigins: ['https://chat.example'] });
  const before = countResources(setup);
  const { hostname, port } = new URL(setup.url);
  const requests = [
    'GET / HT',
    upgrade([KEY, VERSION]).slice(0, -2),
    upgrade([KEY, VERSION]),
    upgrade([KEY, VERSION, 'Origin: https://evil.example']),
    `POST ${POLLING} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n40`,
  ];
  for (let times = 0; times < 20; times += 1) {
    for (const request of requests) {
      const socket = connectTcp(Number(port), hostname);
      await withTimeout(once(socket, 'connect'), 'a connection');
      await new Promise((resolve) => socket.write(request, resolve));
      socket.resetAndDestroy();
    }
  }
  await until(() => isDeepStrictEqual(countResources(setup), before), 'nothing is left of them');
  await setup.expectUnharmed();
});

describe('12: polling that breaks the protocol', () => {
  const start = async () => {
    const setup = await startWithBystanders();
    const attacker = await connectRaw(await openRawPolling(setup.url, { headers: ATTACKER_HEADERS, polls: true }));
    return { ...setup, attacker, before: countResources(setup) };
  };

  test('a second parallel GET ends the session', async () => {
    const { url, attacker, expectUnharmed } = await start();
    await rawRequest(url, get(attacker.address.slice(url.length)));
    await withTimeout(attacker.closed, 'the end of the session');
    await expectUnharmed();
  });

  test('two parallel POSTs are processed one after the other, or end the session', async () => {
    const { attacker, expectUnharmed } = await start();
    const statuses = await Promise.all([attacker.postBody('427["list:rooms",{}]'), attacker.postBody('428["list:rooms",{}]')]);
    for (const status of statuses) expect([200, 400, 0]).toContain(status);
    await expectUnharmed();
  });

  test('a binary body is answered, and ends the session', async () => {
    const { attacker, expectUnharmed } = await start();
    expect(await attacker.postBody('40', { 'content-type': 'application/octet-stream' })).toBeLessThan(500);
    await withTimeout(attacker.closed, 'the end of the session');
    await expectUnharmed();
  });

  test('a body of separators only ends the session', async () => {
    const { attacker, expectUnharmed } = await start();
    expect(await attack(attacker, ['\x1e'.repeat(60_000)])).toBe('closed');
    await expectUnharmed();
  });

  test('a chunked body above the frame limit is refused', async () => {
    const { attacker, expectUnharmed } = await start();
    expect([413, 0]).toContain(await attacker.postBody('4'.repeat(200_000), { 'transfer-encoding': 'chunked' }));
    await expectUnharmed();
  });
});
