import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../failure.ts';
import { baseFolders } from './base-folders.ts';
import { codeOf, makePrivateFolder, readPrivate, writePrivate } from './private-files.ts';

/** What the config file says of one profile. */
export interface ProfileSettings {
  server?: string | undefined;
  username?: string | undefined;
}

/** The config file: profiles by their names, and which is meant when none is named. */
export interface Config {
  default?: string | undefined;
  profiles: ReadonlyMap<string, ProfileSettings>;
}

/** What the command line, the environment or the config file says cannot be used; the message says why, to people. */
export class ProfileError extends Failure {
  override readonly name = 'ProfileError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, 2, options);
  }
}

/** A name is a folder's, too, on disks that know no case. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Undefined where there is no home. */
export function configPath(env: NodeJS.ProcessEnv): string | undefined {
  const { config } = baseFolders(env);
  return config && join(config, 'engawa', 'config.json');
}

/** The folder of a profile; undefined where there is no home. */
export function statePath(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const { state } = baseFolders(env);
  return state && join(state, 'engawa', name);
}

export function checkName(name: string): string {
  if (NAME.test(name)) return name;
  throw new ProfileError(`"${name}" is no name for a profile: up to 63 of a-z, 0-9, - and _`);
}

/** @throws {ProfileError} with the file and the line. A file that is not there is empty. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const path = configPath(env);
  const text = path === undefined ? undefined : readText(path);
  return path === undefined || text === undefined ? { profiles: new Map() } : checked(path, parsed(path, text));
}

/** @throws {ProfileError} when it cannot be written. */
export function writeConfig(env: NodeJS.ProcessEnv, { default: standard, profiles }: Config): void {
  const path = configPath(env);
  if (path === undefined) throw new ProfileError('there is no home folder to keep profiles in');
  const text = JSON.stringify({ default: standard, profiles: Object.fromEntries(profiles) }, null, 2);
  try {
    makePrivateFolder(dirname(path));
    // Some keep theirs elsewhere, and a link here.
    writePrivate(existsSync(path) ? realpathSync(path) : path, `${text}\n`, { durable: true });
  } catch (error) {
    throw new ProfileError((error as Error).message, { cause: error });
  }
}

function readText(path: string): string | undefined {
  try {
    return readPrivate(realpathSync(path));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined;
    throw new ProfileError((error as Error).message, { cause: error });
  }
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ProfileError(`${path}:${lineOfFault(text)}: is not JSON (${reasonIn(error as Error)})`, { cause: error });
  }
}

/** The first line with which it could not go on to be JSON. */
function lineOfFault(text: string): number {
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

/** Without the piece of the file that may be in it. */
const reasonIn = ({ message }: Error): string => message.replace(/,? \.{0,3}"[\s\S]*$/, '').replace(/ in JSON at .*$/, '');

function checked(path: string, value: unknown): Config {
  const wrong = (what: string) => new ProfileError(`${path}: ${what}`);
  if (!isObject(value)) throw wrong('must be an object');
  const { default: standard, profiles = {} } = value;
  if (standard !== undefined && typeof standard !== 'string') throw wrong('default must be the name of a profile');
  if (!isObject(profiles)) throw wrong('profiles must be an object');
  const entries = Object.entries(profiles).map(([name, settings]): [string, ProfileSettings] => {
    if (!NAME.test(name)) throw wrong(`"${name}" is no name for a profile: up to 63 of a-z, 0-9, - and _`);
    if (!isObject(settings)) throw wrong(`profiles.${name} must be an object`);
    for (const [field, content] of Object.entries(settings))
      if (typeof content !== 'string') throw wrong(`profiles.${name}.${field} must be a text`);
    return [name, settings];
  });
  return { default: standard, profiles: new Map(entries) };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
