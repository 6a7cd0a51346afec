// The `engawa profile` command: lists, shows and changes profiles.
import type { ProcessIO } from '../command-line/process-io.ts';
import { type Arguments, UsageError } from '../command-line/subcommand.ts';
import { warn } from '../command-line/warn.ts';
import { sanitizeLine } from '../text/sanitize.ts';
import { type Config, configPath, ProfileError, type ProfileSettings, readConfig, validateProfileName, writeConfig } from './config.ts';
import { DEFAULT_PROFILE, deleteState, openProfile, parseServerUrl } from './profile.ts';
import { resolveBaseFolders } from './xdg-directories.ts';

/** Runs `engawa profile` and returns the exit code. */
export function profileCommand(args: Arguments, { stdout, stderr, env }: ProcessIO): number {
  for (const notice of resolveBaseFolders(env).warnings) warn(stderr, notice);
  for (const line of execute(args, env)) stdout.write(`${sanitizeLine(line)}\n`);
  return 0;
}

function execute({ positionals, get }: Arguments, env: NodeJS.ProcessEnv): string[] {
  const [action = 'list', name, ...rest] = positionals;
  if (rest.length > 0) throw usageError();
  const config = readConfig(env);
  if (action === 'list' && name === undefined) return list(config);
  if (action === 'show') return show(name, env);
  if (name === undefined) throw usageError();
  if (action === 'set') return set(config, { name, server: get('server'), username: get('as') }, env);
  requireProfile(config, name);
  if (action === 'use') return saveConfig({ ...config, default: name }, env);
  if (action === 'remove') return remove(config, name, env);
  throw usageError();
}

const usageError = () => new UsageError('list, show [NAME], set NAME, use NAME or remove NAME?');

/** The default profile exists even if it is not in the file, and comes first. */
const list = ({ default: defaultName = DEFAULT_PROFILE, profiles }: Config): string[] =>
  [...new Map([[DEFAULT_PROFILE, {}], ...profiles])].map(([name, { server = '', username = '' }]: [string, ProfileSettings]) =>
    `${name === defaultName ? '*' : ' '} ${name}  ${username}  ${server}`.trimEnd(),
  );

function show(name: string | undefined, env: NodeJS.ProcessEnv): string[] {
  const profile = openProfile({ profile: name, needsName: false }, env);
  const { sources } = profile;
  return [
    `profile  ${profile.name}`,
    `name     ${profile.username} (${sources.username})`,
    `server   ${profile.server} (${sources.server})`,
    `config   ${configPath(env) ?? 'none'}`,
    ...(profile.problem === undefined ? [] : [`problem  ${profile.problem}`]),
  ];
}

function set(config: Config, settings: { name: string; server: string | undefined; username: string | undefined }, env: NodeJS.ProcessEnv) {
  const name = validateProfileName(settings.name);
  const before = config.profiles.get(name);
  const server = settings.server === undefined ? before?.server : parseServerUrl(settings.server);
  const username = settings.username ?? before?.username;
  const profiles = new Map(config.profiles).set(name, { ...before, server, username });
  const isFirst = config.default === undefined && before === undefined && config.profiles.size === 0;
  saveConfig({ default: isFirst ? name : config.default, profiles }, env);
  return isFirst ? [`${name} is used from now on where no other profile is named`] : [];
}

function remove(config: Config, name: string, env: NodeJS.ProcessEnv): string[] {
  const profiles = new Map(config.profiles);
  profiles.delete(name);
  const changed = saveConfig({ default: config.default === name ? undefined : config.default, profiles }, env);
  deleteState(name, env);
  return changed;
}

function saveConfig(config: Config, env: NodeJS.ProcessEnv): string[] {
  writeConfig(env, config);
  return [];
}

function requireProfile({ profiles }: Config, name: string): void {
  if (name !== DEFAULT_PROFILE && !profiles.has(name)) throw new ProfileError(`there is no profile "${name}"`);
}
