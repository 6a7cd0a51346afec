/** Where the client keeps its files: the base directories of the XDG specification, never the current folder. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

export interface BaseFolders {
  /** An absolute path, of a folder that may not exist yet; undefined where there is no home. */
  config: string | undefined;
  state: string | undefined;
  /** Says to people which variables are ignored, and what is used instead. */
  warnings: string[];
}

export function resolveBaseFolders(env: NodeJS.ProcessEnv): BaseFolders {
  const home = resolveHome(env);
  const config = absolutePath(env.XDG_CONFIG_HOME) ?? (home && join(home, '.config'));
  const state = absolutePath(env.XDG_STATE_HOME) ?? (home && join(home, '.local', 'state'));
  const resolved = Object.entries({ HOME: home, XDG_CONFIG_HOME: config, XDG_STATE_HOME: state });
  const warnings = resolved
    .filter(([variable]) => isIgnored(variable, env[variable]))
    .map(([variable, folder]) => ignoredWarning(variable, folder));
  return { config, state, warnings };
}

/** A home that does not exist is never made: those who set one, as package builders do, want nothing to be kept. */
function resolveHome({ HOME }: NodeJS.ProcessEnv): string | undefined {
  const home = absolutePath(HOME) ?? absolutePath(accountHome());
  return home !== undefined && existsSync(home) ? home : undefined;
}

function accountHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    // A container may run as a user that has no account.
    return undefined;
  }
}

const absolutePath = (path: string | undefined): string | undefined => (path !== undefined && isAbsolute(path) ? path : undefined);

/** The specification takes an empty XDG variable for one that is not set, which is nothing to mention. */
const isIgnored = (variable: string, value: string | undefined): boolean =>
  value !== undefined && !isAbsolute(value) && (value !== '' || variable === 'HOME');

const ignoredWarning = (variable: string, folder: string | undefined): string =>
  `${variable} is not an absolute path and is ignored; ${folder === undefined ? 'there is no other home' : `${folder} is used`}`;
