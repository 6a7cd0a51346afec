import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '@engawa/protocol';
import { expect, test } from 'vitest';
import { describeSettings, lifetimesIn, loadSettings, perAddressIn, quotasIn, SettingsError } from '#settings.js';
import { newFolder } from './helpers/server.ts';

function settingsFile(content: unknown): string {
  const path = join(newFolder(), 'settings.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

test('without any word every setting has its default', () => {
  const { settings } = loadSettings([], {});
  expect(settings).toEqual({
    port: 3000,
    host: '0.0.0.0',
    dataDir: 'engawa-data',
    redisUrl: '',
    redisPrefix: 'engawa',
    durability: 'fast',
    mayEvict: 'no',
    origins: ['*'],
    limits: 'on',
    roomsPerAddress: 1_000,
    bytesPerAddress: 128 * 2 ** 20,
    quotaRoomsPerSession: 100,
    quotaRooms: 100_000,
    quotaRoomBytes: 2 ** 30,
    quotaTotalBytes: undefined,
    largeRoom: 200,
    trustedProxies: 0,
    maxAge: undefined,
    maxCount: undefined,
    maxBytes: undefined,
    emptyRooms: 86_400_000,
    unvisitedRooms: undefined,
    maxWaiting: 256 * 1024,
    logLevel: 'info',
  });
});

test('flags win over variables, variables over the file, the file over defaults', () => {
  const config = settingsFile({ port: 1, host: '::1', dataDir: 'from-file' });
  const { settings, sources } = loadSettings(['--config', config, '--port', '3'], { PORT: '2', ENGAWA_HOST: '127.0.0.1' });
  expect(settings).toMatchObject({ port: 3, host: '127.0.0.1', dataDir: 'from-file', logLevel: 'info' });
  expect(sources).toMatchObject({ port: 'flag', host: 'variable', dataDir: 'file', logLevel: 'default' });
});

test('an empty variable is none', () => {
  expect(loadSettings([], { PORT: '', ENGAWA_CONFIG: '' }).settings.port).toBe(3000);
});

test('origins are a list of whole origins', () => {
  expect(loadSettings(['--origins', 'https://a.example, https://b.example:8443'], {}).settings.origins).toEqual([
    'https://a.example',
    'https://b.example:8443',
  ]);
});

test('what is kept is said in units of time and of size', () => {
  const config = settingsFile({ maxAge: '36h', maxCount: 5_000, maxBytes: 2_000_000 });
  const { settings } = loadSettings(['--config', config], {});
  expect(settings).toMatchObject({ maxAge: 129_600_000, maxCount: 5_000, maxBytes: 2_000_000 });
  const loaded = loadSettings(['--max-age', '30d', '--max-count', '10000'], { ENGAWA_MAX_BYTES: '100MB' });
  expect(loaded.settings).toMatchObject({ maxAge: 2_592_000_000, maxCount: 10_000, maxBytes: 104_857_600 });
  const lines = describeSettings(loaded);
  expect(lines).toMatch(/^--max-age +ENGAWA_MAX_AGE +30d +flag /m);
  expect(lines).toMatch(/^--max-bytes +ENGAWA_MAX_BYTES +100mb +variable /m);
  expect(describeSettings(loadSettings([], {}))).toMatch(/^--max-count +ENGAWA_MAX_COUNT +default /m);
});

test.each([
  ['60s', 60_000],
  ['90m', 5_400_000],
  ['12h', 43_200_000],
  ['1d', 86_400_000],
])('a time of %s is %i milliseconds', (text, milliseconds) => {
  expect(loadSettings(['--max-age', text], {}).settings.maxAge).toBe(milliseconds);
});

test('how long rooms stay that nobody is in is said in units of time, and 0 is for ever', () => {
  expect(lifetimesIn(loadSettings([], {}).settings)).toEqual({ empty: 86_400_000, unvisited: null });
  const { settings } = loadSettings(['--empty-rooms', '0'], { ENGAWA_UNVISITED_ROOMS: '365d' });
  expect(lifetimesIn(settings)).toEqual({ empty: null, unvisited: 365 * 86_400_000 });
});

test('quotas are said in sizes and numbers, and 0 lifts one', () => {
  const { settings } = loadSettings(['--quota-room-bytes', '0', '--quota-total-bytes', '50gb', '--quota-rooms', '0'], {
    ENGAWA_BYTES_PER_ADDRESS: '0',
    ENGAWA_QUOTA_ROOMS_PER_SESSION: '7',
  });
  expect(quotasIn(settings)).toEqual({ roomsPerSession: 7, rooms: null, roomBytes: null, totalBytes: 50 * 2 ** 30 });
  expect(perAddressIn(settings)).toEqual({ rooms: { burst: 1_000, perSecond: 1_000 / 86_400 }, bytes: null });
  expect(quotasIn({})).toEqual(LIMITS.quotas);
  expect(quotasIn({ quotaTotalBytes: 0 }).totalBytes).toBe(null);
});

test.each([
  ['1', 1],
  ['512b', 512],
  ['64kb', 65_536],
  ['3gb', 3_221_225_472],
  ['1tb', 1_099_511_627_776],
])('a size of %s is %i bytes', (text, bytes) => {
  expect(loadSettings(['--max-bytes', text], {}).settings.maxBytes).toBe(bytes);
});

test.each([
  [['--port', 'x'], {}, '--port'],
  [['--max-age', '30'], {}, '--max-age'],
  [['--max-age', '59s'], {}, '--max-age'],
  [['--max-age', '-1d'], {}, '--max-age'],
  [['--max-age', '1.5d'], {}, '--max-age'],
  [['--max-age', '1 month'], {}, '--max-age'],
  [['--max-age', '999999999999d'], {}, '--max-age'],
  [['--max-age', '5constructor'], {}, '--max-age'],
  [['--quota-room-bytes', '-1'], {}, '--quota-room-bytes'],
  [['--quota-total-bytes', 'much'], {}, '--quota-total-bytes'],
  [['--bytes-per-address', '1kb'], {}, '--bytes-per-address'],
  [['--empty-rooms', '30s'], {}, '--empty-rooms'],
  [['--unvisited-rooms', '1 year'], {}, '--unvisited-rooms'],
  [['--rooms-per-address', '-1'], {}, '--rooms-per-address'],
  [['--max-count', '0'], {}, '--max-count'],
  [['--max-count', '1k'], {}, '--max-count'],
  [[], { ENGAWA_MAX_BYTES: '0' }, 'ENGAWA_MAX_BYTES'],
  [[], { ENGAWA_MAX_BYTES: '5 pages' }, 'ENGAWA_MAX_BYTES'],
  [[], { PORT: '70000' }, 'PORT'],
  [[], { ENGAWA_ORIGINS: 'https://a.example/path' }, 'ENGAWA_ORIGINS'],
  [[], { ENGAWA_LIMITS: 'maybe' }, 'ENGAWA_LIMITS'],
  [['--prot', '1'], {}, '--prot'],
  [['--config', 'nowhere.json'], {}, 'nowhere.json'],
])('%j %j is refused by name: %s', (args, env, named) => {
  expect(() => loadSettings(args, env)).toThrow(SettingsError);
  expect(() => loadSettings(args, env)).toThrow(named);
});

test.each([['{'], [{ prot: 1 }], [[]]])('a file that says %j is refused', (content) => {
  expect(() => loadSettings(['--config', settingsFile(content)], {})).toThrow(SettingsError);
});

test('the settings in force are printed with where they came from', () => {
  const lines = describeSettings(loadSettings(['--port', '81'], { ENGAWA_LOG: 'warn' })).split('\n');
  expect(lines).toHaveLength(24);
  expect(lines[0]).toMatch(/^--port +PORT +81 +flag +TCP port/);
  expect(lines[23]).toMatch(/^--log-level +ENGAWA_LOG +warn +variable /);
});

test('a password in a URL is not printed', () => {
  const [line] = describeSettings(loadSettings([], { REDIS_URL: 'rediss://app:secret@cache.example:6380/0' }))
    .split('\n')
    .filter((each) => each.includes('REDIS_URL'));
  expect(line).toContain('rediss://***@cache.example:6380/0');
  expect(line).not.toContain('secret');
});
