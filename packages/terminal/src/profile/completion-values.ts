// Profile and room names for shell completion.
import { sanitizeLine } from '../text/sanitize.ts';
import { readConfig } from './config.ts';
import { DEFAULT_PROFILE, openProfile } from './profile.ts';

/** Rooms are those of the last run. Skips names that would need quoting in a shell. */
export function completionValues(kind: 'profiles' | 'rooms', env: NodeJS.ProcessEnv): string[] {
  const names =
    kind === 'profiles'
      ? [...new Set([DEFAULT_PROFILE, ...readConfig(env).profiles.keys()])]
      : openProfile({ needsName: false }, env).rooms.read().open;
  return names.filter((name) => name === sanitizeLine(name));
}
