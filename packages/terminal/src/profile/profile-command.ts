import { type Arguments, UsageError } from '../subcommand.ts';
import type { Surroundings } from '../surroundings.ts';
import { safeLine } from '../text/safe.ts';
import { warn } from '../warn.ts';
import { baseFolders } from './base-folders.ts';
import { type Config, checkName, configPath, ProfileError, type ProfileSettings, readConfig, writeConfig } from './config.ts';
import { DEFAULT_NAME, forgetState, openProfile, serverOf } from './profile.ts';

/** `engawa profile`: shows and changes the config file. Resolves with the exit code. */
export function profileCommand(asked: Arguments, { stdout, stderr, env }: Surroundings): number {
  for (const notice of baseFolders(env).ignored) warn(stderr, notice);
  for (const line of answer(asked, env)) stdout.write(`${safeLine(line)}\n`);
  return 0;
}

function answer({ words, get }: Arguments, env: NodeJS.ProcessEnv): string[] {
  const [act = 'list', name, ...rest] = words;
  if (rest.length > 0) throw wrong();
  const config = readConfig(env);
  if (act === 'list' && name === undefined) return list(config);
  if (act === 'show') return show(name, env);
  if (name === undefined) throw wrong();
  if (act === 'set') return set(config, { name, server: get('server'), username: get('as') }, env);
  mustHave(config, name);
  if (act === 'use') return change({ ...config, default: name }, env);
  if (act === 'remove') return remove(config, name, env);
  throw wrong();
}

const wrong = () => new UsageError('list, show [NAME], set NAME, use NAME or remove NAME?');

/** The one that is there without being set comes first. */
const list = ({ default: standard = DEFAULT_NAME, profiles }: Config): string[] =>
  [...new Map([[DEFAULT_NAME, {}], ...profiles])].map(([name, { server = '', username = '' }]: [string, ProfileSettings]) =>
    `${name === standard ? '*' : ' '} ${name}  ${username}  ${server}`.trimEnd(),
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

function set(config: Config, given: { name: string; server: string | undefined; username: string | undefined }, env: NodeJS.ProcessEnv) {
  const name = checkName(given.name);
  const before = config.profiles.get(name);
  const server = given.server === undefined ? before?.server : serverOf(given.server);
  const username = given.username ?? before?.username;
  const profiles = new Map(config.profiles).set(name, { ...before, server, username });
  const isFirst = config.default === undefined && before === undefined && config.profiles.size === 0;
  change({ default: isFirst ? name : config.default, profiles }, env);
  return isFirst ? [`${name} is used from now on where no other profile is named`] : [];
}

function remove(config: Config, name: string, env: NodeJS.ProcessEnv): string[] {
  const profiles = new Map(config.profiles);
  profiles.delete(name);
  const changed = change({ default: config.default === name ? undefined : config.default, profiles }, env);
  forgetState(name, env);
  return changed;
}

function change(config: Config, env: NodeJS.ProcessEnv): string[] {
  writeConfig(env, config);
  return [];
}

function mustHave({ profiles }: Config, name: string): void {
  if (name !== DEFAULT_NAME && !profiles.has(name)) throw new ProfileError(`there is no profile "${name}"`);
}
