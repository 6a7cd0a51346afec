import { en } from './en.ts';
import { ja } from './ja.ts';

/** All that is said to people, in one language. */
export type Messages = typeof en;

const catalogues: Record<string, Messages> = { en, ja };

/** The words of the language that is asked for, or else of the environment; English where it is none that is known. */
export function messagesFor(language: string | undefined, env: NodeJS.ProcessEnv): Messages {
  const locale = language ?? (env.LC_ALL || env.LC_MESSAGES || env.LANG || 'en');
  return catalogues[locale.slice(0, 2).toLowerCase()] ?? en;
}
