import { safeLine } from '../text/safe.ts';
import { readConfig } from './config.ts';
import { DEFAULT_NAME, openProfile } from './profile.ts';

/** Of rooms, those that were open last. Only what can stand in a line as it is. */
export function known(kind: 'profiles' | 'rooms', env: NodeJS.ProcessEnv): string[] {
  const names =
    kind === 'profiles'
      ? [...new Set([DEFAULT_NAME, ...readConfig(env).profiles.keys()])]
      : openProfile({ needsName: false }, env).rooms.read().open;
  return names.filter((name) => name === safeLine(name));
}
