import { sanitizeLine } from '../text/sanitize.ts';
import { readConfig } from './config.ts';
import { DEFAULT_PROFILE, openProfile } from './profile.ts';

/** Of rooms, those that were open last. Only what can stand in a line as it is. */
export function completionValues(kind: 'profiles' | 'rooms', env: NodeJS.ProcessEnv): string[] {
  const names =
    kind === 'profiles'
      ? [...new Set([DEFAULT_PROFILE, ...readConfig(env).profiles.keys()])]
      : openProfile({ needsName: false }, env).rooms.read().open;
  return names.filter((name) => name === sanitizeLine(name));
}
