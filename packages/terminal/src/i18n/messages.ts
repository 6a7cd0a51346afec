// Chooses the message catalogue by language.
import { en } from './en.ts';
import { ja } from './ja.ts';

/** All texts for the user, in one language. */
export type Messages = typeof en;

const catalogues: Record<string, Messages> = { en, ja };

/** The catalogue of the given language, or else of the locale; English for an unknown language. */
export function messagesFor(language: string | undefined, env: NodeJS.ProcessEnv): Messages {
  const locale = language ?? (env.LC_ALL || env.LC_MESSAGES || env.LANG || 'en');
  return catalogues[locale.slice(0, 2).toLowerCase()] ?? en;
}
