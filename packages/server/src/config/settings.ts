/** The settings of a server: flags, environment variables, settings file and defaults. */
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

/** Parses a text, or a number from the settings file, with `read`. The result must be at least `min`. */
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

/** Like `amountSchema`, but 0 removes the limit. */
const limitSchema = (read: (text: string) => number | undefined, { min, form }: { min: number; form: string }) =>
  amountSchema((text) => (text.trim() === '0' ? 0 : atLeast(read(text), min)), { min: 0, form: `${form}, or 0 for no limit` });

const atLeast = (value: number | undefined, min: number): number | undefined => (value !== undefined && value >= min ? value : undefined);

const NETWORKS_FORM = 'networks, as 10.0.0.0/8,::1';
const { perAddress, rates } = LIMITS;

/** Parses a list that is separated by commas. */
const parseNetworks = (text: string): string[] =>
  text
    .split(',')
    .map((network) => network.trim())
    .filter((network) => network !== '');

const networksSchema = z
  .string()
  .transform(parseNetworks)
  .refine((list) => list.every(isNetwork), `must be ${NETWORKS_FORM}`);

/** Reverse proxies: their number, or their networks. */
const proxiesSchema = z.union([z.string(), z.number()]).transform((input, context): TrustedProxies => {
  const text = String(input).trim();
  if (/^\d{1,2}$/.test(text) && Number(text) <= MAX_PROXIES) return Number(text);
  const list = parseNetworks(text);
  if (list.length > 0 && list.every(isNetwork)) return list;
  context.addIssue({ code: 'custom', message: `must be a number up to ${MAX_PROXIES}, or ${NETWORKS_FORM}` });
  return z.NEVER;
});

/** The prefix of URL paths: empty, or like `/chat`. */
const pathPrefixSchema = z.string().transform((text, context) => {
  const path = text.replace(/\/+$/, '');
  if (path === '' || /^(\/[\w.~-]+)+$/.test(path)) return path;
  context.addIssue({ code: 'custom', message: 'must be a path, as /chat' });
  return z.NEVER;
});

/** 0 removes the limit. */
const countSchema = (defaultValue: number) => z.coerce.number().int().min(0).default(defaultValue);
const rateSchema = (defaultRate: RateLimit) => z.coerce.number().min(0).default(defaultRate.perSecond);

/** The table of all settings. The flag of a setting is its name in kebab case. */
const settingTable = {
  port: { variable: 'PORT', schema: z.coerce.number().int().min(0).max(65_535).default(3000), what: 'TCP port; 0: any free port' },
  host: { variable: 'ENGAWA_HOST', schema: z.string().default(''), what: 'address to listen on; empty: all addresses, over IPv4 and IPv6' },
  path: {
    variable: 'ENGAWA_PATH',
    schema: pathPrefixSchema.default(''),
    what: 'path prefix of all requests, such as /chat, for a proxy that does not strip it; empty: none',
  },
  dataDir: { variable: 'ENGAWA_DATA_DIR', schema: z.string().min(1).default('engawa-data'), what: 'folder of the embedded store' },
  redisUrl: {
    variable: 'REDIS_URL',
    schema: z.string().default(''),
    what: 'Redis instead of the embedded store: redis://, redis+cluster:// or redis+sentinel://, with rediss for TLS',
    // Passwords are not shown.
    show: (url: string) => url.replace(/\/\/[^@/]*@/, '//***@'),
  },
  redisPrefix: { variable: 'ENGAWA_REDIS_PREFIX', schema: z.string().default('engawa'), what: 'prefix of the names of all keys in Redis' },
  durability: {
    variable: 'ENGAWA_DURABILITY',
    schema: z.enum(['fast', 'replicated', 'fsync']).default('fast'),
    what: 'with Redis: when a write is acknowledged; the embedded store always uses fsync',
  },
  allowEviction: {
    variable: 'ENGAWA_ALLOW_EVICTION',
    schema: z.enum(['yes', 'no']).default('no'),
    what: 'yes: accept a Redis that evicts data when its memory is full',
  },
  allowedOrigins: {
    variable: 'ENGAWA_ALLOWED_ORIGINS',
    schema: z
      .string()
      .default('*')
      .transform((list) => list.split(',').map((origin) => origin.trim()))
      .pipe(
        z.array(
          z.union([z.literal('*'), z.url().refine((url) => new URL(url).origin === url, 'must be an origin, as https://chat.example.org')]),
        ),
      ),
    what: 'origins whose pages may connect, separated by commas; * for all',
  },
  rateLimits: {
    variable: 'ENGAWA_RATE_LIMITS',
    schema: z.enum(['on', 'off']).default('on'),
    what: 'off: no rate limits, limits per address or rooms per session, for load tests only; other quotas remain',
  },
  chatRate: {
    variable: 'ENGAWA_CHAT_RATE',
    schema: rateSchema(rates.chats),
    what: 'chats and edits per second of one author in one room, with a burst of twenty seconds; 0: no limit',
  },
  roomsPerAddress: {
    variable: 'ENGAWA_ROOMS_PER_ADDRESS',
    schema: z.coerce.number().int().min(0).default(LIMITS.perAddress.rooms.burst),
    what: 'rooms that one network address may create at once, and per day after that; 0: no limit',
  },
  bytesPerAddress: {
    variable: 'ENGAWA_BYTES_PER_ADDRESS',
    schema: limitSchema(parseSize, { min: 1024 * 1024, form: 'a size of 1mb or more' }).default(LIMITS.perAddress.bytes.burst),
    what: 'bytes that one network address may store at once, and per hour after that; 0: no limit',
    show: formatSize,
  },
  quotaRoomsPerSession: {
    variable: 'ENGAWA_QUOTA_ROOMS_PER_SESSION',
    schema: z.coerce.number().int().min(0).optional(),
    what: `rooms that one session may own; unset: ${LIMITS.quotas.roomsPerSession}, or no limit with --rate-limits off; 0: no limit`,
  },
  quotaRooms: {
    variable: 'ENGAWA_QUOTA_ROOMS',
    schema: z.coerce.number().int().min(0).default(LIMITS.quotas.rooms),
    what: 'rooms of the whole server; 0: no limit',
  },
  quotaRoomBytes: {
    variable: 'ENGAWA_QUOTA_ROOM_BYTES',
    schema: limitSchema(parseSize, { min: 1, form: 'a size, as 1gb or 100mb' }).default(LIMITS.quotas.roomBytes),
    what: 'bytes of text in one room, such as 1gb; beyond this the room refuses chats; 0: no limit',
    show: formatSize,
  },
  quotaTotalBytes: {
    variable: 'ENGAWA_QUOTA_TOTAL_BYTES',
    schema: limitSchema(parseSize, { min: 1, form: 'a size, as 10gb' }),
    what: `bytes in the store, such as 50gb; beyond this the server refuses chats; 0: no limit; unset: ${formatSize(LIMITS.quotas.totalBytes)}, or no limit with Redis`,
    show: formatSize,
  },
  connectionsPerAddress: {
    variable: 'ENGAWA_CONNECTIONS_PER_ADDRESS',
    schema: countSchema(perAddress.connections),
    what: 'concurrent connections of one address; 0: no limit',
  },
  connectionRatePerAddress: {
    variable: 'ENGAWA_CONNECTION_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.connects),
    what: 'new connections per second of one address, with a burst of ten seconds; 0: no limit',
  },
  packetRatePerAddress: {
    variable: 'ENGAWA_PACKET_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.packets),
    what: 'packets per second of one address, with a burst of ten seconds; 0: no limit',
  },
  requestRatePerAddress: {
    variable: 'ENGAWA_REQUEST_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.requests),
    what: 'HTTP requests per second of one address, with a burst of ten seconds; 0: no limit',
  },
  socketsPerAddress: {
    variable: 'ENGAWA_SOCKETS_PER_ADDRESS',
    schema: countSchema(perAddress.sockets),
    what: 'concurrent TCP connections of one address; 0: no limit',
  },
  joinRatePerAddress: {
    variable: 'ENGAWA_JOIN_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.joins),
    what: 'rooms created or joined per second from one address, with a burst of ten seconds; 0: no limit',
  },
  roomJoinRatePerAddress: {
    variable: 'ENGAWA_ROOM_JOIN_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.roomJoins),
    what: 'joins per second of one room from one address, with a burst of a hundred seconds; 0: no limit',
  },
  roomNamesPerAddress: {
    variable: 'ENGAWA_ROOM_NAMES_PER_ADDRESS',
    schema: countSchema(perAddress.membersPerRoom),
    what: 'names that one address may have in one room at the same time; 0: no limit',
  },
  membershipsPerAddress: {
    variable: 'ENGAWA_MEMBERSHIPS_PER_ADDRESS',
    schema: countSchema(perAddress.memberships),
    what: 'rooms of all connections of one address together, counted once for each connection; 0: no limit',
  },
  resumeRatePerAddress: {
    variable: 'ENGAWA_RESUME_RATE_PER_ADDRESS',
    schema: rateSchema(perAddress.resumes),
    what: 'rooms resumed per second by clients of one address, with a burst of forty seconds; 0: no limit',
  },
  queuedBytesPerAddress: {
    variable: 'ENGAWA_QUEUED_BYTES_PER_ADDRESS',
    schema: limitSchema(parseSize, { min: 64 * 1024, form: 'a size of 64kb or more' }).default(perAddress.waitingBytes),
    what: 'bytes of queued requests of one address; 0: no limit',
    show: formatSize,
  },
  responseBytesPerAddress: {
    variable: 'ENGAWA_RESPONSE_BYTES_PER_ADDRESS',
    schema: limitSchema(parseSize, { min: 2 * 1024 * 1024, form: 'a size of 2mb or more' }).default(perAddress.responseBytes),
    what: 'bytes of large responses to one address that are not read yet; 0: no limit',
    show: formatSize,
  },
  limitsExempt: {
    variable: 'ENGAWA_LIMITS_EXEMPT',
    schema: networksSchema.default([]),
    what: 'networks without limits per address, such as 10.0.0.0/8,::1',
  },
  largeRoomThreshold: {
    variable: 'ENGAWA_LARGE_ROOM_THRESHOLD',
    schema: z.coerce.number().int().min(1).default(LIMITS.largeRoom),
    what: 'rooms with at least this many members get aggregated presence, join/leave and typing updates',
  },
  trustedProxies: {
    variable: 'ENGAWA_TRUSTED_PROXIES',
    schema: proxiesSchema.default(0),
    what: 'trusted reverse proxies (X-Forwarded-For, Forwarded): their number, or their networks, such as 10.0.0.0/8,::1',
  },
  retentionMaxAge: {
    variable: 'ENGAWA_RETENTION_MAX_AGE',
    schema: amountSchema(parseDuration, { min: 60_000, form: 'a time of a minute or more, as 30d, 12h or 90m' }),
    what: 'trim entries of any room that are older than this, such as 30d or 12h; unset: never',
    show: formatDuration,
  },
  retentionMaxCount: {
    variable: 'ENGAWA_RETENTION_MAX_COUNT',
    schema: z.coerce.number().int().min(1).optional(),
    what: 'trim each room to this many of its newest entries; unset: never',
  },
  retentionMaxBytes: {
    variable: 'ENGAWA_RETENTION_MAX_BYTES',
    schema: amountSchema(parseSize, { min: 1, form: 'a size, as 100mb or 64kb' }),
    what: 'trim each room to this many bytes of its newest text, such as 100mb; unset: never',
    show: formatSize,
  },
  grace: {
    variable: 'ENGAWA_GRACE',
    schema: amountSchema(parseDuration, { min: 5_000, form: 'a time of five seconds or more, as 30s or 10m' }).default(GRACE_MS),
    what: 'how long the name of a guest stays reserved after their connection is lost',
    show: formatDuration,
  },
  absence: {
    variable: 'ENGAWA_ABSENCE',
    schema: amountSchema((text) => (text.trim() === '0' ? 0 : atLeast(parseDuration(text), 60_000)), {
      min: 0,
      form: 'a time of a minute or more, as 12h or 7d, or 0',
    }).default(ABSENCE_MS),
    what: 'how long a guest stays a member after --grace, unless another member takes the name; 0: not at all',
    show: formatDuration,
  },
  emptyRooms: {
    variable: 'ENGAWA_EMPTY_ROOMS',
    schema: limitSchema(parseDuration, { min: 60_000, form: 'a time of a minute or more, as 1d or 12h' }).default(
      Number(DEFAULT_ROOM_LIFETIMES.emptyMs),
    ),
    what: 'delete a room without members that never had a chat after this time; 0: never',
    show: formatDuration,
  },
  unvisitedRooms: {
    variable: 'ENGAWA_UNVISITED_ROOMS',
    schema: limitSchema(parseDuration, { min: 60_000, form: 'a time of a minute or more, as 365d' }),
    what: 'delete any room without members, with all its chats, after this time; 0 or unset: never',
    show: formatDuration,
  },
  maxSendBuffer: {
    variable: 'ENGAWA_MAX_SEND_BUFFER',
    schema: amountSchema(parseSize, { min: 16 * 1024, form: 'a size of 16kb or more, as 256kb or 1mb' }).default(
      DEFAULT_MAX_SEND_BUFFER_BYTES,
    ),
    what: 'bytes in the send buffer of one client, such as 256kb; beyond this the client receives its rooms from their logs, as fast as it reads',
    show: formatSize,
  },
  logLevel: {
    variable: 'ENGAWA_LOG_LEVEL',
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    what: 'lowest level of log lines: debug, info, warn, error or silent',
  },
} as const;

type SettingTable = typeof settingTable;
type SettingName = keyof SettingTable;
export type Settings = { [Name in SettingName]: z.output<SettingTable[Name]['schema']> };
type OptionTypes = Record<string, { type: 'string' | 'boolean' }>;
type Source = 'flag' | 'variable' | 'file' | 'default';
export type LoadedSettings = { settings: Settings; sources: Record<SettingName, Source>; options: Options };
/** Options of one command that are not settings. */
type Options = Record<string, string | boolean | undefined>;

/** How long rooms without members are stored. */
export const lifetimesFromSettings = ({ emptyRooms, unvisitedRooms }: Partial<Settings>): RoomLifetimes => ({
  emptyMs: (emptyRooms ?? DEFAULT_ROOM_LIFETIMES.emptyMs) || null,
  unvisitedMs: unvisitedRooms || null,
});

/** A setting is not valid. The message names the setting and the reason. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const settingNames = Object.keys(settingTable) as SettingName[];
const flagOf = (name: SettingName): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * Flags override variables, variables override the file (`--config FILE`, or engawa.json if it exists), and the file overrides
 * the defaults. `optionTypes` are further options of the command.
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

/** An empty variable counts as not set. */
const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

/** The environment variables of all settings. */
export const settingVariables = (): string[] => settingNames.map((name) => settingTable[name].variable);

/** The flags of `engawa serve`, for `--help` and shell completion. */
export function settingOptions(): Record<string, { value: string; what: string }> {
  const flags = settingNames.map(
    (name) => [flagOf(name), { value: 'VALUE', what: `${settingTable[name].what} (${settingTable[name].variable})` }] as const,
  );
  return { ...Object.fromEntries(flags), config: { value: 'FILE', what: 'a JSON file of settings' } };
}

/** A table of the settings in force: flag, variable, value, source and description. */
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
