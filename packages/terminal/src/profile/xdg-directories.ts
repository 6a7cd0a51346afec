// The XDG base directories for configuration and state; never the current directory.
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

export interface BaseFolders {
  /** An absolute path that may not exist yet; undefined when there is no home directory. */
  config: string | undefined;
  state: string | undefined;
  /** Warnings for the user: which variables are ignored, and what is used instead. */
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

/** A missing home is not created: package builders set such a home so that nothing is stored. */
function resolveHome({ HOME }: NodeJS.ProcessEnv): string | undefined {
  const home = absolutePath(HOME) ?? absolutePath(accountHome());
  return home !== undefined && existsSync(home) ? home : undefined;
}

function accountHome(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    // In a container, the user may have no account.
    return undefined;
  }
}

const absolutePath = (path: string | undefined): string | undefined => (path !== undefined && isAbsolute(path) ? path : undefined);

/** By the XDG specification an empty variable counts as unset, so it needs no warning. */
const isIgnored = (variable: string, value: string | undefined): boolean =>
  value !== undefined && !isAbsolute(value) && (value !== '' || variable === 'HOME');

const ignoredWarning = (variable: string, folder: string | undefined): string =>
  `${variable} is not an absolute path and is ignored; ${folder === undefined ? 'there is no other home' : `${folder} is used`}`;
