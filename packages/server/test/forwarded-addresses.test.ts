/** The address of a client, whatever the headers contain that proxies write and clients may forge. */
import type { IncomingHttpHeaders } from 'node:http';
import { LIMITS } from '@engawa/protocol';
import { connectRaw, openRawWebSocket } from '@engawa/testkit/actors/raw-clients';
import { startServer } from '@engawa/testkit/processes/server';
import { describe, expect, test } from 'vitest';
import { AddressLimiterRegistry } from '#limits/address-limiter.js';
import { ClientIpResolver, type TrustedProxies } from '#network/client-ip-resolver.js';
import { networkOf, parseIp } from '#network/ip-address.js';
import { isNetwork, Networks } from '#network/ip-networks.js';

const PROXY = '10.0.0.1';
const PROXIES = ['10.0.0.0/8', '::1'];
const UNRELIABLE = `unreliable through ${PROXY}`;

function clientOf(headers: IncomingHttpHeaders, trusted: TrustedProxies, remoteAddress = PROXY): string {
  return new ClientIpResolver(trusted).resolve({ headers, socket: { remoteAddress } } as never);
}

describe('the text of an address', () => {
  test.each([
    ['203.0.113.9', '203.0.113.9'],
    [' 203.0.113.9 ', '203.0.113.9'],
    ['203.0.113.9:40001', '203.0.113.9'],
    ['203.0.113.9:_port', '203.0.113.9'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['[::ffff:203.0.113.9]:80', '203.0.113.9'],
    ['::FFFF:cb00:7109', '203.0.113.9'],
    ['0:0:0:0:0:ffff:cb00:7109', '203.0.113.9'],
    ['::1', '::1'],
  ])('%j is the address %s', (text, ip) => {
    expect(parseIp(text)).toBe(ip);
  });

  test.each([
    '',
    'unknown',
    '_hidden',
    'localhost',
    '203.0.113',
    '203.0.113.256',
    '1.2.3.4.5',
    '203.0.113.9:',
    '[203.0.113.9',
    '[]',
    'x:1',
    '::g',
  ])('%j is not an address', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::203.0.113.9', '2001:db8:0:0::/64'],
  ])('%s is one client with all of %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network);
  });
});

describe('networks', () => {
  test.each(['10.0.0.0/8', '203.0.113.9', '203.0.113.9/32', '0.0.0.0/0', '2001:db8::/32', '::1', '::/0'])('%s is a network', (text) => {
    expect(isNetwork(text)).toBe(true);
  });

  test.each([
    '',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '/8',
    '::1/129',
    'fe80::1%eth0',
    'private',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
  ])('%j is not a network', (text) => {
    expect(isNetwork(text)).toBe(false);
  });

  test('an address is in the networks that contain it, and a value that is not an address in none', () => {
    const networks = new Networks(['10.0.0.0/8', '2001:db8::/32', '192.0.2.1']);
    expect(['10.255.0.1', '2001:db8:ffff::1', '192.0.2.1'].filter((ip) => networks.has(ip))).toHaveLength(3);
    expect(['11.0.0.1', '2001:db9::1', '192.0.2.2', '', 'unknown', '10'].filter((ip) => networks.has(ip))).toEqual([]);
  });
});

describe('X-Forwarded-For', () => {
  test.each([
    ['no header, no proxy', undefined, 0, PROXY],
    ['a header and no proxy', '203.0.113.9', 0, PROXY],
    ['a list and no proxy', '203.0.113.9, 203.0.113.10', 0, PROXY],
    ['no header behind a proxy', undefined, 1, PROXY],
    ['an empty header behind a proxy', '', 1, PROXY],
    ['a header that ends in nothing behind a proxy', '203.0.113.9,', 1, PROXY],
    ['one proxy', '203.0.113.9', 1, '203.0.113.9'],
    ['one proxy that writes ports', '203.0.113.9:40001', 1, '203.0.113.9'],
    ['one proxy that writes IPv6 with ports', '[2001:db8::1]:443', 1, '2001:db8::1'],
    ['one proxy and a forged one', '198.51.100.1, 203.0.113.9', 1, '203.0.113.9'],
    ['one proxy and many forged ones', `${'198.51.100.1, '.repeat(50)}203.0.113.9`, 1, '203.0.113.9'],
    ['one proxy and forged nothings', ', ,,203.0.113.9', 1, '203.0.113.9'],
    ['one proxy that hides its client', '203.0.113.9, unknown', 1, PROXY],
    ['two proxies', '203.0.113.9, 198.51.100.1', 2, '203.0.113.9'],
    ['two proxies and a forged one', '1.1.1.1, 203.0.113.9, 198.51.100.1', 2, '203.0.113.9'],
    ['two proxies of which the first wrote nothing', '198.51.100.1', 2, '198.51.100.1'],
    ['two proxies of which the first wrote no address', '_hidden, 198.51.100.1', 2, '198.51.100.1'],
    ['proxies by their networks', '203.0.113.9, 10.1.2.3, 10.2.3.4', PROXIES, '203.0.113.9'],
    ['proxies by their networks and forged ones', '1.1.1.1, 10.9.9.9, 203.0.113.9, 10.1.2.3', PROXIES, '203.0.113.9'],
    ['a client within the networks', '10.1.2.3, 10.2.3.4', PROXIES, '10.1.2.3'],
    ['a proxy of the networks that wrote no address', 'unknown, 10.1.2.3', PROXIES, '10.1.2.3'],
  ] as const)('%s: the address is the trustworthy one', (_, list, trusted, expected) => {
    expect(clientOf(list === undefined ? {} : { 'x-forwarded-for': list }, trusted)).toBe(expected);
  });

  test('a client that connects past the proxy, from outside its networks, is not trusted', () => {
    expect(clientOf({ 'x-forwarded-for': '203.0.113.9' }, PROXIES, '198.51.100.7')).toBe('198.51.100.7');
    expect(clientOf({ 'x-forwarded-for': '203.0.113.9' }, PROXIES, '::1')).toBe('203.0.113.9');
    expect(clientOf({ 'x-forwarded-for': '203.0.113.9' }, PROXIES, '::ffff:10.0.0.9')).toBe('203.0.113.9');
  });
});

describe('Forwarded', () => {
  test.each([
    ['for=203.0.113.9', 1, '203.0.113.9'],
    ['For="203.0.113.9:40001";proto=https;by=203.0.113.43', 1, '203.0.113.9'],
    ['by=203.0.113.43 ; for="[2001:db8::1]:443"', 1, '2001:db8::1'],
    ['for=198.51.100.1, for=203.0.113.9', 1, '203.0.113.9'],
    ['for=203.0.113.9, for=198.51.100.1;host="a,b;c"', 2, '203.0.113.9'],
    ['for="203.0\\.113.9"', 1, '203.0.113.9'],
    ['host="a\\"b";for=203.0.113.9', 1, '203.0.113.9'],
    ['for=203.0.113.9;;proto=https,', 2, PROXY],
    ['for=_hidden', 1, PROXY],
    ['for=unknown, for=198.51.100.1', 2, '198.51.100.1'],
    ['proto=https', 1, PROXY],
    ['', 1, PROXY],
    ['for=203.0.113.9', 0, PROXY],
    ['for=1.1.1.1, for=203.0.113.9, for="10.1.2.3:80"', PROXIES, '203.0.113.9'],
  ] as const)('%j behind %j proxies comes from %s', (forwarded, trusted, expected) => {
    expect(clientOf({ forwarded }, trusted)).toBe(expected);
  });

  test.each([
    ['a quotation that a client opened and the proxy did not see', 'for="1.1.1.1, for=203.0.113.9'],
    ['the same where the proxy quotes', 'for="1.1.1.1, for="[2001:db8::1]:443"'],
    ['a text that is no pair', 'for 203.0.113.9'],
    ['more than any proxies write', `${'for=1.1.1.1, '.repeat(500)}for=203.0.113.9`],
  ])('%s changes no address: all of them count as one', (_, forwarded) => {
    expect(clientOf({ forwarded }, 1)).toBe(UNRELIABLE);
  });
});

describe('both headers', () => {
  test('that agree are trusted', () => {
    const headers = { 'x-forwarded-for': '203.0.113.9:1', forwarded: 'for="203.0.113.9:2"' };
    expect(clientOf(headers, 1)).toBe('203.0.113.9');
  });

  test('of which the client forged the one that the proxy does not set: all clients count as one address', () => {
    for (const fake of ['1.1.1.1', '2.2.2.2']) {
      expect(clientOf({ 'x-forwarded-for': '203.0.113.9', forwarded: `for=${fake}` }, 1)).toBe(UNRELIABLE);
      expect(clientOf({ 'x-forwarded-for': fake, forwarded: 'for=203.0.113.9' }, 1)).toBe(UNRELIABLE);
    }
  });

  test('mean nothing from a client that is not a proxy', () => {
    expect(clientOf({ 'x-forwarded-for': '1.1.1.1', forwarded: 'for=2.2.2.2' }, ['192.0.2.0/24'])).toBe(PROXY);
  });
});

describe('over HTTP', () => {
  const { connections } = LIMITS.perAddress;
  const group = (url: string, headers: (each: number) => Record<string, string>) =>
    Promise.all(Array.from({ length: 2 * connections + 1 }, (_, each) => openRawWebSocket(url, { headers: headers(each) })));

  test.each([
    ['another port', (each: number) => ({ 'x-forwarded-for': `203.0.113.9:${40_000 + each}` })],
    ['another port of IPv6', (each: number) => ({ 'x-forwarded-for': `[2001:db8::1]:${each + 1}` })],
    ['another address of one /64', (each: number) => ({ 'x-forwarded-for': `2001:db8::${each + 1}` })],
    ['another port in Forwarded', (each: number) => ({ forwarded: `for="203.0.113.9:${40_000 + each}"` })],
    ['something that is no address', (each: number) => ({ 'x-forwarded-for': `_${each}` })],
    ['a forged Forwarded beside X-Forwarded-For', (each: number) => ({ 'x-forwarded-for': '203.0.113.9', forwarded: `for=1.1.1.${each}` })],
  ])('%s does not change the address', async (_, headers) => {
    const { url } = await startServer({ trustedProxies: 1 });
    await expect(group(url, headers as (each: number) => Record<string, string>)).rejects.toThrow('429');
  });

  test.each([[['10.0.0.0/8', '::1']], [['192.0.2.7']]])('clients cannot forge addresses beside proxies of %j', async (trustedProxies) => {
    const { url } = await startServer({ trustedProxies });
    await expect(group(url, (each) => ({ 'x-forwarded-for': `203.0.113.${each}` }))).rejects.toThrow('429');
  });

  test('through a proxy of a trusted network each client has limits of its own', async () => {
    const { url } = await startServer({ trustedProxies: ['127.0.0.0/8'], connectionRatePerAddress: 0 });
    await Promise.all((await group(url, (each) => ({ forwarded: `for=203.0.113.${each}` }))).map((each) => connectRaw(each)));
  });
});

describe('known addresses', () => {
  const known = (maxIdle: number) => {
    const addresses = new AddressLimiterRegistry({ limits: LIMITS.perAddress, maxIdle });
    addresses.close();
    return addresses;
  };

  test('are bounded in number; those in use stay', () => {
    const addresses = known(100);
    const used = addresses.get('192.0.2.1');
    used.addConnection();
    for (let each = 0; each < 10_000; each += 1) addresses.get(`2001:db8:${(each >> 8).toString(16)}:${(each & 0xff).toString(16)}::1`);
    expect(addresses.size).toBe(100);
    expect(addresses.get('192.0.2.1')).toBe(used);
  });

  test('of an exempt network are not counted', () => {
    const addresses = new AddressLimiterRegistry({ limits: LIMITS.perAddress, exemptNetworks: ['10.0.0.0/8'] });
    addresses.close();
    for (let each = 0; each < 10_000; each += 1) expect(addresses.get(`10.0.${each >> 8}.${each & 0xff}`).addConnection()).toBeUndefined();
    expect(addresses.size).toBe(0);
  });
});
