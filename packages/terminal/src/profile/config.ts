// Reads and writes the config file with the profiles.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CliError } from '../command-line/cli-error.ts';
import { errorCode, makePrivateFolder, readPrivateFile, writePrivateFile } from './private-files.ts';
import { resolveBaseFolders } from './xdg-directories.ts';

/** The settings of one profile in the config file. */
export interface ProfileSettings {
  server?: string | undefined;
  username?: string | undefined;
}

/** The config file: profiles by name, and the default profile. */
export interface Config {
  default?: string | undefined;
  profiles: ReadonlyMap<string, ProfileSettings>;
}

/** An invalid setting in the command line, the environment or the config file. The message is for the user. */
export class ProfileError extends CliError {
  override readonly name = 'ProfileError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, 2, options);
  }
}

/** A profile name is also a folder name, and some file systems ignore case. */
const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Undefined when there is no home directory. */
export function configPath(env: NodeJS.ProcessEnv): string | undefined {
  const { config } = resolveBaseFolders(env);
  return config && join(config, 'engawa', 'config.json');
}

/** The state folder of a profile; undefined when there is no home directory. */
export function stateFolder(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const { state } = resolveBaseFolders(env);
  return state && join(state, 'engawa', name);
}

export function validateProfileName(name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new ProfileError(`"${name}" is no name for a profile: up to 63 of a-z, 0-9, - and _`);
}

/** A missing file counts as empty. @throws {ProfileError} with the path and the line of the error. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const path = configPath(env);
  const text = path === undefined ? undefined : readText(path);
  return path === undefined || text === undefined ? { profiles: new Map() } : validateConfig(path, parseJson(path, text));
}

/** @throws {ProfileError} when the file cannot be written. */
export function writeConfig(env: NodeJS.ProcessEnv, { default: defaultName, profiles }: Config): void {
  const path = configPath(env);
  if (path === undefined) throw new ProfileError('there is no home folder to keep profiles in');
  const text = JSON.stringify({ default: defaultName, profiles: Object.fromEntries(profiles) }, null, 2);
  try {
    makePrivateFolder(dirname(path));
    // The config file may be a symbolic link, for example to a dotfiles repository.
    writePrivateFile(existsSync(path) ? realpathSync(path) : path, `${text}\n`, { durable: true });
  } catch (error) {
    throw new ProfileError((error as Error).message, { cause: error });
  }
}

function readText(path: string): string | undefined {
  try {
    return readPrivateFile(realpathSync(path));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return undefined;
    throw new ProfileError((error as Error).message, { cause: error });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ProfileError(`${path}:${lineOfSyntaxError(text)}: is not JSON (${syntaxErrorReason(error as Error)})`, { cause: error });
  }
}

/** The first line up to which the text is no prefix of valid JSON. */
function lineOfSyntaxError(text: string): number {
  const lines = text.split('\n');
  for (let count = 1; count < lines.length; count += 1) {
    const beginning = lines.slice(0, count).join('\n');
    try {
      JSON.parse(beginning);
    } catch (error) {
      const { message } = error as Error;
      const isAtEnd = message.includes('end of JSON') || message.includes(`position ${beginning.length}`);
      if (!isAtEnd) return count;
    }
  }
  return lines.length;
}

/** Removes the quoted part of the file from the message, because it may contain secrets. */
const syntaxErrorReason = ({ message }: Error): string => message.replace(/,? \.{0,3}"[\s\S]*$/, '').replace(/ in JSON at .*$/, '');

function validateConfig(path: string, value: unknown): Config {
  const invalid = (what: string) => new ProfileError(`${path}: ${what}`);
  if (!isObject(value)) throw invalid('must be an object');
  const { default: defaultName, profiles = {} } = value;
  if (defaultName !== undefined && typeof defaultName !== 'string') throw invalid('default must be the name of a profile');
  if (!isObject(profiles)) throw invalid('profiles must be an object');
  const entries = Object.entries(profiles).map(([name, settings]): [string, ProfileSettings] => {
    if (!NAME_PATTERN.test(name)) throw invalid(`"${name}" is no name for a profile: up to 63 of a-z, 0-9, - and _`);
    if (!isObject(settings)) throw invalid(`profiles.${name} must be an object`);
    for (const [field, content] of Object.entries(settings))
      if (typeof content !== 'string') throw invalid(`profiles.${name}.${field} must be a text`);
    return [name, settings];
  });
  return { default: defaultName, profiles: new Map(entries) };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
