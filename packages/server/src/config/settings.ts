import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LIMITS, type RateLimit } from '@engawa/protocol';
import { z } from 'zod';
import { ABSENCE_MS, GRACE_MS } from '../background/lease-manager.ts';
import { DEFAULT_ROOM_LIFETIMES, type RoomLifetimes } from '../domain/room-expiry.ts';
import type { TrustedProxies } from '../network/client-ip-resolver.ts';
import { isNetwork } from '../network/ip-networks.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

export const DEFAULT_MAX_SEND_BUFFER_BYTES = 256 * 1024;
const MAX_PROXIES = 10;

/** Text, or in the file a number, of which `read` makes a whole one of at least `least`. */
const amountSchema = (read: (text: string) => number | undefined, { min, form }: { min: number; form: string }) =>
  z
    .union([z.string(), z.number()])
    .transform((input, context) => {
      const value = read(String(input));
      if (value !== undefined && value >= min) return value;
      context.addIssue({ code: 'custom', message: `must be ${form}` });
      return z.NEVER;
    })
    .optional();

/** Zero lifts a limit. */
const limitSchema = (read: (text: string) => number | undefined, { min, form }: { min: number; form: string }) =>
  amountSchema((text) => (text.trim() === '0' ? 0 : atLeast(read(text), min)), { min: 0, form: `${form}, or 0 for no limit` });

const atLeast = (value: number | undefined, min: number): number | undefined => (value !== undefined && value >= min ? value : undefined);

const NETWORKS_FORM = 'networks, as 10.0.0.0/8,::1';
const { perAddress, rates } = LIMITS;

/** Divided by commas. */
const parseNetworks = (text: string): string[] =>
  text
    .split(',')
    .map((network) => network.trim())
    .filter((network) => network !== '');

const networksSchema = z
  .string()
  .transform(parseNetworks)
  .refine((list) => list.every(isNetwork), `must be ${NETWORKS_FORM}`);

/** Of reverse proxies: how many, or which. */
const proxiesSchema = z.union([z.string(), z.number()]).transform((input, context): TrustedProxies => {
  const text = String(input).trim();
  if (/^\d{1,2}$/.test(text) && Number(text) <= MAX_PROXIES) return Number(text);
  const list = parseNetworks(text);
  if (list.length > 0 && list.every(isNetwork)) return list;
  context.addIssue({ code: 'custom', message: `must be a number up to ${MAX_PROXIES}, or ${NETWORKS_FORM}` });
  return z.NEVER;
});

/** Of URLs: nothing, or as `/chat`. */
const pathPrefixSchema = z.string().transform((text, context) => {
  const path = text.replace(/\/+$/, '');
  if (path === '' || /^(\/[\w.~-]+)+$/.test(path)) return path;
  context.addIssue({ code: 'custom', message: 'must be a path, as /chat' });
  return z.NEVER;
});

/** 0 lifts it. */
const countSchema = (defaultValue: number) => z.coerce.number().int().min(0).default(defaultValue);
const rateSchema = (defaultRate: RateLimit) => z.coerce.number().min(0).default(defaultRate.perSecond);

/** Every setting once: its flag is its name in kebab case, its variable is named here. */
const settingTable = {
  port: { variable: 'PORT', schema: z.coerce.number().int().min(0).max(65_535).default(3000), what: 'TCP port; 0 takes a free one' },
  host: { variable: 'ENGAWA_HOST', schema: z.string().default(''), what: 'address to listen on; nothing: all, over IPv4 and IPv6' },
  path: {
    variable: 'ENGAWA_PATH',
    schema: pathPrefixSchema.default(''),
    what: 'what the paths of all requests may begin with, as /chat behind a proxy that leaves it there; nothing: /',
  },
  dataDir: { variable: 'ENGAWA_DATA_DIR', schema: z.string().min(1).default('engawa-data'), what: 'folder of the embedded store' },
  redisUrl: {
    variable: 'REDIS_URL',
    schema: z.string().default(''),
    what: 'Redis instead of the folder: redis://, redis+cluster:// or redis+sentinel://, with rediss for TLS',
    // A password is nobody's to see.
    show: (url: string) => url.replace(/\/\/[^@/]*@/, '//***@'),
  },
  redisPrefix: { variable: 'ENGAWA_REDIS_PREFIX', schema: z.string().default('engawa'), what: 'begins the names of all keys in Redis' },
  durability: {
    variable: 'ENGAWA_DURABILITY',
    schema: z.enum(['fast', 'replicated', 'fsync']).default('fast'),
    what: 'with Redis: when something is acknowledged; the folder has always fsync',
  },
  mayEvict: {
    variable: 'ENGAWA_MAY_EVICT',
    schema: z.enum(['yes', 'no']).default('no'),
    what: 'yes takes a Redis, too, that throws data away when its memory is full',
  },
  origins: {
    variable: 'ENGAWA_ORIGINS',
    schema: z
      .string()
      .default('*')
      .transform((list) => list.split(',').map((origin) => origin.trim()))
      .pipe(
        z.array(
          z.union([z.literal('*'), z.url().refine((url) => new URL(url).origin === url, 'must be an origin, as https://chat.example.org')]),
        ),
      ),
    what: 'origins whose pages may connect, divided by commas; * for all',
  },
  limits: {
    variable: 'ENGAWA_LIMITS',
    schema: z.enum(['on', 'off']).default('on'),
    what: 'off lifts rates and counts per address, for load tests; quotas stay',
  },
  chatRate: {
    variable: 'ENGAWA_CHAT_RATE',
    schema: rateSchema(rates.chats),
    what: 'chats and edits of one author in one room a second, twenty seconds of them at once; 0 lifts it',
  },
  roomsPerAddress: {
    variable: 'ENGAWA_ROOMS_PER_ADDRESS',
    schema: z.coerce.number().int().min(0).default(LIMITS.perAddress.rooms.burst),
    what: 'rooms that may be opened from one network address at once, and so many more in a day; 0: no limit',
  },
  bytesPerAddress: {
    variable: 'ENGAWA_BYTES_PER_ADDRESS',
    schema: limitSchema(parseSize, { min: 1024 * 1024, form: 'a size of 1mb or more' }).default(LIMITS.perAddress.bytes.burst),
    what: 'bytes that may be kept from one network address at once, and so many more in an hour; 0: no limit',
    show: formatSize,
  },
  quotaRoomsPerSession: {
    variable: 'ENGAWA_QUOTA_ROOMS_PER_SESSION',
    schema: z.coerce.number().int().min(0).optional(),
    what: `rooms that one session may own; nothing: ${LIMITS.quotas.roomsPerSession}, and with --limits off as many as it likes; 0: no limit`,
  },
  quotaRooms: {
    variable: 'ENGAWA_QUOTA_ROOMS',
    schema: z.coerce.number().int().min(0).default(LIMITS.quotas.rooms),
    what: 'rooms that there may be; 0: no limit',
  },
  quotaRoomBytes: {
    variable: 'ENGAWA_QUOTA_ROOM_BYTES',
    schema: limitSchema(parseSize, { min: 1, form: 'a size, as 1gb or 100mb' }).default(LIMITS.quotas.roomBytes),
    what: 'bytes of text in one room from which on nothing more may be said there, as 1gb; 0: no limit',
    show: formatSize,
  },
  quotaTotalBytes: {
    variable: 'ENGAWA_QUOTA_TOTAL_BYTES',
    schema: limitSchema(parseSize, { min: 1, form: 'a size, as 10gb' }),
    what: `bytes in the store from which on nothing more may be said, as 50gb; 0: no limit; nothing: ${formatSize(LIMITS.quotas.totalBytes)}, with Redis no limit`,
    show: formatSize,
  },
  connectionsPerAddress: {
    variable: 'ENGAWA_CONNECTIONS_PER_ADDRESS',
    schema: countSchema(perAddress.connections),
    what: 'connections of one address at once; 0 lifts it',
  },
  connectionRatePerAddress: {
    variable: 'ENGAWA_CONNECTION_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.connects),
    what: 'new connections of one address a second, ten seconds of them at once; 0 lifts it',
  },
  packetRatePerAddress: {
    variable: 'ENGAWA_PACKET_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.packets),
    what: 'packets of one address a second, ten seconds of them at once; 0 lifts it',
  },
  requestRatePerAddress: {
    variable: 'ENGAWA_REQUEST_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.requests),
    what: 'HTTP requests of one address a second, ten seconds of them at once; 0 lifts it',
  },
  socketsPerAddress: {
    variable: 'ENGAWA_SOCKETS_PER_ADDRESS',
    schema: countSchema(perAddress.sockets),
    what: 'TCP connections of one address at once; 0 lifts it',
  },
  joinRatePerAddress: {
    variable: 'ENGAWA_JOIN_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.joins),
    what: 'rooms opened or joined from one address a second, ten seconds of them at once; 0 lifts it',
  },
  roomJoinRatePerAddress: {
    variable: 'ENGAWA_ROOM_JOIN_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.roomJoins),
    what: 'joins of one room from one address a second, a hundred seconds of them at once; 0 lifts it',
  },
  roomNamesPerAddress: {
    variable: 'ENGAWA_ROOM_NAMES_PER_ADDRESS',
    schema: countSchema(perAddress.membersPerRoom),
    what: 'names that one address has in one room at once; 0 lifts it',
  },
  seatsPerAddress: {
    variable: 'ENGAWA_SEATS_PER_ADDRESS',
    schema: countSchema(perAddress.seats),
    what: 'rooms that all connections of one address are in, each counted as often; 0 lifts it',
  },
  resumeRatePerAddress: {
    variable: 'ENGAWA_RESUME_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.resumes),
    what: 'rooms that clients of one address come back to a second, forty seconds of them at once; 0 lifts it',
  },
  queuedBytesPerAddress: {
    variable: 'ENGAWA_QUEUED_BYTES_PER_ADDRESS',
    schema: limitSchema(parseSize, { min: 64 * 1024, form: 'a size of 64kb or more' }).default(perAddress.waitingBytes),
    what: 'bytes of requests of one address that wait for their turn; 0 lifts it',
    show: formatSize,
  },
  answerBytesPerAddress: {
    variable: 'ENGAWA_ANSWER_BYTES_PER_ADDRESS',
    schema: limitSchema(parseSize, { min: 2 * 1024 * 1024, form: 'a size of 2mb or more' }).default(perAddress.answerBytes),
    what: 'bytes of large answers to one address that are not read yet; 0 lifts it',
    show: formatSize,
  },
  limitsExempt: {
    variable: 'ENGAWA_LIMITS_EXEMPT',
    schema: networksSchema.default([]),
    what: 'networks without limits per address, as 10.0.0.0/8,::1',
  },
  largeRoom: {
    variable: 'ENGAWA_LARGE_ROOM',
    schema: z.coerce.number().int().min(1).default(LIMITS.largeRoom),
    what: 'members from which on a room is told in counts who joins, leaves, comes and goes, and types',
  },
  trustedProxies: {
    variable: 'ENGAWA_TRUSTED_PROXIES',
    schema: proxiesSchema.default(0),
    what: 'reverse proxies in front whose X-Forwarded-For or Forwarded is believed: how many, or their networks, as 10.0.0.0/8,::1',
  },
  maxAge: {
    variable: 'ENGAWA_MAX_AGE',
    schema: amountSchema(parseDuration, { min: 60_000, form: 'a time of a minute or more, as 30d, 12h or 90m' }),
    what: 'entries that are older leave the log of any room, as 30d or 12h; nothing: all are kept',
    show: formatDuration,
  },
  maxCount: {
    variable: 'ENGAWA_MAX_COUNT',
    schema: z.coerce.number().int().min(1).optional(),
    what: 'entries that the log of any room keeps, the newest; nothing: all are kept',
  },
  maxBytes: {
    variable: 'ENGAWA_MAX_BYTES',
    schema: amountSchema(parseSize, { min: 1, form: 'a size, as 100mb or 64kb' }),
    what: 'bytes of text that the log of any room keeps, the newest, as 100mb; nothing: all are kept',
    show: formatSize,
  },
  grace: {
    variable: 'ENGAWA_GRACE',
    schema: amountSchema(parseDuration, { min: 5_000, form: 'a time of five seconds or more, as 30s or 10m' }).default(GRACE_MS),
    what: 'how long nobody else may have the name of a guest after their connection is gone',
    show: formatDuration,
  },
  absence: {
    variable: 'ENGAWA_ABSENCE',
    schema: amountSchema((text) => (text.trim() === '0' ? 0 : atLeast(parseDuration(text), 60_000)), {
      min: 0,
      form: 'a time of a minute or more, as 12h or 7d, or 0',
    }).default(ABSENCE_MS),
    what: 'how long they stay a member after that, as long as nobody else joins under the name; 0: not at all',
    show: formatDuration,
  },
  emptyRooms: {
    variable: 'ENGAWA_EMPTY_ROOMS',
    schema: limitSchema(parseDuration, { min: 60_000, form: 'a time of a minute or more, as 1d or 12h' }).default(
      Number(DEFAULT_ROOM_LIFETIMES.emptyMs),
    ),
    what: 'how long a room that nobody is in stays in which nothing was ever said; 0: for ever',
    show: formatDuration,
  },
  unvisitedRooms: {
    variable: 'ENGAWA_UNVISITED_ROOMS',
    schema: limitSchema(parseDuration, { min: 60_000, form: 'a time of a minute or more, as 365d' }),
    what: 'how long any room that nobody is in stays, with all that was said in it; 0 or nothing: for ever',
    show: formatDuration,
  },
  maxWaiting: {
    variable: 'ENGAWA_MAX_WAITING',
    schema: amountSchema(parseSize, { min: 16 * 1024, form: 'a size of 16kb or more, as 256kb or 1mb' }).default(
      DEFAULT_MAX_SEND_BUFFER_BYTES,
    ),
    what: 'bytes that wait for one client; with more it is told from the logs what it missed, as fast as it reads',
    show: formatSize,
  },
  logLevel: {
    variable: 'ENGAWA_LOG',
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    what: 'least level of log lines',
  },
} as const;

type SettingTable = typeof settingTable;
type SettingName = keyof SettingTable;
export type Settings = { [Name in SettingName]: z.output<SettingTable[Name]['schema']> };
type OptionTypes = Record<string, { type: 'string' | 'boolean' }>;
type Source = 'flag' | 'variable' | 'file' | 'default';
export type LoadedSettings = { settings: Settings; sources: Record<SettingName, Source>; options: Options };
/** Flags of one command, which are no settings. */
type Options = Record<string, string | boolean | undefined>;

/** How long rooms stay that nobody is in. */
export const lifetimesFromSettings = ({ emptyRooms, unvisitedRooms }: Partial<Settings>): RoomLifetimes => ({
  emptyMs: (emptyRooms ?? DEFAULT_ROOM_LIFETIMES.emptyMs) || null,
  unvisitedMs: unvisitedRooms || null,
});

/** A setting that cannot be used; the message says which and why. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const settingNames = Object.keys(settingTable) as SettingName[];
const flagOf = (name: SettingName): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * Flags win over variables, variables over the file (`--config FILE`, else engawa.json where it exists), the file over
 * defaults. A command may have options beside them.
 */
export function loadSettings(args: string[], env: NodeJS.ProcessEnv, optionTypes: OptionTypes = {}): LoadedSettings {
  const options = parseFlags(args, optionTypes);
  const flags = new Map(Object.entries(options));
  const file = readSettingsFile(options.config?.toString() ?? nonEmpty(env.ENGAWA_CONFIG));
  const settings: Record<string, unknown> = {};
  const sources = {} as Record<SettingName, Source>;
  for (const name of settingNames) {
    const { variable, schema } = settingTable[name];
    const candidates: [Source, unknown][] = [
      ['flag', flags.get(flagOf(name))],
      ['variable', nonEmpty(env[variable])],
      ['file', file.get(name)],
    ];
    const [source, raw] = candidates.find(([, value]) => value !== undefined) ?? (['default', undefined] as const);
    const parsed = schema.safeParse(raw);
    if (!parsed.success)
      throw new SettingsError(
        `${nameInSource(source, name)} ${parsed.error.issues[0]?.message ?? 'is not valid'} (given: ${String(raw)}).`,
      );
    settings[name] = parsed.data;
    sources[name] = source;
  }
  return { settings: settings as Settings, sources, options };
}

/** A variable that is set to nothing is not set. */
const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

/** The flags of `engawa serve`, for its help and its completion. */
export function settingOptions(): Record<string, { value: string; what: string }> {
  const flags = settingNames.map(
    (name) => [flagOf(name), { value: 'VALUE', what: `${settingTable[name].what} (${settingTable[name].variable})` }] as const,
  );
  return { ...Object.fromEntries(flags), config: { value: 'FILE', what: 'a JSON file of settings' } };
}

/** The settings in force, where each came from, and how to change it. */
export function describeSettings({ settings, sources }: LoadedSettings): string {
  const rows = settingNames.map((name) => [
    `--${flagOf(name)}`,
    settingTable[name].variable,
    formatSetting(name, settings[name]),
    sources[name],
    settingTable[name].what,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function formatSetting(name: SettingName, value: Settings[SettingName]): string {
  const { show } = settingTable[name] as { show?: (value: never) => string };
  return show && value !== undefined ? show(value as never) : [value].flat().join(',');
}

function nameInSource(source: Source, name: SettingName): string {
  if (source === 'variable') return settingTable[name].variable;
  return source === 'flag' ? `--${flagOf(name)}` : `"${name}"`;
}

function parseFlags(args: string[], types: OptionTypes): Options {
  const flags = Object.fromEntries([...settingNames.map(flagOf), 'config'].map((flag) => [flag, { type: 'string' as const }]));
  try {
    return parseArgs({ args, options: { ...flags, ...types } }).values;
  } catch (error) {
    throw new SettingsError((error as Error).message);
  }
}

function readSettingsFile(givenPath: string | undefined): Map<string, unknown> {
  const path = resolve(givenPath ?? 'engawa.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (givenPath === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new SettingsError(`The settings file ${path} cannot be read: ${(error as Error).message}`);
  }
  return parseSettingsFile(path, text);
}

function parseSettingsFile(path: string, text: string): Map<string, unknown> {
  try {
    const values = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    const unknown = Object.keys(values).find((name) => !Object.hasOwn(settingTable, name));
    if (unknown !== undefined) throw new Error(`there is no setting "${unknown}"`);
    return new Map(Object.entries(values));
  } catch (error) {
    throw new SettingsError(`The settings file ${path} is not valid: ${(error as Error).message}`);
  }
}
