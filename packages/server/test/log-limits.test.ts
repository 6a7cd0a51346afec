/** What unauthenticated clients can write into the log of a server: the first line of each kind, then one a second with a count. */
import { setTimeout as pause } from 'node:timers/promises';
import { attack, connectRaw, openRawPolling, openRawWebSocket, rawRequest } from '@engawa/testkit/actors/raw-clients';
import { startServer, until, withOverrides } from '@engawa/testkit/processes/server';
import { newStore } from '@engawa/testkit/stores';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RateLimitedLog } from '#logging/rate-limited-log.js';

interface Line {
  msg: string;
  level: number;
  count?: number;
  address?: string;
  code?: string;
  err?: { stack: string };
}

function newLog(level = 'info') {
  const lines: Line[] = [];
  const log = pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  return { log, lines, with: (text: string) => lines.filter(({ msg }) => msg.includes(text)) };
}

const EVERY_MS = 100;
const WARNING = 40;

function limited() {
  const { log, lines } = newLog();
  const over = RateLimitedLog.wrap(log, EVERY_MS);
  onTestFinished(() => over.close());
  return { log: over, lines };
}

describe('a rate-limited log', () => {
  test('writes the first line of a kind in full, and the number of the others', async () => {
    const { log, lines } = limited();
    for (let each = 0; each < 1_000; each += 1) log.warn({ address: `192.0.2.${each}` }, 'something is refused');
    expect(lines).toMatchObject([{ msg: 'something is refused', address: '192.0.2.0', level: WARNING }]);
    await until(() => lines.length > 1, 'the others are counted');
    expect(lines[1]).toMatchObject({ msg: 'something is refused', count: 999, level: WARNING });
    expect(lines[1]).not.toHaveProperty('address');
  });

  test('distinguishes kinds by their messages', () => {
    const { log, lines } = limited();
    for (const kind of ['one', 'two', 'one', 'two']) log.info({}, kind);
    expect(lines.map(({ msg }) => msg)).toEqual(['one', 'two']);
  });

  test('writes a line in full again after a period without its kind', async () => {
    const { log, lines } = limited();
    log.info({ address: '192.0.2.1' }, 'one');
    await pause(3 * EVERY_MS);
    log.info({ address: '192.0.2.2' }, 'one');
    expect(lines.map(({ address }) => address)).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  test('writes its counts when it is closed', () => {
    const { log, lines } = limited();
    for (let each = 0; each < 3; each += 1) log.info({}, 'one');
    log.close();
    expect(lines[1]).toMatchObject({ msg: 'one', count: 2 });
  });

  test('distinguishes a limited number of kinds', () => {
    const { log, lines } = limited();
    for (let each = 0; each < 10_000; each += 1) log.info({}, `kind ${each}`);
    expect(lines.length).toBeLessThan(300);
  });

  test('counts nothing below its level', async () => {
    const { log, lines } = limited();
    for (let each = 0; each < 10; each += 1) log.debug({}, 'one');
    await pause(2 * EVERY_MS);
    expect(lines).toEqual([]);
  });
});

describe('clients', () => {
  const TIMES = 500;

  test('that poll with an unknown session write two lines, whatever they send', async () => {
    const { log, with: having } = newLog();
    const { url, stop } = await startServer({ log });
    const poll = () => fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=nobody`);
    for (let each = 0; each < TIMES / 50; each += 1) await Promise.all(Array.from({ length: 50 }, poll));
    await stop();
    const lines = having('unknown session id');
    expect(lines.length).toBeLessThan(20);
    expect(lines[0]).toMatchObject({ address: '127.0.0.1' });
    expect(lines.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(TIMES);
  });

  test('that send undecodable data write few lines, and no stack', async () => {
    const { log, lines, with: having } = newLog();
    const { url, stop } = await startServer({ log, connectionRatePerAddress: 0 });
    for (let each = 0; each < 50; each += 1) {
      const attacker = await connectRaw(await openRawWebSocket(url));
      expect(await attack(attacker, ['49'])).toBe('closed');
    }
    await stop();
    expect(having('cannot be parsed').length).toBeLessThan(10);
    expect(JSON.stringify(lines)).not.toContain('"stack"');
  });

  test.each([
    ['a method', 'method_not_allowed', 'PUT /health HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['an origin', 'origin_not_allowed', 'GET /health HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n'],
    ['JSONP', 'jsonp_not_allowed', 'GET /socket.io/?j=1 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a rate', 'rate_limited', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20)],
    ['a form', 'could not be read', 'hello?\r\n\r\n'],
  ])('that are refused for %s are logged once with their address, then as a number', async (_, code, head) => {
    const { log, with: having } = newLog();
    const { url, stop } = await startServer({ log, allowedOrigins: ['https://good.example'], requestRatePerAddress: 1 });
    for (let each = 0; each < 5; each += 1) await rawRequest(url, head);
    await stop();
    const lines = having(code);
    expect(lines[0]).toMatchObject({ address: '127.0.0.1' });
    expect(lines.length).toBeLessThan(5);
  });

  test('that request unknown paths write nothing', async () => {
    const { log, lines } = newLog();
    const { url } = await startServer({ log });
    for (const path of ['/favicon.ico', '/wp-login.php', '/.env']) await fetch(url + path);
    expect(lines).toEqual([]);
  });

  test('that are rate-limited are logged, too', async () => {
    const { log, with: having } = newLog();
    const { url, stop } = await startServer({ log });
    const client = await connectRaw(await openRawPolling(url));
    await attack(
      client,
      Array.from({ length: 300 }, () => '427["list:rooms",{}]'),
    );
    await stop();
    const lines = having('rate_limited');
    expect(lines[0]).toMatchObject({ address: '127.0.0.1' });
    expect(lines.length).toBeLessThan(5);
  });

  test('that query a failing store log its error once, then a number', async () => {
    const { log, with: having } = newLog();
    const failing = withOverrides(await newStore(), { listRooms: () => Promise.reject(new Error('the disk is gone')) });
    const { url, stop } = await startServer({ log, store: failing });
    const client = await connectRaw(await openRawWebSocket(url));
    await attack(
      client,
      Array.from({ length: 50 }, () => '427["list:rooms",{}]'),
    );
    await stop();
    const lines = having('a request failed');
    expect(lines[0]?.err?.stack).toContain('the disk is gone');
    expect(lines.slice(1).filter(({ err }) => err)).toEqual([]);
    expect(lines.length).toBeLessThan(5);
  });
});
