import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

/** Every setting once: its flag is its name in kebab case, its variable is named here. */
const table = {
  port: { variable: 'PORT', schema: z.coerce.number().int().min(0).max(65_535).default(3000), what: 'TCP port; 0 takes a free one' },
  host: { variable: 'ENGAWA_HOST', schema: z.string().default('0.0.0.0'), what: 'address to listen on' },
  dataDir: { variable: 'ENGAWA_DATA_DIR', schema: z.string().min(1).default('engawa-data'), what: 'folder of the embedded store' },
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
    what: 'off lifts rates and counts per address, for load tests',
  },
  trustedProxies: {
    variable: 'ENGAWA_TRUSTED_PROXIES',
    schema: z.coerce.number().int().min(0).max(10).default(0),
    what: 'reverse proxies in front whose X-Forwarded-For is believed',
  },
  logLevel: {
    variable: 'ENGAWA_LOG',
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    what: 'least level of log lines',
  },
} as const;

type Table = typeof table;
type SettingName = keyof Table;
export type Settings = { [Name in SettingName]: z.output<Table[Name]['schema']> };
type Source = 'flag' | 'variable' | 'file' | 'default';
export type LoadedSettings = { settings: Settings; sources: Record<SettingName, Source> };

/** A setting that cannot be used; the message says which and why. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

const names = Object.keys(table) as SettingName[];
const flagOf = (name: SettingName): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Flags win over variables, variables over the file (`--config FILE`, else engawa.json where it exists), the file over defaults. */
export function loadSettings(args: string[], env: NodeJS.ProcessEnv): LoadedSettings {
  const flags = readFlags(args);
  const file = readFile(flags.get('config') ?? env.ENGAWA_CONFIG);
  const settings: Record<string, unknown> = {};
  const sources = {} as Record<SettingName, Source>;
  for (const name of names) {
    const { variable, schema } = table[name];
    const given: [Source, unknown][] = [
      ['flag', flags.get(flagOf(name))],
      ['variable', env[variable] === '' ? undefined : env[variable]],
      ['file', file.get(name)],
    ];
    const [source, raw] = given.find(([, value]) => value !== undefined) ?? (['default', undefined] as const);
    const parsed = schema.safeParse(raw);
    if (!parsed.success)
      throw new SettingsError(`${nameIn(source, name)} ${parsed.error.issues[0]?.message ?? 'is not valid'} (given: ${String(raw)}).`);
    settings[name] = parsed.data;
    sources[name] = source;
  }
  return { settings: settings as Settings, sources };
}

/** The settings in force, where each came from, and how to change it. */
export function describeSettings({ settings, sources }: LoadedSettings): string {
  const rows = names.map((name) => [
    `--${flagOf(name)}`,
    table[name].variable,
    [settings[name]].flat().join(','),
    sources[name],
    table[name].what,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function nameIn(source: Source, name: SettingName): string {
  if (source === 'variable') return table[name].variable;
  return source === 'flag' ? `--${flagOf(name)}` : `"${name}"`;
}

function readFlags(args: string[]): Map<string, string> {
  const options = Object.fromEntries([...names.map(flagOf), 'config'].map((flag) => [flag, { type: 'string' as const }]));
  try {
    return new Map(Object.entries(parseArgs({ args, options }).values) as [string, string][]);
  } catch (error) {
    throw new SettingsError((error as Error).message);
  }
}

function readFile(asked: string | undefined): Map<string, unknown> {
  const path = resolve(asked ?? 'engawa.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (asked === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new SettingsError(`The settings file ${path} cannot be read: ${(error as Error).message}`);
  }
  return parseFile(path, text);
}

function parseFile(path: string, text: string): Map<string, unknown> {
  try {
    const values = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    const unknown = Object.keys(values).find((name) => !Object.hasOwn(table, name));
    if (unknown !== undefined) throw new Error(`there is no setting "${unknown}"`);
    return new Map(Object.entries(values));
  } catch (error) {
    throw new SettingsError(`The settings file ${path} is not valid: ${(error as Error).message}`);
  }
}
