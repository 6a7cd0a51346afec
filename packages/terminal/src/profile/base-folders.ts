/** Where the client keeps its files: the base directories of the XDG specification, never the current folder. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

export interface BaseFolders {
  /** An absolute path, of a folder that may not exist yet; undefined where there is no home. */
  config: string | undefined;
  state: string | undefined;
  /** Says to people which variables are ignored, and what is used instead. */
  ignored: string[];
}

export function baseFolders(env: NodeJS.ProcessEnv): BaseFolders {
  const home = homeOf(env);
  const config = absolute(env.XDG_CONFIG_HOME) ?? (home && join(home, '.config'));
  const state = absolute(env.XDG_STATE_HOME) ?? (home && join(home, '.local', 'state'));
  const used = Object.entries({ HOME: home, XDG_CONFIG_HOME: config, XDG_STATE_HOME: state });
  const ignored = used.filter(([variable]) => isIgnored(variable, env[variable])).map(([variable, folder]) => ignoring(variable, folder));
  return { config, state, ignored };
}

/** A home that does not exist is never made: those who set one, as package builders do, want nothing to be kept. */
function homeOf({ HOME }: NodeJS.ProcessEnv): string | undefined {
  const home = absolute(HOME) ?? absolute(homeOfAccount());
  return home !== undefined && existsSync(home) ? home : undefined;
}

function homeOfAccount(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    // A container may run as a user that has no account.
    return undefined;
  }
}

const absolute = (path: string | undefined): string | undefined => (path !== undefined && isAbsolute(path) ? path : undefined);

/** The specification takes an empty XDG variable for one that is not set, which is nothing to mention. */
const isIgnored = (variable: string, value: string | undefined): boolean =>
  value !== undefined && !isAbsolute(value) && (value !== '' || variable === 'HOME');

const ignoring = (variable: string, folder: string | undefined): string =>
  `${variable} is not an absolute path and is ignored; ${folder === undefined ? 'there is no other home' : `${folder} is used`}`;
