/** Settings from flags, environment variables, a file and defaults. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '@engawa/protocol';
import { createTempFolder } from '@engawa/testkit/processes/server';
import { expect, test } from 'vitest';
import { limitsFromSettings } from '#config/limits.js';
import { describeSettings, lifetimesFromSettings, loadSettings, SettingsError } from '#config/settings.js';

function settingsFile(content: unknown): string {
  const path = join(createTempFolder(), 'settings.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

test('without flags, variables and file every setting has its default', () => {
  const { settings } = loadSettings([], {});
  expect(settings).toEqual({
    port: 3000,
    host: '',
    dataDir: 'engawa-data',
    redisUrl: '',
    redisPrefix: 'engawa',
    durability: 'fast',
    allowEviction: 'no',
    allowedOrigins: ['*'],
    path: '',
    rateLimits: 'on',
    chatRate: 1,
    roomsPerAddress: 1_000,
    bytesPerAddress: 128 * 2 ** 20,
    quotaRoomsPerSession: undefined,
    quotaRooms: 100_000,
    quotaRoomBytes: 2 ** 30,
    quotaTotalBytes: undefined,
    connectionsPerAddress: 50,
    connectionRatePerAddress: 10,
    packetRatePerAddress: 100,
    requestRatePerAddress: 500,
    socketsPerAddress: 300,
    joinRatePerAddress: 50,
    roomJoinRatePerAddress: 1,
    roomNamesPerAddress: 90,
    membershipsPerAddress: 5_000,
    resumeRatePerAddress: 250,
    queuedBytesPerAddress: 8 * 2 ** 20,
    responseBytesPerAddress: 16 * 2 ** 20,
    limitsExempt: [],
    largeRoomThreshold: 200,
    trustedProxies: 0,
    retentionMaxAge: undefined,
    retentionMaxCount: undefined,
    retentionMaxBytes: undefined,
    grace: 30_000,
    absence: 86_400_000,
    emptyRooms: 86_400_000,
    unvisitedRooms: undefined,
    maxSendBuffer: 256 * 1024,
    logLevel: 'info',
  });
});

test('flags override variables, variables override the file, the file overrides defaults', () => {
  const config = settingsFile({ port: 1, host: '::1', dataDir: 'from-file' });
  const { settings, sources } = loadSettings(['--config', config, '--port', '3'], { PORT: '2', ENGAWA_HOST: '127.0.0.1' });
  expect(settings).toMatchObject({ port: 3, host: '127.0.0.1', dataDir: 'from-file', logLevel: 'info' });
  expect(sources).toMatchObject({ port: 'flag', host: 'variable', dataDir: 'file', logLevel: 'default' });
});

test('an empty variable counts as not set', () => {
  expect(loadSettings([], { PORT: '', ENGAWA_CONFIG: '' }).settings.port).toBe(3000);
});

test('allowed origins are a list of complete origins', () => {
  expect(loadSettings(['--allowed-origins', 'https://a.example, https://b.example:8443'], {}).settings.allowedOrigins).toEqual([
    'https://a.example',
    'https://b.example:8443',
  ]);
});

test('retention accepts units of time and size', () => {
  const config = settingsFile({ retentionMaxAge: '36h', retentionMaxCount: 5_000, retentionMaxBytes: 2_000_000 });
  const { settings } = loadSettings(['--config', config], {});
  expect(settings).toMatchObject({ retentionMaxAge: 129_600_000, retentionMaxCount: 5_000, retentionMaxBytes: 2_000_000 });
  const loaded = loadSettings(['--retention-max-age', '30d', '--retention-max-count', '10000'], { ENGAWA_RETENTION_MAX_BYTES: '100MB' });
  expect(loaded.settings).toMatchObject({ retentionMaxAge: 2_592_000_000, retentionMaxCount: 10_000, retentionMaxBytes: 104_857_600 });
  const lines = describeSettings(loaded);
  expect(lines).toMatch(/^--retention-max-age +ENGAWA_RETENTION_MAX_AGE +30d +flag /m);
  expect(lines).toMatch(/^--retention-max-bytes +ENGAWA_RETENTION_MAX_BYTES +100mb +variable /m);
  expect(describeSettings(loadSettings([], {}))).toMatch(/^--retention-max-count +ENGAWA_RETENTION_MAX_COUNT +default /m);
});

test.each([
  ['60s', 60_000],
  ['90m', 5_400_000],
  ['12h', 43_200_000],
  ['1d', 86_400_000],
])('a duration of %s is %i milliseconds', (text, milliseconds) => {
  expect(loadSettings(['--retention-max-age', text], {}).settings.retentionMaxAge).toBe(milliseconds);
});

test('the lifetimes of rooms without members accept units of time, and 0 means no limit', () => {
  expect(lifetimesFromSettings(loadSettings([], {}).settings)).toEqual({ emptyMs: 86_400_000, unvisitedMs: null });
  const { settings } = loadSettings(['--empty-rooms', '0'], { ENGAWA_UNVISITED_ROOMS: '365d' });
  expect(lifetimesFromSettings(settings)).toEqual({ emptyMs: null, unvisitedMs: 365 * 86_400_000 });
});

test('quotas accept sizes and numbers, and 0 removes one', () => {
  const { settings } = loadSettings(['--quota-room-bytes', '0', '--quota-total-bytes', '50gb', '--quota-rooms', '0'], {
    ENGAWA_BYTES_PER_ADDRESS: '0',
    ENGAWA_QUOTA_ROOMS_PER_SESSION: '7',
  });
  const { quotas, perAddress } = limitsFromSettings(settings);
  expect(quotas).toEqual({ roomsPerSession: 7, rooms: null, roomBytes: null, totalBytes: 50 * 2 ** 30 });
  expect(perAddress).toMatchObject({ rooms: { burst: 1_000, perSecond: 1_000 / 86_400 }, bytes: null });
  expect(limitsFromSettings({}).quotas).toEqual(LIMITS.quotas);
  expect(limitsFromSettings({ quotaTotalBytes: 0 }).quotas.totalBytes).toBe(null);
});

test('by default the limits are those of the protocol', () => {
  expect(limitsFromSettings(loadSettings([], {}).settings)).toMatchObject({
    perAddress: LIMITS.perAddress,
    rates: LIMITS.rates,
    quotas: LIMITS.quotas,
  });
});

test('limits per address are set one by one, and 0 removes only that one', () => {
  const flags = ['--connections-per-address', '0', '--connection-rate-per-address', '50', '--sockets-per-address', '1000'];
  const { settings } = loadSettings(flags, { ENGAWA_REQUEST_RATE_PER_ADDRESS: '0', ENGAWA_PACKET_RATE_PER_ADDRESS: '0.05' });
  expect(limitsFromSettings(settings).perAddress).toEqual({
    ...LIMITS.perAddress,
    connections: null,
    connects: { burst: 500, perSecond: 50 },
    sockets: 1_000,
    requests: null,
    packets: { burst: 1, perSecond: 0.05 },
  });
});

test('the chat rate of an author is set, and 0 removes only that limit', () => {
  const chatsOf = (flag: string) => limitsFromSettings(loadSettings(['--chat-rate', flag], {}).settings).rates;
  expect(chatsOf('50')).toEqual({ ...LIMITS.rates, chats: { burst: 1_000, perSecond: 50 } });
  expect(chatsOf('0')).toEqual({ ...LIMITS.rates, chats: null });
  expect(limitsFromSettings({ rateLimits: 'off', chatRate: 5 }).rates).toBeNull();
});

test('rate limits off removes rates, limits per address and rooms per session, but not the other quotas', () => {
  const { perAddress, rates, quotas } = limitsFromSettings({ rateLimits: 'off', connectionsPerAddress: 5 });
  expect(Object.values(perAddress).filter((limit) => limit !== null)).toEqual([]);
  expect([rates, quotas]).toEqual([null, { ...LIMITS.quotas, roomsPerSession: null }]);
});

test.each([
  ['0', 0],
  ['2', 2],
  ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
  ['192.0.2.7', ['192.0.2.7']],
])('trusted proxies are a number or networks: %s', (text, expected) => {
  const loaded = loadSettings(['--trusted-proxies', text], {});
  expect(loaded.settings.trustedProxies).toEqual(expected);
  expect(describeSettings(loaded)).toMatch(
    new RegExp(`^--trusted-proxies +ENGAWA_TRUSTED_PROXIES +${text.replace(', ', ',')} +flag `, 'm'),
  );
});

test('trusted proxies in the file are a number or a string', () => {
  for (const trustedProxies of [1, '1']) {
    expect(loadSettings(['--config', settingsFile({ trustedProxies })], {}).settings.trustedProxies).toBe(1);
  }
});

test('exempt networks are a list', () => {
  const { settings } = loadSettings(['--limits-exempt', '10.0.0.0/8,::1'], {});
  expect(settings.limitsExempt).toEqual(['10.0.0.0/8', '::1']);
});

test.each([
  ['1', 1],
  ['512b', 512],
  ['64kb', 65_536],
  ['3gb', 3_221_225_472],
  ['1tb', 1_099_511_627_776],
])('a size of %s is %i bytes', (text, bytes) => {
  expect(loadSettings(['--retention-max-bytes', text], {}).settings.retentionMaxBytes).toBe(bytes);
});

test.each([
  [['--port', 'x'], {}, '--port'],
  [['--path', 'chat'], {}, '--path'],
  [['--path', '/a b'], {}, '--path'],
  [['--path', '/chat?x=1'], {}, '--path'],
  [['--path', '//chat'], {}, '--path'],
  [['--trusted-proxies', '11'], {}, '--trusted-proxies'],
  [['--trusted-proxies', '-1'], {}, '--trusted-proxies'],
  [['--trusted-proxies', 'nginx'], {}, '--trusted-proxies'],
  [['--trusted-proxies', '10.0.0.0/33'], {}, '--trusted-proxies'],
  [['--limits-exempt', '10.0.0.0/8,office'], {}, '--limits-exempt'],
  [['--connections-per-address', '-1'], {}, '--connections-per-address'],
  [['--connections-per-address', '1.5'], {}, '--connections-per-address'],
  [['--request-rate-per-address', '-1'], {}, '--request-rate-per-address'],
  [['--retention-max-age', '30'], {}, '--retention-max-age'],
  [['--retention-max-age', '59s'], {}, '--retention-max-age'],
  [['--retention-max-age', '-1d'], {}, '--retention-max-age'],
  [['--retention-max-age', '1.5d'], {}, '--retention-max-age'],
  [['--retention-max-age', '1 month'], {}, '--retention-max-age'],
  [['--retention-max-age', '999999999999d'], {}, '--retention-max-age'],
  [['--retention-max-age', '5constructor'], {}, '--retention-max-age'],
  [['--quota-room-bytes', '-1'], {}, '--quota-room-bytes'],
  [['--quota-total-bytes', 'much'], {}, '--quota-total-bytes'],
  [['--bytes-per-address', '1kb'], {}, '--bytes-per-address'],
  [['--empty-rooms', '30s'], {}, '--empty-rooms'],
  [['--grace', '1s'], {}, '--grace'],
  [['--absence', '1s'], {}, '--absence'],
  [['--unvisited-rooms', '1 year'], {}, '--unvisited-rooms'],
  [['--rooms-per-address', '-1'], {}, '--rooms-per-address'],
  [['--retention-max-count', '0'], {}, '--retention-max-count'],
  [['--retention-max-count', '1k'], {}, '--retention-max-count'],
  [[], { ENGAWA_RETENTION_MAX_BYTES: '0' }, 'ENGAWA_RETENTION_MAX_BYTES'],
  [[], { ENGAWA_RETENTION_MAX_BYTES: '5 pages' }, 'ENGAWA_RETENTION_MAX_BYTES'],
  [[], { PORT: '70000' }, 'PORT'],
  [[], { ENGAWA_ALLOWED_ORIGINS: 'https://a.example/path' }, 'ENGAWA_ALLOWED_ORIGINS'],
  [[], { ENGAWA_RATE_LIMITS: 'maybe' }, 'ENGAWA_RATE_LIMITS'],
  [['--prot', '1'], {}, '--prot'],
  [['--config', 'nowhere.json'], {}, 'nowhere.json'],
])('the error for %j %j names %s', (args, env, named) => {
  expect(() => loadSettings(args, env)).toThrow(SettingsError);
  expect(() => loadSettings(args, env)).toThrow(named);
});

test.each([['{'], [{ prot: 1 }], [[]]])('a file with %j is refused', (content) => {
  expect(() => loadSettings(['--config', settingsFile(content)], {})).toThrow(SettingsError);
});

test('the settings in force are printed with their sources', () => {
  const lines = describeSettings(loadSettings(['--port', '81'], { ENGAWA_LOG_LEVEL: 'warn' })).split('\n');
  expect(lines).toHaveLength(41);
  expect(lines[0]).toMatch(/^--port +PORT +81 +flag +TCP port/);
  expect(lines[40]).toMatch(/^--log-level +ENGAWA_LOG_LEVEL +warn +variable /);
});

test.each([
  ['', ''],
  ['/', ''],
  ['/chat', '/chat'],
  ['/chat/', '/chat'],
  ['/a.b/c~d-e_f', '/a.b/c~d-e_f'],
])('a path of %j is %j', (text, expected) => {
  expect(loadSettings(['--path', text], {}).settings.path).toBe(expected);
});

test('a password in a URL is not printed', () => {
  const [line] = describeSettings(loadSettings([], { REDIS_URL: 'rediss://app:secret@cache.example:6380/0' }))
    .split('\n')
    .filter((each) => each.includes('REDIS_URL'));
  expect(line).toContain('rediss://***@cache.example:6380/0');
  expect(line).not.toContain('secret');
});
